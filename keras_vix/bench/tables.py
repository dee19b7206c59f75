"""Rows as tables: Markdown, CSV, JSON and the terminal. Pure functions; nothing here reads or writes a file."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]
DASH = "–"


def short(value: Any) -> str:
    """A value as it is written in a label."""
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class Column(NamedTuple):
    """One column: the key in a row, the heading, and how a value is written for people."""

    key: str
    title: str
    write: Callable[[Any], str]


def fraction(value: float) -> str:
    """Four decimals, as accuracies and losses are printed."""
    return f"{value:.4f}"


def seconds(value: float) -> str:
    """Seconds with about three digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def milliseconds(value: float) -> str:
    """Seconds written as milliseconds with about three digits."""
    return seconds(1000 * value)


def count(value: float) -> str:
    """A whole number with thousands apart: 21,666,762."""
    return f"{round(value):,}"


# The first six after the name are the columns of the reference tables, in their order.
COLUMNS = (
    Column("label", "Model", str),
    Column("train_accuracy", "Train accuracy", fraction),
    Column("val_accuracy", "Validation accuracy", fraction),
    Column("val_loss", "Validation loss", fraction),
    Column("epochs", "Epochs", count),
    Column("epoch_seconds", "Time/epoch (s)", seconds),
    Column("step_seconds", "Time/step (ms)", milliseconds),
    Column("test_accuracy", "Test accuracy", fraction),
    Column("best_epoch", "Best epoch", count),
    Column("best_val_accuracy", "Best val. accuracy", fraction),
    Column("val_ce", "Validation CE", fraction),
    Column("test_ce", "Test CE", fraction),
    Column("trainable_parameters", "Parameters", count),
    Column("tokens", "Tokens", count),
    Column("multiply_adds", "Multiply-adds", count),
    Column("images_per_second", "Images/s", count),
    Column("backend", "Backend", str),
    Column("device", "Device", str),
)
# Figures that not every row has: columns where some row has one, and where the published count is not the plain one.
SOMETIMES = (
    Column("test_top5", "Test top-5", fraction),
    Column("published_parameters", "Published count", count),
    Column("published_megabytes", "Published size (MB)", "{:.2f}".format),
)
# Settings get a column of their own only where rows differ in them; a caption names those that all rows share.
SETTINGS = (
    Column("dataset", "Dataset", str),
    Column("train_images", "Training images", count),
    Column("batch_size", "Batch size", count),
    Column("profile", "Profile", str),
    Column("seed", "Seed", str),
)
# What a CSV adds for whoever computes with it.
EXTRA = (
    "m", "status", "message", "dataset", "profile", "seed", "batch_size", "train_images", "validation_images",
    "test_images", "median_step_seconds", "first_step_seconds", "steady_epochs",
    "peak_memory_bytes", "cpu", "cores", "fingerprint",
)
TERMINAL = (
    "label", "train_accuracy", "val_accuracy", "val_loss", "epochs", "epoch_seconds", "step_seconds", "test_accuracy",
    "best_epoch", "trainable_parameters",
)


