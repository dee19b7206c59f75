"""Write a page for each preset into `docs/presets/`, which is not kept: `make docs` runs this first.

What a page says is read from the tables of the package, from shapes of the model (no weight gets a value), and from the rows of
`benchmarks/results/`.
"""

import csv
import importlib.resources
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import blocks  # noqa: E402

import keras_vix  # noqa: E402
from keras_vix.zoo import PRESETS, SEQUENCES, configure  # noqa: E402
from keras_vix.zoo.configure import default_dataset  # noqa: E402
from keras_vix.zoo.describe import describe_built  # noqa: E402
from keras_vix.zoo.outline import outline  # noqa: E402

OUT = HERE / "presets"
DATASETS = ("digits", "mnist", "cifar10", "imagenet")
STUDIES = {"columbia_2024": "Columbia 2024", "hybrid_xformers_2022": "Hybrid X-formers 2022", "ieor_2023_test": "IEOR 2023"}
SMALL = ("isotropic", "swin")  # families whose two profiles differ in size
COUNTS = "| data | profile | parameters | tokens | multiply-adds |\n|:---|:---|---:|---:|---:|"


def main() -> None:
    """Write all pages, their pictures and the list of them."""
    OUT.mkdir(exist_ok=True)
    published, own = published_rows(), own_rows()
    for name in PRESETS:
        (OUT / f"{name}.md").write_text(page(name, published.get(name, []), own.get(name, [])), encoding="utf-8")
    for name, row in SEQUENCES.items():
        (OUT / f"{name}.md").write_text(sequence_page(name, row), encoding="utf-8")
    (OUT / "index.md").write_text(index(), encoding="utf-8")


def page(name: str, published: list[str], own: list[str]) -> str:
    """One preset: what it is, its picture, its counts, published and own results, how to build it."""
    row, dataset = PRESETS[name], default_dataset(name)
    config = configure(name, dataset=dataset)
    model = outline(config, name)
    (OUT / f"{name}.svg").write_text(blocks.picture(config, model, f"The parts of {name}"), encoding="utf-8")
    lines = [f"# {name}", "", sentence(row.title), ""]
    lines += [f"![The parts of {name}, from the image to the logits]({name}.svg)", ""]
    lines += [f"As built for `{dataset}` in the default profile. Source: {row.source}.", ""]
    lines += [f"Differs: {sentence(row.differs)}", ""] if row.differs else []
    lines += ["```python", f'model = keras_vix.build("{name}", dataset="{dataset}")', "```", "", "## Sizes", "", COUNTS]
    lines += counts(name, dataset)
    lines += ["", "Parameters are the trainable ones, multiply-adds those of one image, forward."]
    heads = {
        "Published": ("Percent, as printed; losses and times stand in the [studies](../studies.md).", published),
        "Measured here": ("Test accuracy, mean over the seeds of a row.", own),
    }
    for title, (about, rows) in heads.items():
        if rows:
            lines += ["", f"## {title}", "", *rows, "", about]
    options = ", ".join(f"`{key}={value!r}`" for key, value in config.options.items())
    lines += ["", "## Options", "", f"{options}.", "", "All other settings: `keras_vix.describe` prints the whole record.", ""]
    return "\n".join(lines)


