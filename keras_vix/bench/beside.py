"""Published tables as data, so that every form of the report can show them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import published
from .columns import Column, count
from .tables import Cell, Grid, Row


class Beside(NamedTuple):
    """A study: its heading, what it is, and its tables with our figures in them."""

    title: str
    notes: Sequence[str]
    tables: Sequence[Grid]


def beside(study: str, rows: Sequence[Row]) -> Beside | None:
    """What is to be printed beside these rows; None if there is no such study, or none of its rows was run."""
    if study not in published.STUDIES:
        return None
    found = published.STUDIES[study]
    tables = [of_published(table) for table in published.tables(study, rows)]
    return Beside("Beside the published tables", [f"{found.source}. {found.note}"], tables) if tables else None


def of_published(table: Any) -> Grid:
    """A published table as one of ours."""
    columns = [Column("", title, str if title in table.left else count) for title in table.columns]
    notes = [*filter(None, [table.about]), *(f"{note.rstrip('.')}." for note in table.notes)]
    return Grid(table.title, columns, [[Cell(str(text)) for text in line] for line in table.rows], (), notes)