def varying(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The settings in which the rows differ."""
    return tuple(c for c in SETTINGS if len({row[c.key] for row in rows if row.get(c.key) is not None}) > 1)


def columns_of(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The name, the settings in which rows differ, then the measurements, those last that only some rows have."""
    plain = all(row.get("published_parameters") == row.get("trainable_parameters") for row in rows)
    extra = tuple(c for c in given(rows) if not (plain and c.key == "published_parameters"))
    return COLUMNS[:1] + varying(rows) + COLUMNS[1:] + extra


def given(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Of the columns that not every row has those that some row has."""
    return tuple(c for c in SOMETIMES if any(row.get(c.key) is not None for row in rows))


def failed(row: Row) -> bool:
    """Whether the row tells of a run that did not end well."""
    return row.get("status") != "done"


def one_line(text: str) -> str:
    """Text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def cell(row: Row, column: Column) -> str:
    """A value as people read it; a dash if there is none. The name of a failed row says what became of it."""
    value = row.get(column.key)
    if value is None:
        return DASH
    text = column.write(value)
    return f"{text} ({row['status']})" if column.key == "label" and failed(row) else text


def mark(row: Row, column: Column) -> str:
    """`~` before a time that rests on fewer than three steady epochs."""
    timed = column.key in ("epoch_seconds", "step_seconds", "images_per_second") and row.get(column.key) is not None
    return "~" if timed and (row.get("steady_epochs") or 0) < 3 else ""


def escape_markdown(text: str) -> str:
    """Text that a Markdown table shows as it is: no column breaks, no HTML, no emphasis or code."""
    text = one_line(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for character in "|`*[]":
        text = text.replace(character, f"\\{character}")
    return text


def to_markdown(rows: Sequence[Row]) -> str:
    """A Markdown table, the model at the left and numbers at the right; failed rows are named below it."""
    columns = columns_of(rows)
    lines = [
        "| " + " | ".join(column.title for column in columns) + " |",
        "|" + "|".join(":---" if column.write is str else "---:" for column in columns) + "|",
    ]
    for row in rows:
        cells = (mark(row, column) + escape_markdown(cell(row, column)) for column in columns)
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"- **{escape_markdown(row['label'])}** {row['status']}: {escape_markdown(row.get('message') or DASH)}"
             for row in rows if failed(row)]
    return "\n".join(lines + ([""] + notes if notes else [])) + "\n"


def safe(value: Any) -> Any:
    """A CSV cell that no spreadsheet runs as a formula: text that starts like one gets an apostrophe in front."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def to_csv(rows: Sequence[Row]) -> str:
    """All columns that some row has under their keys, numbers in full, one line a row."""
    keys = [column.key for column in COLUMNS + given(rows)]
    keys += [key for key in EXTRA if key not in keys]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(keys)
    for row in rows:
        writer.writerow([safe("" if row.get(key) is None else row[key]) for key in keys])
    return text.getvalue()


def to_records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows for `results.json`: all there is but the time of every single step, which stays in the row's own file."""
    return [{key: value for key, value in row.items() if key != "step_times"} for row in rows]


def to_rich(rows: Sequence[Row], title: str = "") -> Any:
    """A `rich` table with the columns that fit a terminal."""
    import rich.box
    import rich.table
    import rich.text

    table = rich.table.Table(title=rich.text.Text(title), box=rich.box.SIMPLE_HEAD, header_style="bold")
    columns = [column for column in columns_of(rows) if column.key in TERMINAL or column in SETTINGS]
    for column in columns:
        left = column.write is str
        table.add_column(column.title, justify="left" if left else "right", no_wrap=left, overflow="fold")
    for row in rows:
        cells = (rich.text.Text(mark(row, column) + one_line(cell(row, column))) for column in columns)
        table.add_row(*cells, style="red" if failed(row) else None)
    return table


def shared(rows: Sequence[Row], key: str) -> Any:
    """The value that all rows which have one share; None if they differ or have none."""
    values = {row[key] for row in rows if row.get(key) is not None}
    return values.pop() if len(values) == 1 else None


def span(rows: Sequence[Row], key: str) -> str:
    """`60`, or `50 to 60` if rows differ; empty if no row has the figure."""
    values = sorted({row[key] for row in rows if row.get(key) is not None})
    if not values:
        return ""
    return count(values[0]) if len(values) == 1 else f"{count(values[0])} to {count(values[-1])}"


def common(rows: Sequence[Row]) -> dict[str, Any]:
    """The overrides that several rows all share; none for a single row."""
    known = [row["unit"]["overrides"] for row in rows if row.get("unit")]
    if len(known) < 2 or len(known) < len(rows):
        return {}
    return {key: value for key, value in known[0].items() if all(key in one and one[key] == value for one in known)}


def told_apart(rows: Sequence[Row]) -> list[Row]:
    """The rows with labels that leave out what all of them share, and keep what tells them apart."""
    left_out = {f"{key}={short(value)}" for key, value in common(rows).items()}
    return [{**row, "label": " ".join(word for word in row["label"].split(" ") if word not in left_out)} for row in rows]


def caption(rows: Sequence[Row], command: str = "") -> str:
    """What the table was measured on: data and image counts, epochs, batch size, profile, seed, machine, command."""
    sizes = [(span(rows, f"{part}_images"), name) for part, name in
             (("train", "training"), ("validation", "validation"), ("test", "test"))]
    counted = ", ".join(f"{size} {name}" for size, name in sizes if size)
    parts = [f"{shared(rows, 'dataset') or 'several datasets'}{f' ({counted} images)' if counted else ''}"]
    parts += [f"{span(rows, 'epochs')} epochs"] if span(rows, "epochs") else []
    parts += [f"batch size {span(rows, 'batch_size')}"] if span(rows, "batch_size") else []
    for key in ("profile", "seed"):
        value = shared(rows, key)
        parts.append(f"{key} {value}" if value is not None else f"several {key}s")
    parts += [f"{key}={short(value)}" for key, value in common(rows).items()]
    text = f"Data: {', '.join(parts)}."
    machine = shared(rows, "cpu")
    cores = shared(rows, "cores")
    gpu = shared(rows, "gpu")
    text += f" Machine: {', '.join(filter(None, (gpu, machine, cores and f'{cores} cores')))}." if machine else ""
    return escape_markdown(text) + (f" Command: `{one_line(command).replace('`', '')}`." if command else "")
