"""Published tables as data, so that every form of the report can show them."""

import re
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
    if not hasattr(published, "tables"):
        return of_markdown(published.sections(study, rows))
    found = published.STUDIES[study]
    tables = [of_published(table) for table in published.tables(study, rows)]
    return Beside("Beside the published tables", [f"{found.source}. {found.note}"], tables) if tables else None


def of_published(table: Any) -> Grid:
    """A published table as one of ours."""
    columns = [Column("", title, str if title in table.left else count) for title in table.columns]
    notes = [*filter(None, [table.about]), *(f"{note.rstrip('.')}." for note in table.notes)]
    return Grid(table.title, columns, [[Cell(str(text)) for text in line] for line in table.rows], (), notes)


def of_markdown(sections: Sequence[str]) -> Beside | None:
    """The same from a study that comes as Markdown: a heading and a paragraph, then a heading and a table each."""
    title, _, note = sections[0].partition("\n\n")
    tables = [grid_of(section) for section in sections[1:]]
    return Beside(title.lstrip("# "), [note], tables) if tables else None


def grid_of(section: str) -> Grid:
    """A table of a Markdown section, what stands round it as notes."""
    lines = [line for line in section.splitlines() if line]
    table = [cells(line) for line in lines if line.startswith("|")]
    columns = [Column("", title, str if rule == ":---" else count) for title, rule in zip(table[0], table[1], strict=True)]
    notes = [line.lstrip("- ") for line in lines[1:] if not line.startswith("|")]
    return Grid(lines[0].lstrip("# "), columns, [[Cell(plain(text)) for text in line] for line in table[2:]], (), notes)


def cells(line: str) -> list[str]:
    """The cells of a line, split where a bar has no backslash before it."""
    return [text.strip() for text in re.split(r"(?<!\\)\|", line)[1:-1]]


def plain(text: str) -> str:
    """A Markdown cell as text."""
    text = text.replace("&lt;", "<").replace("&#58;", ":").replace("&#46;", ".").replace("&amp;", "&")
    return re.sub(r"\\([\\|`*\[\]])", r"\1", text)
