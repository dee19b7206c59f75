"""Exports every image preset to every format, some trained ones in 8 bits, and writes the tables of `docs/export.md`.

The models have the sizes that tests can afford: one block, narrow tokens, 8 x 8 digits. Presets that are the same model at that
size are exported once. Needs the extras `onnx` and `litert`. What was measured stays in `runs/exports/rows.jsonl`, and the same
command, `python docs/make_exports.py`, goes on from there; `--again` starts anew.
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
TRAINED = ("transformer_global", "performer_softmax", "linformer", "nystromformer")
EPOCHS = 4


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


def measure_int8(name: str, data) -> list[dict]:
    """A row for each format of a model trained on digits, quantised."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model, rows = keras_vix.build(name, dataset="digits"), []
    model.fit(*data.train, batch_size=64, epochs=EPOCHS, verbose=0)
    correct = model.evaluate(*data.test, return_dict=True, verbose=0)["accuracy"]
    for format, entry in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"model{entry.suffix}"
            plain = keras_vix.export(model, path)
            report = keras_vix.export(model, path, quantize="int8", images=data.test.x)
            found = entry.open(path).run(data.test.x.astype("float32")).argmax(-1)
        row = {"preset": name, "format": format, "quantize": "int8", "plain": plain.bytes, "accuracy": correct}
        row |= {key: getattr(report, key) for key in ("bytes", "difference", "largest", "agreement", "runtime")}
        rows.append(row | {"quantised accuracy": float((found == data.test.y).mean())})
    return rows


def int8_table(rows: list[dict]) -> str:
    """The table of the quantised models in Markdown."""
    if not rows:
        return "Not measured yet."
    lines = [
        "| preset | format | bytes, float32 | int8 | largest difference | logits to | same prediction | accuracy | with int8 |",
        "|:---|:---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| `{row['preset']}` | {row['format']} | {row['plain']:,} | {row['bytes']:,} | {row['difference']:.3f} "
            f"| {row['largest']:.1f} | {row['agreement']:.4f} | {row['accuracy']:.4f} | {row['quantised accuracy']:.4f} |"
        )
    return "\n".join(lines)


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
    """Put the tables in their places in the page."""
    page = PAGE.read_text()
    for name, made in (
        ("int8", int8_table([row for row in rows if "quantize" in row])),
        ("presets", table([row for row in rows if "quantize" not in row])),
    ):
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->\n")
        page = f"{before}{begin}\n{made.strip()}\n\n{end}{after}"
    PAGE.write_text(page)


def main() -> None:
    """Measure what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="forget what was measured")
    if parser.parse_args().again:
        ROWS.unlink(missing_ok=True)
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["preset"], row["format"], row.get("quantize")) for row in known()}
    for name, *_ in twins():
        missing = [format for format in FORMATS if (name, format, None) not in done]
        store(measure(name, missing) if missing else [])
    data = keras_vix.data.load("digits")
    for name in TRAINED:
        store(measure_int8(name, data) if (name, "onnx", "int8") not in done else [])
    write(known())


def store(rows: list[dict]) -> None:
    """Print and keep what was measured."""
    for row in rows:
        print(row["preset"], row["format"], row.get("quantize", "float32"), row.get("difference", row.get("reason")), flush=True)
    with ROWS.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
