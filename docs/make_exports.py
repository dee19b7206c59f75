"""Exports every image preset to every format and writes the table of `docs/export.md`: run `python docs/make_exports.py`.

The models have the sizes that tests can afford: one block, narrow tokens, 8 x 8 digits. Presets that are the same model at that
size are exported once. Needs the extras `onnx` and `litert`. What was measured stays in `runs/exports/rows.jsonl`, and the same
command goes on from there; `--again` starts anew.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import keras

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import keras_vix  # noqa: E402
from keras_vix.interop import ExportError  # noqa: E402
from keras_vix.interop.formats import FORMATS  # noqa: E402
from tests.presets import small, twins  # noqa: E402

ROWS = ROOT / "runs/exports/rows.jsonl"
PAGE = ROOT / "docs/export.md"
BEGIN, END = "<!-- made by docs/make_exports.py -->\n", "<!-- end -->\n"


def measure(name: str, formats) -> list[dict]:
    """A row for each format."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model, rows = keras_vix.build(name, dataset="digits", compile=False, **small(name)), []
    for format in formats:
        row = {"preset": name, "format": format}
        with tempfile.TemporaryDirectory() as folder:
            try:
                report = keras_vix.export(model, pathlib.Path(folder) / f"model{FORMATS[format].suffix}", format)
            except ExportError as error:
                rows.append(row | {"reason": str(error)})
                continue
        kept = ("bytes", "difference", "largest", "agreement", "runtime", "notes")
        rows.append(row | {key: getattr(report, key) for key in kept})
    return rows


def known() -> list[dict]:
    """The rows that were measured before."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def table(rows: list[dict]) -> str:
    """The table in Markdown, a line for each preset: difference and bytes in each format, or why there is none."""
    lines = [f"| preset | {' | '.join(FORMATS)} |", f"|:---|{'---:|' * len(FORMATS)}"]
    by = {(row["preset"], row["format"]): row for row in rows}
    reasons: list[str] = []
    for same in twins():
        names = ", ".join(f"`{name}`" for name in same)
        lines.append(f"| {names} | {' | '.join(cell(by.get((same[0], format)), reasons) for format in FORMATS)} |")
    runtimes = sorted({row["runtime"] for row in rows if "runtime" in row})
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    found = {format: [row["difference"] for row in rows if row["format"] == format and "difference" in row] for format in FORMATS}
    worst = ", ".join(f"{max(values):.1e} in {format}" for format, values in found.items() if values)
    head = f"{len(rows)} exports in {', '.join(runtimes)}. The largest difference of all: {worst}."
    return "\n".join([head, "", *lines, *([""] if notes else []), *notes, ""])


def cell(row: dict | None, reasons: list[str]) -> str:
    """Difference and bytes of one row, with the numbers of what is to be said of it."""
    if row is None:
        return "not measured"
    said = [row["reason"]] if "reason" in row else row["notes"]
    for words in said:
        if words not in reasons:
            reasons.append(words)
    marks = "".join(f" [{reasons.index(words) + 1}]" for words in said)
    return f"none{marks}" if "reason" in row else f"{row['difference']:.1e}, {row['bytes']:,}{marks}"


def write(rows: list[dict]) -> None:
    """Put the table in its place in the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + table(rows) + "\n" + END + rest.partition(END)[2])


def main() -> None:
    """Measure what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="forget what was measured")
    if parser.parse_args().again:
        ROWS.unlink(missing_ok=True)
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["preset"], row["format"]) for row in known()}
    for name, *_ in twins():
        missing = [format for format in FORMATS if (name, format) not in done]
        for row in measure(name, missing) if missing else ():
            print(row["preset"], row["format"], row.get("difference", row.get("reason")), flush=True)
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
    write(known())


if __name__ == "__main__":
    main()
