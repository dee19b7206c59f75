"""What studies are made of: tables with columns, theirs and ours, and sentences that hold or do not."""

import csv
import importlib.resources
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..tables import DASH, Row, short

Printed = Mapping[str, str]  # a row of a data file, as text under its headings
Figures = Mapping[tuple[str, ...], Mapping[str, float]]  # of each model, or model and data set, its figures by name
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mnist": "MNIST", "tiny_imagenet": "Tiny ImageNet"}


class PublishedTable(NamedTuple):
    """A published table with our figures in it.

    Args:
        title: heading.
        columns: headings of the columns.
        rows: the cells, text as it is to be shown, not yet escaped.
        notes: sentences below it, without a full stop.
        about: a paragraph above it, or empty.
        left: the columns of words; all others hold numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    notes: Sequence[str] = ()
    about: str = ""
    left: tuple[str, ...] = ("Model",)


class Relation(NamedTuple):
    """A sentence about figures, and the function that finds whether it is true of some; it may miss one (`KeyError`)."""

    sentence: str
    holds: Callable[[Figures], bool]


class Study(NamedTuple):
    """A publication: whose it is, a paragraph for the reader, its tables beside given rows, and its relations.

    `theirs` and `ours` give the figures that the relations are about.
    """

    source: str
    note: str
    tables: Callable[[Sequence[Row]], list[PublishedTable]]
    relations: tuple[Relation, ...] = ()
    theirs: Callable[[], Figures] = dict
    ours: Callable[[Sequence[Row]], Figures] = lambda rows: {}


class Column(NamedTuple):
    """A column of a table that stands beside a published one: heading, and the cell of a printed row and one of ours, or `{}`."""

    heading: str
    cell: Callable[[Printed, Row], str]


def read(name: str) -> list[dict[str, str]]:
    """The rows of a data file, as text under its headings."""
    with (importlib.resources.files(__package__) / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def theirs(heading: str, key: str) -> Column:
    """What the publication prints, digit for digit."""
    return Column(heading, lambda printed, row: printed[key] or DASH)


def ours(key: str, write: Callable[[Any], str], heading: str = "ours") -> Column:
    """What was measured here."""
    return Column(heading, lambda printed, row: written(row, key, write))


def written(row: Row, key: str, write: Callable[[Any], str]) -> str:
    """A figure of a row, or a dash."""
    return DASH if row.get(key) is None else write(row[key])


def percent(value: float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{100 * value:.2f}"


def matching(printed: Printed, rows: Iterable[Row]) -> list[Row]:
    """The trained rows of a published one: same preset, data and start, and the options that it names; whatever the others."""
    wanted = options(printed)
    return [
        row for row in rows
        if (row.get("preset"), row.get("dataset")) == (printed["preset"], printed["dataset"])
        and (row.get("task") or "train") == "train"
        and (row.get("init") or "scratch") == (printed.get("init") or "scratch")
        and all(option(row, name) == value for name, value in wanted.items())
    ]  # fmt: skip


def options(printed: Printed) -> dict[str, str]:
    """The options that tell a published row from others of its preset, as text: `kernel=performer m=16`."""
    return dict(word.split("=", 1) for word in (printed.get("options") or "").split())


def option(row: Row, name: str) -> str | None:
    """A row's own option as text: what was given, or else what the preset has; None if it has none of that name."""
    config = row.get("config") or {}
    for place in ((row.get("unit") or {}).get("overrides"), config, config.get("options"), {"m": row.get("m")}):
        if name in (place or {}):
            return short(place[name])
    return None


def name_of(printed: Printed, row: Row) -> str:
    """The name that the publication gives a model, and what was changed of it here."""
    known = {f"{key}={value}" for key, value in options(printed).items()} | {"init=checkpoint"}
    changed = [word for word in row.get("label", "").split(" ")[1:] if word not in known]
    odd = ["†"] if printed.get("anomaly") else []
    return " ".join([printed["model"], *odd, *changed, *([str(row["told"])] if "told" in row else [])])


def told(rows: Sequence[Row]) -> list[Row]:
    """The rows, those that differ from others in seed or profile alone with a word for it under `told`."""
    keys = [key for key in ("profile", "seed") if len({row.get(key) for row in rows}) > 1]
    return [{**row, "told": ", ".join(f"{key} {row.get(key)}" for key in keys)} if keys else row for row in rows]


def beside(title: str, printed: Sequence[Printed], rows: Sequence[Row], columns: Sequence[Column], **more: Any) -> PublishedTable:
    """A published table: each of its rows, once for each of ours that is of the same kind, or with dashes."""
    every = (Column("Model", name_of), *columns)
    cells = [
        [column.cell(one, row) for column in every] for one in printed for row in told(matching(one, rows)) or [{}]
    ]  # fmt: skip
    notes = [f"{one['model']}: {one['note']}" for one in printed if one.get("note")]
    notes += [f"† {one['model']}: {one['anomaly']}" for one in printed if one.get("anomaly")]
    return PublishedTable(title, tuple(column.heading for column in every), cells, notes, **more)


def measured(
    printed: Iterable[Printed], rows: Sequence[Row], key: Callable[[Printed], tuple], read: Mapping[str, Callable]
) -> Figures:
    """Our figures for published rows: the mean over those that are finished, were not retried, and have the figure."""
    sound = [row for row in rows if row.get("status") == "done" and not row.get("retried")]
    found: dict[tuple, dict[str, float]] = {}
    for one in printed:
        for name, get in read.items():
            values = [value for row in matching(one, sound) if (value := get(row)) is not None]
            if values:
                found.setdefault(key(one), {})[name] = statistics.fmean(values)
    return found
