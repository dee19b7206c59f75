"""Rows as tables: Markdown, CSV, JSON and the terminal. Pure functions; nothing here reads or writes a file."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .columns import (
    COLUMNS, COST, EXTRA, OPTIONAL, SETTINGS, SOMETIMES, TERMINAL, TERMINAL_COST, TIMED, Column, count, short,
)  # fmt: skip
from .columns import fraction, milliseconds, seconds  # noqa: F401  known to others from here
from ..train.timing import NOISY

Row = Mapping[str, Any]
DASH = "–"


class Cell(NamedTuple):
    """What stands in one place of a table, and the number or text that sorts it; None sorts last."""

    text: str
    value: Any = None


class Grid(NamedTuple):
    """A table as data: what Markdown, LaTeX and HTML are written from. `rows` says which row each line is of, if any."""

    title: str
    columns: Sequence[Column]
    lines: Sequence[Sequence[Cell]]
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()


def value_of(row: Row, key: str) -> Any:
    """A figure of a row; None if it has none. The size of the input stands in the model's configuration."""
    return (row.get("config") or {}).get(key) if key == "input_shape" else row.get(key)


def of_cost(row: Row) -> bool:
    """Whether the row is of a model that is measured and not trained."""
    return (row.get("task") or (row.get("unit") or {}).get("task")) == "cost"


def split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of models that are trained, and those of models that are only measured."""
    return [row for row in rows if not of_cost(row)], [row for row in rows if of_cost(row)]


def varying(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The settings in which the rows differ."""
    return tuple(c for c in SETTINGS if len({row[c.key] for row in rows if row.get(c.key) is not None}) > 1)


