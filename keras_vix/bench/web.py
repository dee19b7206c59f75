"""One HTML page that holds everything: tables, figures, commands, environment. It needs no network and no other file."""

import base64
import hashlib
import html
import importlib.resources
import string
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .columns import Column, mebibytes
from .rerun import command_of
from .tables import DASH, Cell, Grid, Row, cell, failed, noisy, one_line, varying

GROUPS = (
    ("", "Settings"), ("accuracy", "Accuracy"), ("time", "Time"), ("memory", "Memory"), ("cost", "Cost"), ("machine", "Machine"),
)
ALWAYS = Column("peak_memory_bytes", "Process peak (MiB)", mebibytes, "memory")
CHOICES = (("dataset", "Data set"), ("status", "Status"), ("preset", "Preset"), ("folder", "Folder"))
WIDE = 22  # columns; a wider table is printed in smaller letters
LONG = 48  # characters of a name that stay on one line
LARGEST = 7_000_000  # bytes of the page that figures may take; those beyond are links to their files


class Markup(str):
    """Text that is HTML already."""


class Picture(NamedTuple):
    """A drawn figure: where its file lies beside the page, what it is called, and its bytes as PNG."""

    path: str
    title: str
    caption: str
    run: str | None
    content: bytes


class Content(NamedTuple):
    """All that a page says. Texts are plain: whatever they contain is escaped here."""

    title: str
    description: str
    setting: str
    commands: Sequence[str]
    rows: Sequence[Row]
    tables: Sequence[Grid]
    more: Sequence[Grid]
    published: Sequence[tuple[str, Sequence[str], Sequence[Grid]]]
    notes: Sequence[str]
    doubts: Sequence[tuple[str, str]]
    pictures: Sequence[Picture]
    environment: Sequence[tuple[str, str]]
    written: str


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element. Children that are no Markup are escaped, and so is every attribute; None and False leave one out."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items() if value is not None and value is not False
    )
    return Markup(f"<{name}{said}>{join(children)}</{name}>" if name not in ("img", "input", "br", "wbr") else f"<{name}{said}>")


def join(children: Iterable[Any]) -> Markup:
    """Children one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(str(child)) for child in children))


def breakable(text: str) -> Markup:
    """A name that, where it is too long for its line, breaks behind an underscore and not within a word."""
    words = text.split("_")
    return join([part for word in words[:-1] for part in (f"{word}_", tag("wbr"))] + words[-1:])


def source_of(name: str) -> str:
    """A file of the page's own."""
    return (importlib.resources.files(__package__) / "page" / name).read_text(encoding="utf-8")


def hashed(text: str) -> str:
    """What the page's security policy calls a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page(content: Content) -> str:
    """The whole page."""
    style, script = source_of("page.css"), source_of("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {hashed(style)}; script-src {hashed(script)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )
    sections = sections_of(content)
    return string.Template(source_of("page.html")).substitute(
        policy=html.escape(policy, quote=False).replace('"', "&quot;"), title=html.escape(one_line(content.title)), style=style,
        script=script, header=header(content), written=html.escape(content.written),
        links=join(tag("a", title, href=f"#{name}") for name, title, _ in sections),
        main=join(tag("section", tag("h2", title), body, id=name) for name, title, body in sections),
    )


def sections_of(content: Content) -> list[tuple[str, str, Markup]]:
    """Name, heading and content of each section that has any."""
    names = ids(content.rows)
    apart = varying(content.rows)
    shared = [picture for picture in content.pictures if picture.run is None]
    found = [
        ("results", "Results", join([*(doubt(*one) for one in content.doubts), controls(content),
                                     *(box(one, names, own=True, alone=len(content.tables) == 1) for one in content.tables),
                                     tag("p", " ".join(content.notes), class_="notes")])),
        *((f"more-{number}", one.title, join([box(one, names, alone=True), *remarks(one.notes)]))
          for number, one in enumerate(content.more)),
        ("figures", "Figures", gallery(shared)),
        *((f"published-{number}", title, join([*remarks(notes), *(published(one) for one in grids)]))
          for number, (title, notes, grids) in enumerate(content.published)),
        ("failed", "Failed rows", join(failure(row, names) for row in content.rows if failed(row))),
        ("runs", "Each run", join(run(row, names, content.pictures, apart) for row in content.rows)),
        ("environment", "Environment", pairs(content.environment)),
    ]
    return [one for one in found if one[2]]


def header(content: Content) -> Markup:
    """Title, description, what was measured where, and the commands."""
    paragraphs = [tag("p", *coded(one_line(text))) for text in content.description.split("\n\n") if text.strip()]
    commands = [command(one) for one in content.commands if one]
    return join([tag("h1", one_line(content.title)), *paragraphs, tag("p", content.setting, class_="setting"), *commands])


def coded(text: str) -> list[Any]:
    """Text whose parts between two backticks are code, as in Markdown."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return [text]
    return [tag("code", part) if place % 2 else part for place, part in enumerate(parts)]


