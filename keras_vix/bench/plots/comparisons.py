"""Two questions of the studies: what does a rank m cost in accuracy, and what does a checkpoint give?"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...train.recipe import NAMES as RECIPE_FIELDS
from ..tables import Row, one_line
from .history import draw_line, mean_lines
from .labels import label_line_ends
from .looks import INK, MUTED, SIZE, SMALL, WIDTH, darker, families, new_figure, paler, style, whole_epochs
from .values import clean, curve_of, exact, finished, names, over_seeds, preset_of, ranked, uncertainty, value_of

BLACK = (0.12, 0.16, 0.2)
BANDS = 3
ACROSS = 3

# ---- accuracy over m -----------------------------------------------------------------------------------------------


def ladders(rows: Sequence[Row], y: str = "test_accuracy") -> dict[str, list[dict[str, Any]]]:
    """Rows that differ in m alone, by what they are called without it, in order of m; at least two of each."""
    found: dict[str, list[dict[str, Any]]] = {}
    able = [row for row in rows if ranked(row) and (value_of(row, "m") or 0) > 0]
    bare = [{**row, "label": without_m(row)} for row in able]
    known = {row["label"]: row for row in bare}
    shortest = dict(zip(known, names([{"label": label} for label in known]), strict=True))
    for row in over_seeds([{**row, "label": f"{row['label']} m={row['m']}", "bare": row["label"]} for row in bare], y):
        found.setdefault(shortest[row["bare"]], []).append(row)
    found = {name: sorted(own, key=lambda row: row["m"]) for name, own in found.items()}
    return {name: own for name, own in found.items() if len({row["m"] for row in own}) == len(own) > 1}


def without_m(row: Row) -> str:
    """The label of a row without its rank."""
    words = one_line(row.get("label") or row.get("preset") or "?").split(" ")
    return " ".join(word for word in words if not word.startswith("m="))


def plot_ranks(rows: Sequence[Row], y: str = "test_accuracy") -> Any:
    """Accuracy over the rank m, a line for each family, and exact attention as a level band.

    Bars, and the height of the band, are one standard deviation over seeds to each side where there are several, else one
    standard error of a share of so many images.

    Args:
        rows: result rows; failed and retried ones, and families with one m only, are left out.
        y: the accuracy to show.
    """
    found = ladders(rows, y)
    presets = {name: preset_of(own[0]) for name, own in found.items()}
    if len(set(presets.values())) == len(presets):  # the colours that they have in the other figures
        known = families(rows)
        looks = {name: known[preset] for name, preset in presets.items()}
    else:
        looks = families([{"preset": name} for name in found])
    bands = over_seeds([row for row in rows if ranked(row) and exact(row)], y)[:BANDS]
    with style():
        figure = new_figure(WIDTH, 3.0)
        panel = figure.subplots()
        panel.set_title("Accuracy over m")
        panel.set(xlabel="m", ylabel=y.replace("_", " "))
        if found:
            draw_ranks(panel, found, bands, looks, y)
    return figure


def draw_ranks(panel: Any, found: Mapping[str, Sequence[Row]], bands: Sequence[Row], looks: Mapping[str, Any],
               y: str) -> None:
    """Bands first, then the lines, then all names at the right."""
    ends, words, colours = [], [], []
    ranks = sorted({row["m"] for own in found.values() for row in own})
    panel.set_xscale("log", base=2)
    panel.set_xlim(ranks[0] / 1.12, ranks[-1] * 1.12)
    panel.set_xticks(ranks, [str(rank) for rank in ranks])
    panel.minorticks_off()
    for row, name in zip(bands, names(bands), strict=True):
        high = uncertainty(row, y)
        panel.axhspan(row[y] - high, row[y] + high, color=paler(BLACK, 0.88), linewidth=0, zorder=0.5, gid="exact")
        panel.axhline(row[y], color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1, label="_exact")
        ends.append((ranks[-1] * 1.12, row[y]))
        words.append(name if len(bands) > 1 else "exact attention")
        colours.append(BLACK)
    for place, (name, own) in enumerate(found.items()):
        colour, marker = looks[name]
        aside = 1.018 ** (2 * place - len(found) + 1)  # beside each other, so that bars do not hide bars
        panel.errorbar([row["m"] * aside for row in own], [row[y] for row in own], [uncertainty(row, y) for row in own],
                       color=colour, marker=marker, markersize=5, linewidth=1.5, elinewidth=1, capsize=2, markeredgecolor="white",
                       markeredgewidth=0.5, label=name, zorder=3)
        ends.append((own[-1]["m"] * aside, own[-1][y]))
        words.append(name)
        colours.append(colour)
    panel.grid(axis="x", visible=False)
    panel.figure.canvas.draw()
    label_line_ends(panel, ends, words, colours)


# ---- scratch against checkpoint ------------------------------------------------------------------------------------


def partner(row: Row, recipe: bool = True) -> str:
    """What a run from scratch and one from a checkpoint share: the unit without its seed and its start.

    Epochs of distillation count as epochs: a run from scratch has as many of training instead. Without `recipe` the models are
    the same, and may be trained at other rates.
    """
    unit = row.get("unit")
    own = dict(unit if isinstance(unit, Mapping) else {})
    distilled, epochs = own.pop("distill_epochs", 0), own.get("epochs")
    if isinstance(distilled, int) and isinstance(epochs, int):
        own["epochs"] = epochs + distilled
    own = {key: value for key, value in own.items() if key not in ("seed", "start")}
    if not recipe:
        own["overrides"] = {key: value for key, value in (own.get("overrides") or {}).items() if key not in RECIPE_FIELDS}
    rest = [own or row.get("label"), *(row.get(key) for key in ("preset", "dataset", "backend", "device"))]
    return json.dumps(rest, sort_keys=True, default=str)


def pairs(rows: Sequence[Row], curve: str = "accuracy") -> list[dict[str, list[Row]]]:
    """For each model that was run both ways, its runs from `scratch` and those from a `checkpoint`."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row.get("init") in ("scratch", "checkpoint") and curve_of(row, curve):
            found.setdefault(partner(row), {}).setdefault(row["init"], []).append(row)
    return [both for both in found.values() if len(both) == 2]


