"""Write `docs/models.md` from the zoo: run `python docs/make_models.py` after a change of a preset."""

import pathlib

import keras_vix
from keras_vix.zoo import PRESETS, SEQUENCES, configure
from keras_vix.zoo.configure import default_dataset
from keras_vix.zoo.count import multiply_adds, published_parameters, tokens, trainable_parameters
from keras_vix.zoo.outline import outline
from keras_vix.zoo.presets import HYBRIDS, MIXING

DATASETS = ("digits", "mnist", "cifar10")
EVERYWHERE = (
    "All: evaluation switches dropout, dropped paths and batch statistics to inference, which the released notebooks did not.",
    "All: the best epoch is chosen on validation images, not on the test images.",
    "All: pixels are normalised by each data set's own mean and deviation; the release takes 0.5 for both on CIFAR-10.",
    "Tables 3 and 4: a stride of 2 sees a ring of zeros on all sides, as there; Keras' `same` padding would not.",
    "Table 6: the table of positions that was still created, and never used, is left out.",
)


def page() -> str:
    """The page: one section for each preset, its sizes counted from the models themselves."""
    lines = [
        "# Models",
        "",
        "Made by `python docs/make_models.py`. Parameters are the trainable ones; multiply-adds are of one image, forward.",
        "`keras_vix.describe(name, dataset=..., profile=...)` prints the whole record.",
        "",
    ]
    hybrids = {name: row for name, row in PRESETS.items() if row.counting == "modules"}
    study = {name: row for name, row in PRESETS.items() if row.family in ("isotropic", "swin")}
    for name, row in study.items():
        lines += [f"## `{name}`", "", f"{row.title[0].upper()}{row.title[1:]}.", "", f"Source: {row.source}."]
        lines += ["", f"Differs: {row.differs}."] if row.differs else []
        lines += ["", "| data | profile | parameters | tokens | multiply-adds |", "|:---|:---|---:|---:|---:|"]
        for dataset in DATASETS:
            for profile in ("default", "reference"):
                d = keras_vix.describe(name, dataset=dataset, profile=profile)
                lines.append(f"| {dataset} | {profile} | {d.trainable_parameters:,} | {d.tokens} | {d.multiply_adds:,} |")
        lines.append("")
    rest = {name: row for name, row in PRESETS.items() if name not in hybrids | study}
    large = {name for name in rest if default_dataset(name) == "imagenet"}
    lines += hybrid_section(hybrids)
    lines += large_section("Vision transformers for ImageNet", "224 x 224 pixels, 1,000 classes", large, rest)
    lines += large_section("Vision transformers for small images", "CIFAR-10", set(rest) - large, rest)
    return "\n".join([*lines, *sequence_section()])


def large_section(title: str, data: str, names, rows) -> list[str]:
    """One table for models of which only the shapes are made: the largest would fill more than a gigabyte."""
    lines = [
        f"## {title}",
        "",
        f"On {data}, both profiles alike. Counted are trainable parameters; `as published` says where the source counts others.",
        "",
        "| preset | what | parameters | as published | tokens | multiply-adds | source |",
        "|:---|:---|---:|---:|---:|---:|:---|",
    ]
    for name, row in rows.items():
        if name not in names:
            continue
        model = outline(configure(name), name)
        own, published = trainable_parameters(model), published_parameters(model, row.counting)
        lines.append(
            f"| `{name}` | {row.title} | {own:,} | {f'{published:,}' if published != own else ''} | {tokens(model):,} "
            f"| {multiply_adds(model):,} | {row.source} |"
        )
    differs = dict.fromkeys((row.family, row.differs) for name, row in rows.items() if name in names and row.differs)
    lines += ["", *(f"- `{family}`: {words}." for family, words in differs), ""]
    return lines


def hybrid_section(hybrids) -> list[str]:
    """One table for the 2022 hybrids, which have one size in both profiles."""
    lines = [
        "## Hybrid X-formers, 2022",
        "",
        f"{HYBRIDS}: width 128, four blocks, four heads of 32, 1,024 tokens. On CIFAR-10; the paper's own ways of counting are",
        "beside ours (`published_parameters`, `published_megabytes`). Reference profile: weights start as in the released code.",
        "",
        "| preset | what | tables | parameters | as published | size (MB) as published | multiply-adds |",
        "|:---|:---|:---|---:|---:|---:|---:|",
    ]
    for name, row in hybrids.items():
        d = keras_vix.describe(name, dataset="cifar10")
        table = row.source.removeprefix(f"{HYBRIDS}, table").removeprefix("s").strip()
        lines.append(
            f"| `{name}` | {row.title} | {table} | {d.trainable_parameters:,} | {d.published_parameters:,} | "
            f"{d.published_megabytes:.2f} | {d.multiply_adds:,} |"
        )
    lines += ["", "Differs from the released code:", ""]
    lines += [f"- {words}: {differs}." for words, differs in MIXING.values() if differs]
    lines += [f"- {difference}" for difference in EVERYWHERE]
    return [*lines, ""]


def sequence_section() -> list[str]:
    """One table for the models from sequence to sequence."""
    lines = [
        "## Sequence to sequence",
        "",
        "37,000 words; multiply-adds of one pair of 128 tokens each, logits included.",
        "",
        "| preset | what | parameters | multiply-adds |",
        "|:---|:---|---:|---:|",
    ]
    for name, row in SEQUENCES.items():
        d = keras_vix.describe(name)
        lines.append(f"| `{name}` | {row.title} | {d.trainable_parameters:,} | {d.multiply_adds:,} |")
    row = next(iter(SEQUENCES.values()))
    return [*lines, "", f"Source: {row.source}.", "", f"Differs: {row.differs}.", ""]


if __name__ == "__main__":
    (pathlib.Path(__file__).parent / "models.md").write_text(page())
