"""The pages made of stored rows: Markdown, CSV, LaTeX, JSON, one HTML page, and the figures. All can be remade."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from . import doubts, figures, latex, profiles, seeds, store, tables, web
from .beside import Beside, beside
from .board import pages
from .clean import clean
from .tables import Grid, Row, escape_markdown, one_line, paragraph, prose

FORMATS = ("md", "csv", "json", "tex", "html")
PAUSE = 20.0  # seconds at least between two drawings while a benchmark runs
SHARE = 0.05  # of the time at most that these drawings take
WIDEST = 500  # characters of a line of the environment


class Results(NamedTuple):
    """What one or several results folders hold, ready to be shown."""

    rows: list[Row]  # in order, labels told apart
    stored: list[Row]  # the same with the labels they were stored with
    title: str
    description: str
    commands: list[str]
    studies: list[str]


def describe_suite(
    out: Path, title: str, description: str, command: str, fingerprints: Iterable[str], study: str = ""
) -> None:
    """Remember in `suite.json` what the report is called and in which order its rows stand.

    Rows of earlier runs in the same folder keep their places; new ones come after them.
    """
    order = list(dict.fromkeys([*suite_of(out).get("order", []), *fingerprints]))
    page = {"schema": store.SCHEMA, "title": title, "description": description, "command": command, "published": study,
            "order": order}
    store.write_text(out / "suite.json", store.to_json(page))


def suite_of(out: Path) -> dict[str, Any]:
    """What `suite.json` holds; empty if there is none or it is torn, for then the rows alone make the report."""
    try:
        found = json.loads((out / "suite.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.get("schema") != store.SCHEMA:
        return {}
    order = found.get("order")
    words = {key: str(found.get(key) or "") for key in ("title", "description", "command", "published")}
    return found | words | {"order": [str(one) for one in order] if isinstance(order, list) else []}


def ordered(rows: Sequence[Row], order: Sequence[str]) -> list[Row]:
    """Rows in the order of their suite; rows that it does not know come last."""
    places = {fingerprint: place for place, fingerprint in enumerate(order)}
    return sorted(rows, key=lambda row: places.get(row["fingerprint"], len(places)))


def gather(folders: Sequence[Path]) -> Results:
    """The rows of all folders, each in its own order, and what their suites are called.

    With several folders each row says which it is from, and two rows of one unit have figures of their own.
    """
    rows: list[Row] = []
    suites = [suite_of(folder) for folder in folders]
    names = distinct(folders)
    for place, (folder, suite, name) in enumerate(zip(folders, suites, names, strict=True)):
        own = ordered(clean(store.read_all(folder)), suite.get("order", []))
        more = {"folder": name} if len(folders) > 1 else {}
        rows += [row | more | ({"id": f"{row['fingerprint']}-{place + 1}"} if more else {}) for row in own]

    def every(key: str) -> list[str]:
        return list(dict.fromkeys(suite[key] for suite in suites if suite.get(key)))

    return Results(tables.told_apart(rows), rows, " and ".join(every("title")) or "Results", "\n\n".join(every("description")),
                   every("command"), every("published"))


def distinct(folders: Sequence[Path]) -> list[str]:
    """The last word of each folder's path, and as many before it as tell them apart."""
    for words in range(1, 9):
        names = ["/".join(folder.absolute().parts[-words:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {name}" for number, name in enumerate(names, 1)]


# ---- writing -------------------------------------------------------------------------------------------------------


def write(
    out: Path, drawn: Iterable[str] | None = None, *, folders: Sequence[Path] = (), formats: Sequence[str] = FORMATS
) -> list[Row]:
    """Write all pages of a results folder, and the figures that are missing or have changed.

    Several runners may do so, one after the other: each page is replaced as a whole, and whoever is last has read all rows.

    Args:
        out: where the pages go: the folder with one file for each unit in `rows`, unless `folders` says where they are.
        drawn: fingerprints whose own figures are drawn in any case; None draws everything anew.
        folders: results folders whose rows are put on one page.
        formats: which of `FORMATS`; figures are drawn for `md` and `html`.

    Returns:
        The rows, in the order of the table; empty (and nothing is written) if there is no usable row.

    Raises:
        ValueError: a format is not known.
        OSError: `out` cannot be written.
    """
    check_formats(formats)
    folders = list(folders) or [out]
    found = gather(folders)
    if not found.rows:
        return []
    with pages(out, wait=True):
        found = gather(folders)
        if {"md", "html"} & set(formats):
            figures.draw(out, found.rows, drawn)
        if "html" in formats:
            store.write_text(out / "results.html", to_html(found, pictures_of(out)))
        write_pages(out, found, formats)
    return found.stored


def refresh(out: Path) -> None:
    """After a row of a running benchmark: the cheap pages now, figures and the HTML page if some time has passed.

    They wait for `PAUSE` seconds since they were last written, or longer, so that they never take more than `SHARE` of the
    time. `write` at the end makes everything complete. While another runner writes, nothing is done.
    """
    with pages(out, wait=False) as free:
        found = gather([out]) if free else None
        if found is None or not found.rows:
            return
        drawing = due(out, store.now())
        if drawing:
            figures.draw(out, found.rows, ())
            store.write_text(out / "results.html", to_html(found, pictures_of(out)))
        write_pages(out, found, FORMATS)


def due(out: Path, now: float) -> bool:
    """Whether figures and HTML are old enough to be made again. A clock that was set back makes them old."""
    try:
        age = now - (out / "results.html").stat().st_mtime
    except OSError:
        return True
    cost = figures.index_of(out).get("seconds", 0)
    return not 0 <= age < max(PAUSE, cost / SHARE)


def write_pages(out: Path, found: Results, formats: Sequence[str]) -> None:
    """The pages that cost next to nothing."""
    if "json" in formats:
        store.write_text(out / "results.json", store.to_json({
            "schema": store.SCHEMA, "title": found.title, "command": "; ".join(found.commands) or None,
            "rows": tables.to_records(found.stored),
        }))
    if "csv" in formats:
        store.write_text(out / "results.csv", tables.to_csv(found.stored))
        if seeds.repeated(found.stored):
            store.write_text(out / "results_by_seed.csv", seeds.to_csv(found.stored))
    if "tex" in formats:
        store.write_text(out / "results.tex", to_latex(found))
    if "md" in formats:
        store.write_text(out / "results.md", to_markdown(found, figures.drawn_of(out)))


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that is not known."""
    unknown = [one for one in formats if one not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"format must be of {', '.join(FORMATS)}. Received: format={','.join(unknown or formats)!r}.")


# ---- what is on the pages ------------------------------------------------------------------------------------------


NOTES = (
    "Train accuracy is Keras' own running figure of the last epoch, with dropout and augmentation on.",
    "Validation figures are those of the last epoch; the best epoch has the highest validation accuracy.",
    "Test figures are of the final weights, and the test images are used once.",
    "CE is the cross-entropy without label smoothing.",
    "Time/epoch includes validation and is the median over all epochs but the first, which compiles;",
    "time/step is what Keras prints, (epoch − first step) / (steps − 1), its median over the same epochs;",
    "images/s counts training alone.",
    "`~` marks times that rest on fewer than three steady epochs.",
    "Parameters are the trainable ones; multiply-adds are of one image, forward.",
)
# Said only where a row has the figure.
NOTES_IF = (
    ("latency_1_seconds",
     "Latency is the median time of one forward pass, throughput that of batches of 64 (untrained: of a step's)."),
    ("train_memory_bytes",
     "Memory is the peak while that phase runs, of the device, or of the whole process where a device does not tell."),
    ("kernel_error",
     "Kernel error is the mean relative distance from exact attention, on the trained model's own queries, keys and values."),
    ("constant_parameters", "Constant parameters are those that training does not move."),
    ("train_step_seconds", "Training step is the median time of one step on random images."),
)


def notes_of(rows: Sequence[Row]) -> list[str]:
    """What the columns mean: those that there are."""
    trained, _ = tables.split(rows)
    found = list(NOTES) if trained else [NOTES[-1]]
    found += [note for key, note in NOTES_IF if any(row.get(key) is not None for row in rows)]
    return found + (["`?` marks times whose steps differ much."] if any(map(tables.noisy, rows)) else [])


def studies_of(found: Results) -> list[Beside]:
    """The published tables of every study that the folders ask for."""
    every = [figures.attempt(f"the tables of {study}", lambda study=study: beside(study, found.rows)) for study in found.studies]
    return [one for one in every if one]


def doubts_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Warnings, and in which settings the rows differ."""
    told = [("Not all alike", text) for group in tables.split(rows) if (text := doubts.told_differences(group))]
    return doubts.doubts(rows) + told


def warnings_of(rows: Sequence[Row]) -> list[str]:
    """The same in Markdown."""
    return [f"> **{heading}.** {escape_markdown(text)}" for heading, text in doubts_of(rows)]


def comparisons(rows: Sequence[Row]) -> list[Grid]:
    """The table of means, if any unit was run at several seeds, and that of profiles, if any was run in both."""
    means = seeds.grid(rows) if seeds.repeated(rows) else None
    return [one for one in (means, profiles.grid(rows)) if one]


def to_markdown(found: Results, drawn: Sequence[Mapping[str, Any]]) -> str:
    """The whole Markdown page."""
    rows = found.rows
    parts = [f"# {escape_markdown(found.title)}"]
    parts += [paragraph(text) for text in found.description.split("\n\n") if text.strip()]
    parts += [tables.caption(rows, "; ".join(found.commands)), tables.to_markdown(rows).strip(), " ".join(notes_of(rows))]
    parts += warnings_of(rows)
    for one in comparisons(rows):
        parts += [f"## {one.title}", tables.markdown(one), *map(prose, one.notes)]
    for one in studies_of(found):
        parts += [f"## {one.title}", *map(prose, one.notes)]
        for table in one.tables:
            parts += [f"### {escape_markdown(table.title)}", tables.markdown(table), *map(prose, table.notes)]
    parts += [f"## {escape_markdown(one['title'])}\n\n{picture(one)}" for one in drawn if one["run"] is None]
    own = [picture(one) for one in drawn if one["run"] is not None]
    parts += ["## Each run", *own] if own else []
    parts += logs(rows)
    return "\n\n".join(parts + environment_section(rows)) + "\n"


def picture(drawn: Mapping[str, Any]) -> str:
    """A figure in Markdown, with its caption."""
    title = drawn["title"] if drawn["run"] is None else f"{drawn['title']} ({drawn['run']})"
    image = f"![{escape_markdown(title)}](figures/{drawn['name']}.png)"
    return f"{image}\n\n{paragraph(drawn['caption'])}" if drawn["caption"] else image


def logs(rows: Sequence[Row]) -> list[str]:
    """The last lines of the logs of failed rows, as code that nothing in it can end."""
    told = [row for row in rows if tables.failed(row) and row.get("log")]
    code = ["\n".join(f"    {line}" for line in row["log"].splitlines()) for row in told]
    parts = [f"### {escape_markdown(row['label'])}\n\n{lines}" for row, lines in zip(told, code, strict=True)]
    return ["## Failed rows", *parts] if told else []


def to_latex(found: Results) -> str:
    """All tables in LaTeX."""
    published = [table for one in studies_of(found) for table in one.tables]
    own = latex.page([*tables.grids(found.rows), *comparisons(found.rows)], tables.setting(found.rows))
    return own + ("\n" + "\n\n".join(map(latex.to_latex, published)) + "\n" if published else "")


def to_html(found: Results, pictures: Sequence[web.Picture]) -> str:
    """The whole HTML page."""
    rows = found.rows
    own = [tables.grid(part, with_peak(columns(part), part), title) for part, columns, title in zip(
        tables.split(rows), (tables.columns_of, tables.cost_columns), ("Results", "Cost"), strict=True) if part]
    studies = [(one.title, one.notes, one.tables) for one in studies_of(found)]
    written = f"Written by keras_vix {__version__}. The same figures in full: results.csv and results.json beside this page."
    return web.page(web.Content(
        found.title, found.description, tables.setting(rows), found.commands, rows, own, comparisons(rows), studies,
        [re.sub("`(.)`", r"“\1”", note) for note in notes_of(rows)], doubts_of(rows), pictures, environment_of(rows), written,
    ))


def with_peak(columns: Sequence[tables.Column], rows: Sequence[Row]) -> list[tables.Column]:
    """The columns, and the peak of the process where nothing better is known."""
    known = any(column.group == "memory" for column in columns)
    return [*columns, *([] if known else tables.given(rows, [web.ALWAYS]))]


def pictures_of(out: Path) -> list[web.Picture]:
    """The drawn figures with their bytes, those of all rows first; beyond `web.LARGEST` they are left in their files."""
    found, room = [], web.LARGEST
    for one in figures.drawn_of(out):
        content = figures.smaller(figures.path_of(out, one["name"], "png").read_bytes()) if room > 0 else b""
        size = len(content) * 4 // 3
        content = content if size <= room else b""
        room -= size if content else 0
        found.append(web.Picture(f"figures/{one['name']}.png", one["title"], one["caption"], one["run"], content))
    return found


def environment_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What the rows were measured on; where they differ, the values of all."""
    flat = [flatten(row["environment"]) for row in rows if row.get("environment")]
    found = []
    for key in dict.fromkeys(key for record in flat for key in record):
        values = list(dict.fromkeys(str(record[key]) for record in flat if record.get(key) is not None))
        shown = f"{min(values)} to {max(values)}" if key == "utc" and len(values) > 1 else ", ".join(values)
        if values and key not in ("load_average", "others_percent"):
            found.append((one_line(key.replace("_", " "))[:WIDEST], one_line(shown)[:WIDEST]))
    return found


def environment_section(rows: Sequence[Row]) -> list[str]:
    """The environment as a Markdown table."""
    lines = [f"| {escape_markdown(key)} | {escape_markdown(value)} |" for key, value in environment_of(rows)]
    return ["## Environment", "\n".join(["| | |", "|:---|:---|", *lines])] if lines else []


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """One level of nesting taken out: `packages: {keras: 3}` becomes `keras: 3`."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        flat |= value if isinstance(value, Mapping) else {key: value}
    return flat
