"""Write `docs/models.md` from the zoo: run `python docs/make_models.py` after a change of a preset."""

import pathlib

import keras_vix
from keras_vix.zoo import PRESETS

DATASETS = ("digits", "mnist", "cifar10")


def page() -> str:
    """The page: one section for each preset, its sizes counted from the models themselves."""
    lines = [
        "# Models",
        "",
        "Made by `python docs/make_models.py`. Parameters are the trainable ones; multiply-adds are of one image, forward.",
        "`keras_vix.describe(name, dataset=..., profile=...)` prints the whole record.",
        "",
    ]
    for name, row in PRESETS.items():
        lines += [f"## `{name}`", "", f"{row.title[0].upper()}{row.title[1:]}.", "", f"Source: {row.source}."]
        lines += ["", f"Differs: {row.differs}."] if row.differs else []
        lines += ["", "| data | profile | parameters | tokens | multiply-adds |", "|:---|:---|---:|---:|---:|"]
        for dataset in DATASETS:
            for profile in ("default", "reference"):
                d = keras_vix.describe(name, dataset=dataset, profile=profile)
                lines.append(f"| {dataset} | {profile} | {d.trainable_parameters:,} | {d.tokens} | {d.multiply_adds:,} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (pathlib.Path(__file__).parent / "models.md").write_text(page())
