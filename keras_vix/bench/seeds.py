"""Rows that differ in their seed alone, as one line each: mean and standard deviation."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .tables import COLUMNS, DASH, SETTINGS, Cell, Column, Grid, Row, count, counts, csv_text, given, of_cost, value_of, varying

# Averaged where rows of several seeds have them; what a seed does not change is printed once.
FIXED = (
    "epochs", "trainable_parameters", "published_parameters", "published_megabytes", "constant_parameters", "tokens",
    "multiply_adds",
)


class Family(NamedTuple):
    """Rows of one unit at several seeds: those that count, and how many were left out because they failed or were cut in half."""

    rows: list[Row]
    left_out: int


def families(rows: Sequence[Row]) -> list[Family]:
    """Trained rows by all but their seed, in order of appearance; of two rows with the same seed the later one counts."""
    found: dict[str, dict[Any, Row]] = {}
    lost: dict[str, int] = {}
    for row in rows:
        if of_cost(row):
            continue
        key = identity(row)
        found.setdefault(key, {})
        if counts(row):
            found[key][row.get("seed")] = row
        else:
            lost[key] = lost.get(key, 0) + 1
    return [Family(list(by_seed.values()), lost.get(key, 0)) for key, by_seed in found.items() if by_seed]


def identity(row: Row) -> str:
    """What rows of a family share: the unit but for its seed (and whose weights it starts from), and the machine."""
    unit = {key: value for key, value in (row.get("unit") or {}).items() if key not in ("seed", "start")}
    machine = [row.get(key) for key in ("preset", "init", "cpu", "gpu", "backend")]
    return json.dumps([unit, machine], sort_keys=True, default=str)


def repeated(rows: Sequence[Row]) -> bool:
    """Whether any unit was run at several seeds."""
    return any(len(family.rows) > 1 for family in families(rows))


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation with n - 1; None of a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """The name, settings other than the seed in which rows differ, then every figure that a table of the rows has."""
    own = [column for column in varying(rows) if column.key != "seed"]
    figures = [c for c in (*COLUMNS[1:], *given(rows)) if c.write is not str and c.key != "best_epoch"]
    return [COLUMNS[0], *own, Column("n", "Seeds", count), *figures]


def grid(rows: Sequence[Row]) -> Grid:
    """One line a family, each figure as mean ± sd; a figure that not all seeds have says of how many it is."""
    every = families(rows)
    columns = columns_of([row for family in every for row in family.rows])
    lines = [[cell(family, column) for column in columns] for family in every]
    left = sum(family.left_out for family in every)
    notes = ["Mean ± standard deviation (with n − 1) over seeds; a single seed has none."]
    notes += [f"{left} {'row' if left == 1 else 'rows'} that failed, or ran with half the batch, left out."] if left else []
    return Grid("Over seeds", columns, lines, [family.rows[0] for family in every], notes)


def cell(family: Family, column: Column) -> Cell:
    """A figure over the seeds of a family."""
    first = family.rows[0]
    if column.key == "n":
        return Cell(count(len(family.rows)), len(family.rows))
    if column.key == "label" or column in SETTINGS:
        value = value_of(first, column.key)
        return Cell(DASH if value is None else column.write(value), value)
    values = [row[column.key] for row in family.rows if row.get(column.key) is not None]
    if not values:
        return Cell(DASH)
    mean, sd = mean_and_sd(values)
    if sd is None or (column.key in FIXED and sd == 0):
        text = column.write(mean)
    else:
        text = f"{column.write(mean)} ± {column.write(sd)}"
    return Cell(text if len(values) == len(family.rows) else f"{text} ({len(values)})", mean)


def to_csv(rows: Sequence[Row]) -> str:
    """One line a family: name, settings, seeds, and mean and standard deviation of each figure in full."""
    every = families(rows)
    kept = [row for family in every for row in family.rows]
    figures = [column.key for column in columns_of(kept) if column not in (*SETTINGS, COLUMNS[0]) and column.key != "n"]
    names = [column.key for column in columns_of(kept) if column in SETTINGS]
    lines: list[list[Any]] = [["label", "preset", "m", "dataset", *(n for n in names if n != "dataset"), "seeds", "n",
                               *(f"{key}_{part}" for key in figures for part in ("mean", "sd"))]]
    for family in every:
        first = family.rows[0]
        line = [first.get(key) for key in lines[0][: lines[0].index("seeds")]]
        line += [" ".join(str(row.get("seed")) for row in family.rows), len(family.rows)]
        for key in figures:
            values = [row[key] for row in family.rows if row.get(key) is not None]
            line += mean_and_sd(values) if values else (None, None)
        lines.append(line)
    return csv_text(lines)
