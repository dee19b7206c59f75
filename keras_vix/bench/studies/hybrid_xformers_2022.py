"""Resource-efficient Hybrid X-formers for Vision, 2022: six tables and the runs that its notebooks logged."""

from collections.abc import Sequence

from ..tables import DASH, Row, count
from .study import DATASETS, Column, Printed, PublishedTable, Study, beside, matching, ours, percent, read, theirs, written

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
COLUMNS = (
    Column("Parameters", lambda printed, row: count(int(printed["parameters"]))),
    ours("published_parameters", count),
    theirs("Size (MB)", "size_mb"),
    ours("published_megabytes", "{:.2f}".format),
    ours("peak_memory_bytes", lambda value: f"{value / 1e9:.2f}", "Memory (GB), ours"),
    theirs("Top-1 (%)", "top1"),
    ours("test_accuracy", percent),
    theirs("Top-5 (%)", "top5"),
    ours("test_top5", percent),
)
RUN = (
    "Preset", "Data", "Batch", "Epochs", "Epoch 1 (%)", "ours", "Best top-1 (%)", "at epoch", "Top-5 (%)", "s/epoch", "ours",
    "Note",
)  # fmt: skip


def tables(rows: Sequence[Row]) -> list[PublishedTable]:
    """The six tables, as far as a row of each was run, and the logged runs."""
    printed, found = read("hybrid_xformers_2022"), []
    for number in dict.fromkeys(one["table"] for one in printed):
        table = [one for one in printed if one["table"] == number]
        if any(matching(one, rows) for one in table):
            found.append(beside(f"Table {number}, {DATASETS[table[0]['dataset']]}", table, rows, COLUMNS))
    cells = [run(one, row) for one in read("hybrid_xformers_2022_runs") for row in matching(one, rows)]
    return found + ([PublishedTable("Logged runs", RUN, cells, [], LOGGED, ("Preset", "Data", "Note"))] if cells else [])


def run(printed: Printed, row: Row) -> list[str]:
    """A logged run beside one of ours."""
    history = row.get("history") or {}
    first = [history[key][0] for key in ("accuracy", "val_accuracy") if history.get(key)]
    return [
        printed["preset"] + row.get("label", "").removeprefix(printed["preset"]),
        DATASETS[printed["dataset"]],
        printed["batch_size"],
        printed["epochs"],
        f"{printed['first_train']} / {printed['first_top1']}",
        " / ".join(map(percent, first)) if len(first) == 2 and None not in first else DASH,
        printed["best_top1"],
        printed["best_epoch"],
        printed["top5"],
        printed["epoch_seconds"],
        written(row, "epoch_seconds", "{:.1f}".format),
        printed["note"],
    ]


STUDY = Study("Jeevan and Sethi 2022, Resource-efficient Hybrid X-formers for Vision", NOTE, tables)
