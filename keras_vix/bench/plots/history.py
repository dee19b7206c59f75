"""Curves over epochs: those of one run, and those of all runs, a panel for each preset."""

import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

from ..tables import Row
from ..scores import best_epoch
from .looks import (
    FAINT, INK, SIZE, SMALL, TRAINING, VALIDATION, WIDTH, darker, families, new_figure, paler, shades, style, whole_epochs,
)  # fmt: skip
from .values import clean, curve_of, finished, groups, names, numbers, preset_of, value_of

ACROSS = 3
ROOM = 0.12  # of the height of a panel, for each word of its legend where there are several
SHOWN = 3
VECTORS = 25  # so many grey curves behind a panel are lines in an SVG; more are pixels, for the size of the file


def curves_of(history: Any) -> Mapping[str, Sequence[float | None]]:
    """The dictionary inside a Keras `History`; a dictionary is taken as it is."""
    return getattr(history, "history", history)


# ---- one run -------------------------------------------------------------------------------------------------------


def plot_history(history: Any, best: str = "val_accuracy", title: str = "") -> Any:
    """Loss and accuracy against the epoch, for training and validation, with a dashed line at the best epoch.

    Args:
        history: what `fit` returns, or its dictionary.
        best: the curve that decides: its highest value, or its lowest for a loss or a cross-entropy.
        title: name above the panels.

    Raises:
        ValueError: the history has no such curve, or no loss.
    """
    curves = curves_of(history)
    if best not in curves or "loss" not in curves:
        raise ValueError(
            f"A history needs a loss and the curve that decides. Received: best={best!r}; it has {sorted(curves)}."
        )
    with style():
        figure = new_figure(WIDTH, 2.35 if title else 2.1)
        figure.get_layout_engine().set(wspace=0.05)
        panels = figure.subplots(1, 2)
        chosen = best_epoch(curves, best)
        for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
            draw_curves(panel, curves, name)
            if chosen is not None:
                draw_best(panel, chosen, len(curves["loss"]), labelled=name == "accuracy")
        if title:
            figure.suptitle(clean(title, 60), x=0.01, ha="left", fontweight="bold")
    return figure


def draw_curves(panel: Any, curves: Mapping[str, Sequence[float | None]], name: str) -> None:
    """One panel: training and validation values of a metric, with a marker where there are few epochs."""
    import seaborn

    for key, label, colour, dash in (
        (name, "training", TRAINING, (0, (3, 1.2))), (f"val_{name}", "validation", VALIDATION, "-"),
    ):
        values = numbers(curves.get(key) or [])
        if values:
            seaborn.lineplot(
                x=range(1, len(values) + 1), y=values, ax=panel, color=colour, label=label, linestyle=dash,
                linewidth=1.6, errorbar=None, marker="o" if len(values) < 12 else None, markersize=4,
            )
    panel.set(xlabel="epoch", ylabel="")
    panel.set_title(name.capitalize(), pad=14)
    whole_epochs(panel, len(curves["loss"]))
    panel.grid(axis="x", visible=False)
    if panel.get_legend():
        panel.legend(loc="best")


def draw_best(panel: Any, epoch: int, epochs: int, labelled: bool) -> None:
    """A dashed line at the best epoch, with its number at the top of the line."""
    panel.axvline(epoch, color=INK, linestyle="--", linewidth=1.0, label="_best", zorder=1.5)
    words = f"best epoch {epoch}" if labelled else f"{epoch}"
    right_half = epoch > (epochs + 1) / 2
    panel.annotate(
        words, (epoch, 1.0), xycoords=("data", "axes fraction"), xytext=(3 if right_half else -3, 3),
        textcoords="offset points", ha="right" if right_half else "left", va="bottom", fontsize=SMALL, color=INK,
    )


# ---- all runs ------------------------------------------------------------------------------------------------------


def plot_grid(rows: Sequence[Row], curve: str = "val_accuracy", only: Container[str] | None = None) -> Any:
    """A panel for each preset with its runs' curves in colour, over all other runs in grey.

    Runs that differ in their seed only are one line, their mean, in a band of one standard deviation to each side. The
    corner of a panel says what sets a run apart from its family, with its last value.

    Args:
        rows: result rows; those without the curve are left out.
        curve: a key of their histories.
        only: presets that get a panel; None: all. The runs of the others stay behind, in grey.
    """
    rows = [row for row in rows if curve_of(row, curve)]
    with style():
        looks = {name: look for name, look in families(rows).items() if only is None or name in only}
        most = ACROSS if max(map(len, looks), default=0) <= 18 else ACROSS - 1
        across = min(most, max(1, math.ceil(math.sqrt(len(looks)))))
        down = max(1, math.ceil(len(looks) / across))
        figure = new_figure(WIDTH, 1.2 * down + 0.5)
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten()
        lines = mean_lines(rows, curve)
        for panel, (family, (colour, _)) in zip(panels, looks.items(), strict=False):
            draw_family(panel, lines, family, colour)
        for panel in panels[len(looks):]:
            panel.set_axis_off()
        if rows:
            finish_grid(figure, panels, rows, curve, len(looks), across)
    return figure