def sentence(text: str) -> str:
    """The text with a capital in front and a full stop behind."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def counts(name: str, dataset: str) -> list[str]:
    """A line for each data set and profile that gives a model of its own."""
    found = []
    for data in dict.fromkeys((*((DATASETS[:3]) if PRESETS[name].family in SMALL else ()), dataset)):
        for profile in ("default", "reference") if PRESETS[name].family in SMALL else ("default",):
            config = configure(name, dataset=data, profile=profile)
            told = describe_built(name, config, outline(config, name))
            both = profile if PRESETS[name].family in SMALL else "both"
            found.append(f"| {data} | {both} | {told.trainable_parameters:,} | {told.tokens:,} | {told.multiply_adds:,} |")
    return found


def published_rows() -> dict[str, list[str]]:
    """Tables of the published accuracies, by preset."""
    found: dict[str, list[str]] = {}
    for study, title in STUDIES.items():
        text = (importlib.resources.files("keras_vix.bench.studies") / f"{study}.csv").read_text()
        for row in csv.DictReader(text.splitlines()):
            accuracy, what = figure(row)
            if not accuracy or not row["preset"]:
                continue
            table = found.setdefault(row["preset"], ["| study | data | row | accuracy | of |", "|:---|:---|:---|---:|:---|"])
            line = f"| {title} | {row['dataset']} | {row['model']} | {accuracy} | {what} |"
            if line not in table:
                table.append(line)
    return found


def figure(row: dict[str, str]) -> tuple[str, str]:
    """The accuracy of a row in percent, and of which images."""
    if row.get("val_accuracy"):
        return f"{100 * float(row['val_accuracy']):.2f}", f"validation, {row['epochs']} epochs"
    if row.get("top1"):
        return row["top1"], "test"
    return (row["test_accuracy"], "test") if row.get("test_accuracy") else ("", "")


def own_rows() -> dict[str, list[str]]:
    """Tables of the accuracies in `benchmarks/results/`, by preset."""
    groups: dict[str, dict[tuple, list[float]]] = {}
    for file in sorted((HERE.parent / "benchmarks/results").glob("*/results.json")):
        for row in json.loads(file.read_text(encoding="utf-8"))["rows"]:
            if row.get("status", "done") == "done" and row.get("test_accuracy") is not None and not row.get("distill_epochs"):
                key = (file.parent.name, row["dataset"], row["label"], row["profile"], row["train_images"], row["epochs"])
                groups.setdefault(row["preset"], {}).setdefault(key, []).append(row["test_accuracy"])
    head = ["| experiment | data | row | profile | images | epochs | seeds | accuracy |", f"|{':---|' * 4}{'---:|' * 4}"]
    return {preset: head + [line(key, values) for key, values in rows.items()] for preset, rows in groups.items()}


def line(key: tuple, values: list[float]) -> str:
    """One row of that table."""
    suite, data, label, profile, images, epochs = key
    link = f"[{suite}](../../benchmarks/results/{suite}/results.md)"
    mean = 100 * sum(values) / len(values)
    return f"| {link} | {data} | `{label}` | {profile} | {images:,} | {epochs} | {len(values)} | {mean:.2f} |"


def sequence_page(name: str, row) -> str:
    """One preset from sequences to sequences, which has no picture of stages."""
    told = keras_vix.zoo.configure_sequence(name)
    sizes = ", ".join(f"`{key}={value!r}`" for key, value in vars(told).items())
    lines = [f"# {name}", "", sentence(row.title), "", f"Source: {row.source}.", ""]
    lines += [f"Differs: {sentence(row.differs)}", ""] if row.differs else []
    return "\n".join([*lines, "```python", f'model = keras_vix.build("{name}")', "```", "", "## Settings", "", f"{sizes}.", ""])


GROUPS = {  # by the dataset and the counting of rows, as the page of models has them
    "Models of the 2024 report": lambda name, row: row.family in SMALL,
    "Hybrid X-formers, 2022": lambda name, row: row.counting == "modules",
    "Vision transformers for ImageNet": lambda name, row: default_dataset(name) == "imagenet",
    "Vision transformers for small images": lambda name, row: True,
}


def index() -> str:
    """The list of all pages, group by group."""
    lines = ["# The presets, one by one", "", "Made by `python docs/make_presets.py` from the tables of the package."]
    groups: dict[str, list[str]] = {title: [] for title in GROUPS}
    for name, row in PRESETS.items():
        groups[next(title for title, fits in GROUPS.items() if fits(name, row))].append(name)
    for title, names in groups.items():
        lines += ["", f"## {title}", "", *(f"- [{name}]({name}.md): {PRESETS[name].title}" for name in names)]
    lines += ["", "## From sequence to sequence", "", *(f"- [{name}]({name}.md): {row.title}" for name, row in SEQUENCES.items())]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", ":maxdepth: 1", "", *PRESETS, *SEQUENCES, "```", ""])


if __name__ == "__main__":
    main()
