"""Draws the figures that `docs/figures.md` shows, from committed results, into `docs/images`."""

import json
import pathlib

from keras_vix.bench import plots, store, tables

ROOT = pathlib.Path(__file__).parents[1]
# The picture's name, the results that it is drawn from, and the figure's name.
SHOWN = (
    ("digits", "digits", "accuracy_time"),
    ("hybrid_accuracy_multiply_adds", "hybrid_trial", "accuracy_multiply_adds"),
    ("resolution_tokens_step", "resolution", "tokens_step"),
    ("digits_validation_accuracy", "digits", "validation_accuracy"),
    ("digits_accuracy_m", "digits", "accuracy_m"),
    ("digits_epoch_times", "digits", "epoch_times"),
    ("digits_history", "digits", "history-performer_relu-m-64-2ffde65616"),
)


def main() -> None:
    """Write every picture."""
    for picture, results, name in SHOWN:
        stored = json.loads((ROOT / "benchmarks" / "results" / results / "results.json").read_text(encoding="utf-8"))
        rows = tables.told_apart(stored["rows"])
        drawings = plots.suite_figures(rows) + [one for row in rows for one in plots.run_figures(row)]
        (drawing,) = [one for one in drawings if one.name == name]
        store.write_bytes(ROOT / "docs" / "images" / f"{picture}.png", plots.encode(drawing.draw(), "png"))


if __name__ == "__main__":
    main()