def finish_grid(figure: Any, panels: Any, rows: Sequence[Row], curve: str, used: int, across: int) -> None:
    """Common limits and axis names; ticks of epochs below the lowest panel of each column only."""
    low, high = useful_range(rows, curve)
    words = max(len(panel.get_legend().get_texts()) for panel in panels[:used])
    panels[0].set_ylim(low - (ROOM * words * (high - low) if words > 1 else 0.0), high)  # one word finds room beside its curve
    whole_epochs(panels[0], max(len(curve_of(row, curve)) for row in rows))
    for place, panel in enumerate(panels[:used]):
        panel.tick_params(labelbottom=place + across >= used, pad=1)
    figure.supylabel(curve.replace("val_", "validation ").replace("_", " "), fontsize=SIZE)
    figure.supxlabel("epoch", fontsize=SIZE)


def mean_lines(rows: Sequence[Row], curve: str) -> list[dict[str, Any]]:
    """The mean curve of each configuration, its deviation over seeds, and what it is called."""
    import numpy as np

    found = []
    own = groups(rows)
    for group, name in zip(own, names([group[0] for group in own], room=0), strict=True):
        curves = [curve_of(row, curve) for row in group]
        longest = max(map(len, curves))
        table = np.full((len(curves), longest), np.nan)
        for place, values in enumerate(curves):
            table[place, : len(values)] = values
        runs = np.isfinite(table).sum(0)
        mean = np.where(runs, np.nansum(table, 0) / np.maximum(runs, 1), np.nan)
        squares = np.nansum((table - mean) ** 2, 0) / np.maximum(runs - 1, 1)
        found.append({"row": group[0], "family": preset_of(group[0]), "name": name, "mean": mean, "runs": len(group),
                      "sd": np.where(runs > 1, np.sqrt(squares), 0.0), "failed": not all(map(finished, group))})
    return found


def draw_family(panel: Any, lines: Sequence[Mapping[str, Any]], family: str, colour: Any) -> None:
    """One panel: every run in grey, those of one preset in shades of its colour, the darkest with the largest m.

    Where a preset was run in both profiles, the reference profile is dashed.
    """
    for one in lines:
        if one["family"] != family:
            draw_line(panel, one["mean"], color=FAINT, linewidth=0.6, zorder=1, label="_other")
    if len(lines) > VECTORS:
        panel.set_rasterization_zorder(1.5)
    own = sorted((one for one in lines if one["family"] == family), key=lambda one: value_of(one["row"], "m") or 0)
    both = len({one["row"].get("profile") for one in own}) > 1
    words, handles = [], []
    for one, shade in zip(own, shades(colour, len(own)), strict=True):
        if one["runs"] > 1:
            epochs = range(1, len(one["mean"]) + 1)
            panel.fill_between(epochs, one["mean"] - one["sd"], one["mean"] + one["sd"], color=paler(shade, 0.6),
                               linewidth=0, zorder=2)
        dash = "--" if both and one["row"].get("profile") == "reference" else "-"
        handles.append(draw_line(panel, one["mean"], color=shade, linewidth=1.6, linestyle=dash, zorder=3, label=one["name"]))
        words.append(" ".join(filter(None, (one["name"].removeprefix(family).strip(), last_words(one)))))
    if len(words) > SHOWN:
        handles, words = [handles[0], handles[-1]], [words[0], f"{words[-1]} (of {len(words)})"]
    panel.set_title(clean(family, 28), fontsize=SMALL, fontweight="normal", color=darker(colour), pad=3)
    panel.grid(axis="x", visible=False)
    panel.legend(handles, [clean(word, 30) for word in words], fontsize=SMALL, loc="lower right",
                 frameon=True, framealpha=0.8, edgecolor="none", handlelength=1.0 if len(words) > 1 else 0.0,
                 handletextpad=0.4 if len(words) > 1 else 0.0, borderaxespad=0.1, labelspacing=0.1, borderpad=0.1)


def draw_line(panel: Any, values: Sequence[float], **look: Any) -> Any:
    """A curve over epochs from 1; a single epoch is a dot."""
    (line,) = panel.plot(range(1, len(values) + 1), values, marker="o" if len(values) == 1 else None, **look)
    return line


def last_words(line: Mapping[str, Any]) -> str:
    """The last value of a curve, its deviation over seeds, and whether the run failed."""
    value = line["mean"][-1]
    if line["failed"]:
        return "failed"
    return f"{value:.3f}" + (f" ± {line['sd'][-1]:.3f}" if line["runs"] > 1 else "")


def useful_range(rows: Sequence[Row], curve: str) -> tuple[float, float]:
    """Limits that show the curves from their lower twentieth on, so that one bad first epoch does not flatten them."""
    values = sorted(value for row in rows for value in curve_of(row, curve) if math.isfinite(value))
    if not values:
        return 0.0, 1.0
    low, high = values[len(values) // 20], values[-1]
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room