def columns_of(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The name, the settings in which rows differ, then the measurements, those last that only some rows have."""
    plain = all(row.get("published_parameters") == row.get("trainable_parameters") for row in rows)
    extra = tuple(c for c in given(rows) if not (plain and c.key == "published_parameters"))
    return COLUMNS[:1] + varying(rows) + COLUMNS[1:] + extra


def cost_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The columns of models that are only measured: the name, settings that differ, and what some row has."""
    return COST[:1] + varying(rows) + given(rows, COST[1:])


def given(rows: Sequence[Row], columns: Sequence[Column] = SOMETIMES) -> tuple[Column, ...]:
    """Of the columns those that some row has a value for."""
    return tuple(c for c in columns if any(value_of(row, c.key) is not None for row in rows))


def failed(row: Row) -> bool:
    """Whether the row tells of a run that did not end well."""
    return row.get("status") != "done"


def counts(row: Row) -> bool:
    """Whether a row may be compared and averaged: it ended well, and with the batch that it was to have."""
    return not failed(row) and not row.get("retried")


def noisy(row: Row) -> bool:
    """Whether the steps of a row took such different times that their median says little."""
    return (row.get("step_spread") or 0) > NOISY


def one_line(text: str) -> str:
    """Text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def cell(row: Row, column: Column) -> str:
    """A value as people read it; a dash if there is none.

    The name of a row that failed says what became of it, and that of a row with half its batch says so.
    """
    value = value_of(row, column.key)
    if value is None:
        return DASH
    text = column.write(value)
    if column.key == "label":
        text += f" ({row['status']})" if failed(row) else ""
        text += " (half batch)" if row.get("retried") else ""
    return text


def mark(row: Row, column: Column) -> str:
    """`~` before a time that rests on fewer than three steady epochs, `?` before one whose steps differ much."""
    if row.get(column.key) is None:
        return ""
    few = column.key in TIMED and (row.get("steady_epochs") or 0) < 3
    unsure = column.key in (*TIMED, "train_step_seconds") and noisy(row)
    return "~" * few + "?" * unsure


def grid(rows: Sequence[Row], columns: Sequence[Column], title: str = "") -> Grid:
    """Rows as a table of these columns."""
    lines = [[Cell(mark(row, c) + cell(row, c), sortable(value_of(row, c.key))) for c in columns] for row in rows]
    return Grid(title, tuple(columns), lines, tuple(rows))


def sortable(value: Any) -> Any:
    """What a column is sorted by: a finite number, or text; a shape by its size."""
    if isinstance(value, (list, tuple)):
        return math.prod(value)
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) else None
    return value


def grids(rows: Sequence[Row]) -> list[Grid]:
    """The tables of these rows: trained models, then those that are only measured."""
    trained, measured = split(rows)
    measured = [{**row, "label": without_size(row["label"])} for row in measured]
    found = [grid(trained, columns_of(trained), "Results")] if trained else []
    return found + ([grid(measured, cost_columns(measured), "Cost")] if measured else [])


def without_size(label: str) -> str:
    """A label without the size of the images, which has a column of its own beside it."""
    return " ".join(word for word in label.split(" ") if not word.startswith("input_shape=")) or label


def escape_markdown(text: str) -> str:
    """Text that a Markdown table shows as it is: no column breaks, no HTML, no emphasis, code or links."""
    text = one_line(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for character in "|`*[]":
        text = text.replace(character, f"\\{character}")
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])|~(?=~)", r"\\\g<0>", text)  # inside a word an underscore means nothing
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")


def paragraph(text: str) -> str:
    """`escape_markdown` for text that begins a line: it starts no heading, list, quotation or rule."""
    return re.sub(r"^(\d{1,9})(?=[.)])|^(?=[#>+=~-])", r"\1\\", escape_markdown(text))


def prose(text: str) -> str:
    """`paragraph`, in which plain words between backticks stay code."""
    return re.sub(r"\\`([\w.=-]+)\\`", r"`\1`", paragraph(text))


def markdown(table: Grid) -> str:
    """A table in Markdown, text at the left and numbers at the right."""
    lines = [
        "| " + " | ".join(escape_markdown(column.title) for column in table.columns) + " |",
        "|" + "|".join(":---" if column.write is str else "---:" for column in table.columns) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(escape_markdown(one.text) for one in line) + " |" for line in table.lines])


def to_markdown(rows: Sequence[Row]) -> str:
    """Markdown tables, the model at the left and numbers at the right; failed rows are named below."""
    parts = []
    for table in grids(rows):
        notes = [f"- **{escape_markdown(row['label'])}** {escape_markdown(row['status'])}: "
                 f"{escape_markdown(row.get('message') or DASH)}" for row in table.rows if failed(row)]
        parts.append("\n".join([markdown(table), *([""] + notes if notes else [])]))
    return "\n\n".join(parts) + "\n"


FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # the last four are their full-width forms


def safe(value: Any) -> Any:
    """A CSV cell that no spreadsheet runs as a formula: text that starts like one gets an apostrophe in front."""
    if isinstance(value, str) and (value[:1] in ("\t", "\r", "\n") or value.lstrip()[:1] in FORMULA):
        return "'" + value
    return value


def csv_text(lines: Iterable[Iterable[Any]]) -> str:
    """Lines of values as CSV, None as nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([safe("" if value is None else value) for value in line] for line in lines)
    return text.getvalue()


def to_csv(rows: Sequence[Row]) -> str:
    """All columns that some row has under their keys, numbers in full, one line a row."""
    optional = [key for key in OPTIONAL if any(row.get(key) is not None for row in rows)]
    keys = list(dict.fromkeys([
        *(c.key for c in COLUMNS + given(rows)), *(c.key for c in given(split(rows)[1], COST)), *EXTRA, *optional,
    ]))
    values = ([value_of(row, key) for key in keys] for row in rows)
    return csv_text([keys, *([short(value) if isinstance(value, list) else value for value in line] for line in values)])


def to_records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows for `results.json`: all there is but the time of every single step, which stays in the row's own file."""
    return [{key: value for key, value in row.items() if key != "step_times"} for row in rows]


def to_rich(rows: Sequence[Row], title: str = "") -> Any:
    """A `rich` table with the columns that fit a terminal; two, one below the other, if some models were only measured."""
    import rich.console

    found = grids(rows) or [grid((), COLUMNS)]
    return rich.console.Group(*(rich_table(table, title if table is found[0] else "") for table in found))


def rich_table(table: Grid, title: str) -> Any:
    """One table for the terminal."""
    import rich.box
    import rich.table
    import rich.text

    shown = rich.table.Table(title=rich.text.Text(title), box=rich.box.SIMPLE_HEAD, header_style="bold")
    cost = bool(table.rows) and of_cost(table.rows[0])  # whose names are long: they wrap, and numbers never do
    keys = TERMINAL_COST if cost else TERMINAL
    narrow = [place for place, column in enumerate(table.columns) if column.key in keys or column in SETTINGS]
    for place in narrow:
        left = table.columns[place].write is str
        shown.add_column(table.columns[place].title, justify="left" if left else "right", no_wrap=left != cost, overflow="fold")
    for row, line in zip(table.rows, table.lines, strict=True):
        cells = (rich.text.Text(one_line(line[place].text)) for place in narrow)
        shown.add_row(*cells, style="red" if failed(row) else None)
    return shown


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
    known = [row["unit"].get("overrides", {}) for row in rows if row.get("unit")]
    if len(known) < 2 or len(known) < len(rows):
        return {}
    return {key: value for key, value in known[0].items() if all(key in one and one[key] == value for one in known)}


def told_apart(rows: Sequence[Row]) -> list[Row]:
    """The rows with labels that leave out what all of them share, and keep what tells them apart."""
    left_out = {f"{key}={short(value)}" for key, value in common(rows).items()}
    return [{**row, "label": " ".join(word for word in row["label"].split(" ") if word not in left_out)} for row in rows]


def setting(rows: Sequence[Row]) -> str:
    """What the rows were measured on, in plain words: data and image counts, epochs, batch size, profile, seed, machine."""
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
    if all(of_cost(row) for row in rows):
        text = "Random images; nothing is trained."
    machine = shared(rows, "cpu")
    cores = shared(rows, "cores")
    gpu = shared(rows, "gpu")
    counted = cores and f"{cores} core{'s' if cores != 1 else ''}"
    return text + (f" Machine: {', '.join(filter(None, (gpu, machine, counted)))}." if machine else "")


def caption(rows: Sequence[Row], command: str = "") -> str:
    """`setting` and the command, in Markdown."""
    return escape_markdown(setting(rows)) + (f" Command: `{one_line(command).replace('`', '')}`." if command else "")