def command(text: str) -> Markup:
    """A command line, and a button that copies it."""
    button = tag("button", "Copy", type="button", class_="copy", hidden=True)
    return tag("div", tag("code", one_line(text)), button, class_="command")


def doubt(heading: str, text: str) -> Markup:
    """A warning."""
    return tag("p", tag("strong", f"{heading}. "), text, class_="warning")


def remarks(notes: Iterable[str]) -> list[Markup]:
    """Sentences that stand with a table: a paragraph, or a list of several."""
    said = [note for note in notes if note]
    if len(said) > 2:
        return [tag("ul", *(tag("li", note) for note in said), class_="notes")]
    return [tag("p", note, class_="notes") for note in said]


def controls(content: Content) -> Markup:
    """The text filter, a choice for each property in which rows differ, and a switch for each group of columns."""
    text = tag("input", type="search", id="filter", placeholder="words in any column", autocomplete="off")
    search = tag("label", "Filter ", text)
    choices = []
    for key, title in CHOICES:
        values = sorted({row[key] for row in content.rows if row.get(key)})
        if len(values) > 1:
            options = [tag("option", "all", value=""), *(tag("option", value, value=value) for value in values)]
            choices.append(tag("label", f"{title} ", tag("select", *options, data_choice=key)))
    groups = {column.group for one in (*content.tables, *content.more) for column in ordered(one)[0]}
    switches = [tag("label", tag("input", type="checkbox", checked=True, data_group=name), f" {title}")
                for name, title in GROUPS if name and name in groups]
    columns = tag("fieldset", tag("legend", "Columns"), *switches) if len(switches) > 1 else ""
    found = tag("output", "", id="found", aria_live="polite")
    return tag("div", search, *choices, columns, found, class_="controls", hidden=True)


def ids(rows: Sequence[Row]) -> dict[int, str]:
    """A name on the page for each row, by its place in memory."""
    return {id(row): f"run-{number}" for number, row in enumerate(rows)}


def ordered(table: Grid) -> tuple[list[Column], list[int]]:
    """The columns with those of a group side by side, and the place that each had; machines that all rows share are left out."""
    places = [place for place, column in enumerate(table.columns)
              if column.group != "machine" or len({line[place].text for line in table.lines} - {DASH}) > 1]
    order = {name: number for number, (name, _) in enumerate(GROUPS)}
    places.sort(key=lambda place: order.get(table.columns[place].group, len(order)))
    return [table.columns[place] for place in places], places


def box(table: Grid, names: Mapping[int, str], own: bool = False, alone: bool = False) -> Markup:
    """A table that scrolls inside its box, can be sorted by every column, and whose rows can be filtered.

    Args:
        table: what to show.
        names: where each row's run is on the page.
        own: a line is one row, with its marks, and not a mean of several.
        alone: the heading above says what the table is.
    """
    columns, places = ordered(table)
    groups = [(name, title, sum(column.group == name for column in columns)) for name, title in GROUPS]
    above = [tag("th", "" if not name else title, colspan=number, scope="colgroup", class_=look(name))
             for name, title, number in groups if number]
    heads = [tag("th", tag("button", column.title, type="button"), scope="col", class_=look(column.group, column))
             for column in columns]
    top = [tag("tr", *above, class_="groups")] if len(above) > 1 else []
    lines = []
    for number, line in enumerate(table.lines):
        row = table.rows[number] if table.rows else {}
        cells = [datum(line[place], column, place == 0, names.get(id(row)), row if own else {})
                 for column, place in zip(columns, places, strict=True)]
        said = {f"data_{key}": row.get(key) for key, _ in CHOICES}
        lines.append(tag("tr", *cells, class_="failed" if own and failed(row) else None, **said))
    caption = tag("caption", tag("span", table.title, class_="unseen") if alone else table.title)
    inside = tag("table", caption, tag("thead", *top, tag("tr", *heads)), tag("tbody", *lines),
                 class_="own wide" if len(columns) > WIDE else "own")
    return tag("div", inside, class_="box", tabindex=0, role="region", aria_label=table.title)


def look(group: str, column: Column | None = None) -> str | None:
    """The class of a cell: its group, and whether it is text."""
    words = [f"g-{group}" if group else "", "text" if column and column.write is str else ""]
    return " ".join(filter(None, words)) or None