def plot_starts(rows: Sequence[Row], curve: str = "accuracy") -> Any:
    """Training accuracy by epoch of the same model from scratch, dashed, and from a checkpoint; a panel for each model.

    Args:
        rows: result rows; models that were not run both ways are left out.
        curve: a key of their histories.
    """
    both = pairs(rows, curve)
    heads = names([one["checkpoint"][0] for one in both])
    with style():
        across = min(ACROSS, max(len(both), 1))
        down = max(1, math.ceil(len(both) / across))
        figure = new_figure(WIDTH, 1.75 * down + 0.75)
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten()
        looks = families(rows)
        for panel, one, head in zip(panels, both, heads, strict=False):
            draw_pair(panel, one, clean(head, 18 if across == ACROSS else 30), looks[preset_of(one["checkpoint"][0])][0], curve)
        for panel in panels[len(both):]:
            panel.set_axis_off()
        if both:
            rows = [row for one in both for runs in one.values() for row in runs]
            whole_epochs(panels[0], max(len(curve_of(row, curve)) for row in rows))
            key_of_starts(figure)
        figure.supylabel({"accuracy": "training accuracy"}.get(curve, curve.replace("_", " ")), fontsize=SIZE)
        figure.supxlabel("epoch", fontsize=SIZE)
    return figure


def draw_pair(panel: Any, both: Mapping[str, Sequence[Row]], head: str, colour: Any, curve: str) -> None:
    """The mean curves of both starts, each with a band of one deviation over seeds."""
    for start in ("scratch", "checkpoint"):
        for line in mean_lines(both[start], curve)[:1]:
            shade = paler(colour, 0.35) if start == "scratch" else darker(colour)
            epochs = range(1, len(line["mean"]) + 1)
            if line["runs"] > 1:
                panel.fill_between(epochs, line["mean"] - line["sd"], line["mean"] + line["sd"], color=paler(shade, 0.7),
                                   linewidth=0)
            draw_line(panel, line["mean"], color=shade, linewidth=1.7, linestyle=(0, (3, 1.2)) if start == "scratch" else "-",
                      label=start)
    panel.set_title(head, fontsize=SMALL, color=darker(colour), pad=3)
    panel.grid(axis="x", visible=False)


def key_of_starts(figure: Any) -> None:
    """Which line is which, above all panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=MUTED, linewidth=1.7, linestyle=(0, (3, 1.2))), Line2D([], [], color=INK, linewidth=1.7)]
    figure.legend(handles, ["from scratch", "from a checkpoint"], loc="outside upper right", ncols=2, fontsize=SMALL,
                  handlelength=2.2, columnspacing=1.2)


def compared(rows: Sequence[Row]) -> int:
    """How many models were run both ways."""
    return len(pairs([row for row in rows if finished(row)]))
