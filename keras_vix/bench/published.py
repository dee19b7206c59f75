"""Published tables, printed beside what was measured here. The numbers are data, in `studies/`."""

import csv
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

from .tables import DASH, Row, count, escape_markdown

# Which tables a suite can be put beside, and from whom they are.
STUDIES = {"hybrid_xformers_2022": "Jeevan and Sethi 2022, Resource-efficient Hybrid X-formers for Vision"}
DATASETS = {"cifar10": "CIFAR-10", "tiny_imagenet": "Tiny ImageNet"}
NOTE = (
    "Left of each pair what the paper prints, right what was measured here. Parameters: without tokens in front, positions, "
    "Linformer's projections and the factors of CvT's norms. Size: the paper's estimate for one image, neither a file nor "
    "memory. Top-1 and top-5 of the paper are those of its best epoch on the test images, cut off after two decimals; ours "
    "are of the final weights. A dash: not published in a source at hand, or not run here. Memory is the peak of the "
    "process, that of its data and framework included; the paper's own column was read off a monitor of the GPU at another "
    "batch size."
)
LOGGED = (
    "Epoch 1 (train / test accuracy) and the best epoch as the released notebooks logged them, on a Tesla P100. Our first "
    "epoch is that of the same preset, train / validation."
)


def read(name: str) -> list[dict[str, str]]:
    """The rows of a data file in `studies/`, as text under its headings."""
    with (importlib.resources.files(__package__) / "studies" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sections(study: str, rows: Sequence[Row]) -> list[str]:
    """Markdown: a heading and a table for each published one of which a row was run, then the logged runs.

    Raises:
        ValueError: there is no such study.
    """
    if study not in STUDIES:
        raise ValueError(f"published must be one of {', '.join(STUDIES)}. Received: published={study!r}.")
    printed = read(study)
    parts = [f"## Beside the published tables\n\n{STUDIES[study]}. {NOTE}"]
    for number in dict.fromkeys(row["table"] for row in printed):
        table = [row for row in printed if row["table"] == number]
        if any(matching(row, rows) for row in table):
            parts.append(f"### Table {number}, {DATASETS[table[0]['dataset']]}\n\n{_table(table, rows)}")
    runs = [row for row in read(f"{study}_runs") if matching(row, rows)]
    return parts + ([f"### Logged runs\n\n{LOGGED}\n\n{_runs(runs, rows)}"] if runs else [])


def matching(row: Mapping[str, str], rows: Sequence[Row]) -> list[Row]:
    """The measured rows of a published one: the same preset on the same data, whatever its options."""
    return [one for one in rows if one.get("preset") == row["preset"] and one.get("dataset") == row["dataset"]]


def _table(table: Sequence[Mapping[str, str]], rows: Sequence[Row]) -> str:
    lines = [
        "| Model | Parameters | ours | Size (MB) | ours | Memory (GB), ours | Top-1 (%) | ours | Top-5 (%) | ours |",
        "|:---|" + "---:|" * 9,
    ]
    for row in table:
        for one in matching(row, rows) or [{}]:
            changed = one.get("label", "").removeprefix(row["preset"])
            cells = [
                row["model"] + changed,
                count(int(row["parameters"])),
                _write(one, "published_parameters", count),
                row["size_mb"],
                _write(one, "published_megabytes", lambda value: f"{value:.2f}"),
                _write(one, "peak_memory_bytes", lambda value: f"{value / 1e9:.2f}"),
                row["top1"] or DASH,
                _write(one, "test_accuracy", percent),
                row["top5"] or DASH,
                _write(one, "test_top5", percent),
            ]
            lines.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    notes = [f"- {row['model']}: {row['note']}." for row in table if row["note"]]
    return "\n".join([*lines, *([""] + notes if notes else [])])


def _runs(runs: Sequence[Mapping[str, str]], rows: Sequence[Row]) -> str:
    lines = [
        "| Preset | Data | Batch | Epochs | Epoch 1 (%) | ours | Best top-1 (%) | at epoch | Top-5 (%) | s/epoch | ours | Note |",
        "|:---|:---|" + "---:|" * 9 + ":---|",
    ]
    for row in runs:
        for one in matching(row, rows):
            history = one.get("history") or {}
            first = [history[key][0] for key in ("accuracy", "val_accuracy") if history.get(key)]
            cells = [
                row["preset"] + one.get("label", "").removeprefix(row["preset"]),
                DATASETS[row["dataset"]],
                row["batch_size"],
                row["epochs"],
                f"{row['first_train']} / {row['first_top1']}",
                " / ".join(map(percent, first)) if len(first) == 2 else DASH,
                row["best_top1"],
                row["best_epoch"],
                row["top5"],
                row["epoch_seconds"],
                _write(one, "epoch_seconds", lambda value: f"{value:.1f}"),
                row["note"],
            ]
            lines.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    return "\n".join(lines)


def percent(value: float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{100 * value:.2f}"


def _write(row: Mapping[str, Any], key: str, write: Any) -> str:
    return DASH if row.get(key) is None else write(row[key])