def datum(one: Cell, column: Column, first: bool, name: str | None, row: Row) -> Markup:
    """A cell, with what sorts it; the name leads to the run and carries its marks."""
    if not first:
        return tag("td", one.text, class_=look(column.group, column), data_v=one.value)
    text = tag("a", breakable(one.text), href=f"#{name}") if name else breakable(one.text)
    badge = [" ", tag("span", "noisy", class_="badge", title="steps of very different times")] if row and noisy(row) else []
    return tag("th", text, *badge, scope="row", class_="long" if len(one.text) > LONG else None, data_v=one.value)


def published(table: Grid) -> Markup:
    """A table as it was printed elsewhere, with ours in it: it is not sorted."""
    heads = [tag("th", column.title, scope="col", class_=look("", column)) for column in table.columns]
    lines = [tag("tr", *(tag("td", one.text, class_=look("", column)) if place else tag("th", breakable(one.text), scope="row")
                         for place, (one, column) in enumerate(zip(line, table.columns, strict=True)))) for line in table.lines]
    inside = tag("table", tag("caption", table.title), tag("thead", tag("tr", *heads)), tag("tbody", *lines))
    return join([tag("div", inside, class_="box", tabindex=0, role="region", aria_label=table.title), *remarks(table.notes)])


def gallery(pictures: Sequence[Picture]) -> Markup:
    """Figures side by side; each opens large."""
    return tag("div", *map(figure, pictures), class_="gallery") if pictures else Markup("")


def figure(picture: Picture) -> Markup:
    """One figure: inside the page, or a link to its file where the page would become too large."""
    told = f". {picture.caption}" if picture.caption else ""
    words = tag("figcaption", tag("strong", picture.title), told)
    if not picture.content:
        return tag("figure", tag("a", "open the file", href=picture.path), words)
    data = f"data:image/png;base64,{base64.b64encode(picture.content).decode()}"
    width, height = struct.unpack(">II", picture.content[16:24])
    image = tag("img", src=data, alt=picture.title, width=width, height=height, loading="lazy", decoding="async")
    return tag("figure", tag("button", image, type="button", class_="enlarge", aria_label=f"Enlarge: {picture.title}"), words)


def failure(row: Row, names: Mapping[int, str]) -> Markup:
    """What became of a row, and the last lines of its log."""
    words = f"{row['status']}: {row.get('message') or 'no message'}"
    first = row.get("first_failure") or {}
    before = f"Before, with {first.get('batch_size', 'the whole batch')} images a batch: {first.get('status')}." if first else ""
    log = [tag("details", tag("summary", "Last lines of its log"), tag("pre", row["log"]))] if row.get("log") else []
    return tag("article", tag("h3", tag("a", row["label"], href=f"#{names[id(row)]}")), tag("p", words), *remarks([before]), *log)


AROUND = (("utc", "Started"), ("commit", "Commit"))
SHOWN = (
    Column("dataset", "Data set"), Column("profile", "Profile"), Column("seed", "Seed"), Column("epochs", "Epochs"),
    Column("batch_size", "Batch size"), Column("init", "Start"), Column("backend", "Backend"), Column("device", "Device"),
    Column("fingerprint", "Fingerprint"), Column("weights_sha256", "Weights, SHA-256"), Column("source", "Source"),
)


def run(row: Row, names: Mapping[int, str], pictures: Sequence[Picture], apart: Sequence[Column]) -> Markup:
    """One row: how to run it again, its settings and its figures. Closed until asked for; `apart` tells it from others."""
    environment = row.get("environment") or {}
    facts = [(column.title, column.write(row[column.key])) for column in SHOWN if row.get(column.key) is not None]
    facts += [(name, one_line(environment[key])) for key, name in AROUND if environment.get(key)]
    facts += [("Recipe", ", ".join(f"{one_line(key)}={one_line(value)}" for key, value in row["recipe"].items()))] \
        if row.get("recipe") else []
    again = command_of(row)
    how = command(again) if again else tag("p", "Run again by the command of its suite.", class_="notes")
    accuracy = cell(row, Column("test_accuracy", "", "{:.4f}".format))
    told = [f"{column.title.lower()} {column.write(row[column.key])}" for column in apart if row.get(column.key) is not None]
    told += [f"test accuracy {accuracy}"] if accuracy != DASH else []
    title = tag("summary", tag("strong", cell(row, Column("label", ""))), f" {', '.join(told)}")
    own = gallery([one for one in pictures if one.run == row.get("id", row.get("fingerprint"))])
    said = {f"data_{key}": row.get(key) for key, _ in CHOICES}
    return tag("details", title, how, pairs(facts), own, id=names[id(row)], class_="run", **said)


def pairs(facts: Iterable[tuple[str, str]]) -> Markup:
    """Names and what they are."""
    items = [join([tag("dt", name), tag("dd", value)]) for name, value in facts]
    return tag("dl", *items) if items else Markup("")
