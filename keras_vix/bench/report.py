"""The pages made of stored rows: `results.json`, `results.csv`, `results.md` and the figures. All can be remade."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import plots, published, store, tables

FORMS = ("png", "svg")


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
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("schema") == store.SCHEMA else {}


def ordered(rows: Sequence[tables.Row], order: Sequence[str]) -> list[tables.Row]:
    """Rows in the order of their suite; rows that it does not know come last."""
    places = {fingerprint: place for place, fingerprint in enumerate(order)}
    return sorted(rows, key=lambda row: places.get(row["fingerprint"], len(places)))


def write(out: Path, drawn: Iterable[str] | None = None) -> list[tables.Row]:
    """Write all pages of a results folder anew.

    Args:
        out: the folder, with one file for each unit in `rows`.
        drawn: fingerprints whose history figures are to be drawn, besides those that have none yet; None draws all.

    Returns:
        The rows, in the order of the table; empty (and nothing is written) if there is no usable row.
    """
    suite = suite_of(out)
    rows = ordered(store.read_all(out), suite.get("order", []))
    if rows:
        shown = tables.told_apart(rows)
        figures = write_figures(out, shown, drawn)
        store.write_text(out / "results.json", store.to_json({
            "schema": store.SCHEMA, "title": suite.get("title"), "command": suite.get("command"),
            "rows": tables.to_records(rows),
        }))
        store.write_text(out / "results.csv", tables.to_csv(rows))
        store.write_text(out / "results.md", page(shown, suite, figures))
    return rows


def write_figures(out: Path, rows: Sequence[tables.Row], drawn: Iterable[str] | None) -> dict[str, str]:
    """Draw the figures; returns their titles and, relative to `out`, their PNG paths, in the order of the page."""
    trained = [row for row in rows if (row.get("history") or {}).get("val_accuracy")]
    if not trained:
        return {}
    save(out, "accuracy_time", plots.plot_accuracy_time(trained))
    save(out, "validation_accuracy", plots.plot_grid(trained))
    figures = {
        "Test accuracy against time": "figures/accuracy_time.png",
        "Validation accuracy by epoch": "figures/validation_accuracy.png",
    }
    wanted = None if drawn is None else set(drawn)
    for row in trained:
        name = f"history-{store.slug(row['label'])}-{row['fingerprint']}"
        exists = all((out / "figures" / f"{name}.{form}").exists() for form in FORMS)
        if wanted is None or row["fingerprint"] in wanted or not exists:
            save(out, name, plots.plot_history(row["history"], title=row["label"]))
        figures[f"{row['label']} ({row['fingerprint']})"] = f"figures/{name}.png"
    return figures


def save(out: Path, name: str, figure: Any) -> None:
    """Write a figure in every form."""
    for form in FORMS:
        store.write_bytes(out / "figures" / f"{name}.{form}", plots.encode(figure, form))


NOTES = " ".join((
    "Train accuracy is Keras' own running figure of the last epoch, with dropout and augmentation on.",
    "Validation figures are those of the last epoch; the best epoch has the highest validation accuracy.",
    "Test figures are of the final weights, and the test images are used once.",
    "CE is the cross-entropy without label smoothing.",
    "Time/epoch includes validation and is the median over all epochs but the first, which compiles;",
    "time/step is what Keras prints, (epoch − first step) / (steps − 1), its median over the same epochs;",
    "images/s counts training alone.",
    "`~` marks times that rest on fewer than three steady epochs.",
    "Parameters are the trainable ones; multiply-adds are of one image, forward.",
))


def page(rows: Sequence[tables.Row], suite: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """The whole Markdown page."""
    title = suite.get("title") or "Results"
    parts = [f"# {tables.escape_markdown(title)}"]
    parts += [suite["description"].strip()] if suite.get("description") else []
    parts += [tables.caption(rows, suite.get("command") or ""), tables.to_markdown(rows).strip(), NOTES]
    parts += warnings_of(rows)
    parts += published.sections(suite["published"], rows) if suite.get("published") in published.STUDIES else []
    shared = list(figures.items())
    parts += [f"## {name}\n\n![{name}]({path})" for name, path in shared[:2]]
    if shared[2:]:
        parts.append("## Each run")
        parts += [f"![{tables.escape_markdown(name)}]({path})" for name, path in shared[2:]]
    parts += environment_section(rows)
    return "\n\n".join(parts) + "\n"


def warnings_of(rows: Sequence[tables.Row]) -> list[str]:
    """What a reader must know before trusting a time: a busy machine, or epochs that stand out."""
    busy = [row["label"] for row in rows if row.get("busy_at_start")]
    slow = [row["label"] for row in rows if row.get("slow_epochs")]
    most = f"{len(busy)} of {len(rows)}" if 2 * len(busy) > len(rows) > 2 else ", ".join(busy)
    found = [f"Something else was using the machine when these rows started: {most}."] if busy else []
    found += [f"Some epochs took more than twice the median: {', '.join(slow)}."] if slow else []
    return [f"> **Noisy times.** {tables.escape_markdown(' '.join(found))}"] if found else []


def environment_section(rows: Sequence[tables.Row]) -> list[str]:
    """A table of what the rows were measured on; where they differ, the values of all."""
    records = [row["environment"] for row in rows if row.get("environment")]
    if not records:
        return []
    flat = [flatten(record) for record in records]
    lines = ["| | |", "|:---|:---|"]
    for key in dict.fromkeys(key for record in flat for key in record):
        values = list(dict.fromkeys(str(record[key]) for record in flat if record.get(key) is not None))
        shown = f"{min(values)} to {max(values)}" if key == "utc" and len(values) > 1 else ", ".join(values)
        if values and key not in ("load_average", "others_percent"):
            lines.append(f"| {tables.escape_markdown(key.replace('_', ' '))} | {tables.escape_markdown(shown)} |")
    return ["## Environment", "\n".join(lines)]


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """One level of nesting taken out: `packages: {keras: 3}` becomes `keras: 3`."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        flat |= value if isinstance(value, Mapping) else {key: value}
    return flat
