"""The figures of a results folder: which there are, which have to be drawn anew, and where they lie."""

import contextlib
import hashlib
import io
import json
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from . import plots, store
from .tables import Row

FORMS = ("png", "svg")
COLOURS = 256  # of a figure inside the page
KEPT = {"name", "title", "caption", "key", "run"}  # of each figure, in `figures/index.json`


def wanted(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every figure that these rows give reason for: file name, title, caption, whose run it is, and how it is drawn."""
    shared = [{"name": one.name, "run": None, "of": rows, "drawing": one} for one in suite_figures(rows)]
    own = [{"name": own_name(one.name, row), "run": name_of(row), "of": [row], "drawing": one}
           for row in rows for one in run_figures(row)]
    return [figure | {"key": key_of(figure)} for figure in (*shared, *own)]


def name_of(row: Row) -> str:
    """What tells the figures of a row from those of others: its fingerprint, or more where two folders have the same unit."""
    return row.get("id") or row["fingerprint"]


def own_name(name: str, row: Row) -> str:
    """The file name of a run's figure: it ends in what tells the row from others."""
    name = name.removesuffix(f"-{row['fingerprint']}").removesuffix(f"-{store.slug(row['label'])}")
    return f"{name}-{store.slug(row['label'])}-{name_of(row)}"


def key_of(figure: Mapping[str, Any]) -> str:
    """Changes whenever something that the figure may show has changed."""
    shown = [{key: value for key, value in row.items() if key != "step_times"} for row in figure["of"]]
    drawing = figure["drawing"]
    text = json.dumps([shown, drawing.name, drawing.title, drawing.caption, __version__], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def suite_figures(rows: Sequence[Row]) -> list[Any]:
    """The figures of all rows together; none if they cannot be told."""
    return attempt("the figures of all rows", lambda: plots.suite_figures(rows)) or []


def run_figures(row: Row) -> list[Any]:
    """The figures of one row; none of one that failed before its first epoch."""
    return attempt(f"the figures of {row['label']}", lambda: plots.run_figures(row)) or []


def attempt(what: str, make: Any) -> Any:
    """What `make` gives; None, and a warning, if it cannot: a figure never costs the page."""
    try:
        return make()
    except Exception as error:  # any row may be odd in a way of its own
        warnings.warn(f"Left out {what}: {type(error).__name__}: {error}", stacklevel=2)
        return None


def index_of(out: Path) -> dict[str, Any]:
    """What `figures/index.json` says: the figures drawn so far, and how long that took; empty if there is none."""
    try:
        found = json.loads((out / "figures" / "index.json").read_text(encoding="utf-8"))
        sound = found["schema"] == store.SCHEMA and all(KEPT <= one.keys() for one in found["drawn"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return found if sound else {}


def drawn_of(out: Path) -> list[dict[str, Any]]:
    """The figures that lie in the folder, in the order of the page."""
    return [one for one in index_of(out).get("drawn", []) if path_of(out, one["name"], "png").exists()]


def path_of(out: Path, name: str, form: str) -> Path:
    """Where a figure lies."""
    return out / "figures" / f"{Path(name).name}.{form}"


def draw(out: Path, rows: Sequence[Row], anew: Iterable[str] | None) -> list[dict[str, Any]]:
    """Draw what is missing or has changed; returns the figures that lie in the folder, in the order of the page.

    Args:
        out: the folder; the files go into its `figures`.
        rows: of which figures are drawn.
        anew: runs whose own figures are drawn whether they changed or not; None draws everything.
    """
    begin = time.monotonic()
    keys = {one["name"]: one["key"] for one in index_of(out).get("drawn", [])}
    again = None if anew is None else set(anew)
    drawn, asked = [], wanted(rows)
    for figure in asked:
        name, drawing = figure["name"], figure["drawing"]
        fresh = keys.get(name) == figure["key"] and all(path_of(out, name, form).exists() for form in FORMS)
        if again is None or figure["run"] in again or not fresh:
            files = attempt(f"the figure {name}", lambda drawing=drawing: files_of(drawing))
            if files is None:
                continue
            for form, content in files.items():
                store.write_bytes(path_of(out, name, form), content)
        said = {"title": drawing.title, "caption": drawing.caption}
        drawn.append({"name": name, **said, "key": figure["key"], "run": figure["run"]})
    if drawn:
        index = {"schema": store.SCHEMA, "seconds": round(time.monotonic() - begin, 2), "drawn": drawn}
        store.write_text(out / "figures" / "index.json", store.to_json(index))
        for name in keys.keys() - {figure["name"] for figure in asked}:  # rows that came later changed its name
            for form in FORMS:
                path_of(out, name, form).unlink(missing_ok=True)
    return drawn


def files_of(drawing: Any) -> dict[str, bytes]:
    """One drawing in every form."""
    figure = drawing.draw()
    return {form: plots.encode(figure, form) for form in FORMS}


def smaller(content: bytes) -> bytes:
    """A PNG with a palette, for the page: a fraction of the size, and to the eye the same; one that has a palette as it is."""
    from PIL import Image

    with contextlib.suppress(OSError, ValueError), Image.open(io.BytesIO(content)) as image:
        if image.mode == "P":
            return content
        written = io.BytesIO()
        image.convert("RGB").quantize(COLOURS).save(written, "PNG", optimize=True)
        return min(content, written.getvalue(), key=len)
    return content
