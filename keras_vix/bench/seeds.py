"""Rows that differ in their seed alone, as one line each: mean and standard deviation."""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from .columns import SETTINGS, Column, count
from .tables import DASH, Cell, Grid, Row, columns_of, counts, csv_text, of_cost, value_of

# Averaged where rows of several seeds have them; what a seed does not change is printed once.
FIXED = (
    "epochs", "trainable_parameters", "published_parameters", "published_megabytes", "constant_parameters", "tokens",
    "multiply_adds",
)


COUNT = Column("n", "Seeds", count)
Family = list[Row]  # rows of one unit at several seeds


def families(rows: Sequence[Row]) -> list[Family]:
    """Trained rows by all but their seed, in order of appearance; of two rows with the same seed the later one counts.

    Rows that failed, or ran with half the batch, are in none.
    """
    found: dict[str, dict[Any, Row]] = {}
    for row in rows:
        if counts(row) and not of_cost(row):
            found.setdefault(identity(row), {})[row.get("seed")] = row
    return [list(by_seed.values()) for by_seed in found.values()]


def identity(row: Row) -> str:
    """What rows of a family share: the unit but for its seed (and whose weights it starts from), and the machine."""
    unit = {key: value for key, value in (row.get("unit") or {}).items() if key not in ("seed", "start")}
    machine = [row.get(key) for key in ("preset", "init", "cpu", "gpu", "backend")]
    return json.dumps([unit, machine], sort_keys=True, default=str)


def repeated(rows: Sequence[Row]) -> bool:
    """Whether any unit was run at several seeds."""
    return any(len(family) > 1 for family in families(rows))


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation with n - 1; None of a single value."""
    return statistics.mean(map(float, values)), None if len(values) == 1 else statistics.stdev(map(float, values))


def columns_over(rows: Sequence[Row]) -> list[Column]:
    """The name, settings other than the seed in which rows differ, then every figure that a table of the rows has."""
    own = [column for column in columns_of(rows) if column.key not in ("seed", "best_epoch")]
    named = [column for column in own if column.key == "label" or column in SETTINGS]
    return [*named, COUNT, *(column for column in own if column not in named and column.write is not str)]


def grid(rows: Sequence[Row]) -> Grid:
    """One line a family, each figure as mean ± sd; a figure that not all seeds have says of how many it is."""
    every = families(rows)
    columns = columns_over([row for family in every for row in family])
    lines = [[cell(family, column) for column in columns] for family in every]
    left = sum(not counts(row) for row in rows if not of_cost(row))
    notes = ["Mean ± standard deviation (with n − 1) over seeds; a single seed has none."]
    notes += [f"{left} {'row' if left == 1 else 'rows'} that failed, or ran with half the batch, left out."] if left else []
    return Grid("Over seeds", columns, lines, [family[0] for family in every], notes)


def cell(family: Family, column: Column) -> Cell:
    """A figure over the seeds of a family."""
    first = family[0]
    if column is COUNT:
        return Cell(count(len(family)), len(family))
    if column.key == "label" or column in SETTINGS:
        value = value_of(first, column.key)
        return Cell(DASH if value is None else column.write(value), value)
    values = [row[column.key] for row in family if row.get(column.key) is not None]
    if not values:
        return Cell(DASH)
    mean, sd = mean_and_sd(values)
    same = sd is None or (column.key in FIXED and sd == 0)
    text = column.write(mean) if same else f"{column.write(mean)} ± {column.write(sd)}"
    return Cell(text if len(values) == len(family) else f"{text} ({len(values)})", mean)


def to_csv(rows: Sequence[Row]) -> str:
    """One line a family: name, settings, seeds, and mean and standard deviation of each figure in full."""
    every = families(rows)
    columns = columns_over([row for family in every for row in family])
    place = columns.index(COUNT)
    names = list(dict.fromkeys(["label", "preset", "m", "dataset", *(column.key for column in columns[1:place])]))
    figures = [column.key for column in columns[place + 1 :]]
    lines: list[list[Any]] = [[*names, "seeds", "n", *(f"{key}_{part}" for key in figures for part in ("mean", "sd"))]]
    for family in every:
        line = [*(family[0].get(key) for key in names), " ".join(str(row.get("seed")) for row in family), len(family)]
        for key in figures:
            values = [row[key] for row in family if row.get(key) is not None]
            line += mean_and_sd(values) if values else (None, None)
        lines.append(line)
    return csv_text(lines)
