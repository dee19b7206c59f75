"""Accuracy against what it costs: time, multiply-adds, memory, latency; the Pareto front is marked."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..tables import Row
from .labels import place_labels
from .looks import INK, MUTED, SMALL, WIDTH, families, new_figure, paler, plain_log, style
from .values import finished, names, over_seeds, pareto, preset_of, uncertainty, value_of

NAMED = 12  # so many points have their names beside them; more have numbers


class Cost(NamedTuple):
    """A cost on the x axis: its key in a row, its unit on the axis, by what it is divided, and what the figure is called."""

    key: str
    axis: str
    divisor: float
    title: str
    name: str


COSTS = (
    Cost("epoch_seconds", "seconds per epoch", 1.0, "Accuracy against time", "accuracy_time"),
    Cost("multiply_adds", "million multiply-adds an image", 1e6, "Accuracy against arithmetic", "accuracy_multiply_adds"),
    Cost("train_memory_bytes", "peak memory of training (MiB)", 2.0**20, "Accuracy against memory", "accuracy_memory"),
    Cost("latency_1_seconds", "milliseconds for one image", 1e-3, "Accuracy against latency", "accuracy_latency"),
)


def plot_accuracy_time(rows: Sequence[Row], y: str = "test_accuracy") -> Any:
    """Accuracy against seconds an epoch: `plot_tradeoff` by time.

    Args:
        rows: result rows; those without both figures (failed runs) are left out.
        y: the accuracy to show.
    """
    return plot_tradeoff(rows, "epoch_seconds", y)


def plot_tradeoff(rows: Sequence[Row], x: str, y: str = "test_accuracy") -> Any:
    """Accuracy against a cost, a point for each configuration; runs of a preset at several `m` are joined.

    Rows on the Pareto front are ringed, and a line runs along it: whatever lies below and right of the line is beaten.
    Bars show the standard deviation over seeds, for a single run one standard error to each side, as the number of test
    images gives it: rows closer than that are equal. Hollow points are of runs repeated at half the batch, which are never
    on the front. Up to 12 points are named beside them; more have numbers, with a key below.

    Args:
        rows: result rows; failed ones and those without both figures are left out.
        x: the cost, a key of `COSTS`.
        y: the accuracy to show.

    Raises:
        ValueError: x is none of these costs.
    """
    known = {cost.key: cost for cost in COSTS}
    if x not in known:
        raise ValueError(f"x must be one of {', '.join(known)}. Received: x={x!r}.")
    cost = known[x]
    looks = families(rows)
    rows = [row for row in over_seeds([row for row in rows if finished(row)], x, y) if row[x] > 0]
    rows = [{**row, "cost": row[x] / cost.divisor} for row in rows]
    named = len(rows) <= NAMED
    with style():
        figure = draw_tradeoff(rows, cost, y, looks, named)
        return figure or draw_tradeoff(rows, cost, y, looks, False)


def draw_tradeoff(rows: Sequence[Row], cost: Cost, y: str, looks: dict[str, Any], named: bool) -> Any:
    """The figure; None if there is no room for all names."""
    labels = names(rows)
    below = 0 if named else math.ceil(len(rows) / columns_for(labels))
    figure = new_figure(WIDTH, 3.5 + 0.155 * below)
    panel = figure.subplots()
    panel.set(xlabel=cost.axis, ylabel=y.replace("_", " "))
    panel.set_title(cost.title)
    if not rows:
        return figure
    costs = [row["cost"] for row in rows]
    if max(costs) > 6 * min(costs):
        panel.set_xscale("log")
        plain_log(panel.xaxis, costs)
    panel.margins(0.14, 0.12)
    front = pareto(rows, "cost", y)
    draw_families(panel, rows, y, looks)
    panel.set_ylim(top=min(panel.get_ylim()[1], 1.02))
    draw_front(panel, front, y)
    if not named:
        write_key(figure, rows, labels, looks, front)
    figure.canvas.draw()
    written = write_names(panel, rows, y, looks, front, labels if named else [str(n + 1) for n in range(len(rows))])
    return figure if written or not named else None


def write_names(panel: Any, rows: Sequence[Row], y: str, looks: dict[str, Any], front: Sequence[Row],
                labels: Sequence[str]) -> bool:
    """Write names or numbers, those on the front in bold and first, for they get the nearest places."""
    order = sorted(range(len(rows)), key=lambda place: rows[place] not in front)
    return place_labels(
        panel, [(rows[place]["cost"], rows[place][y]) for place in order], [labels[place] for place in order],
        [looks[preset_of(rows[place])][0] for place in order],
        ["bold" if rows[place] in front else "normal" for place in order],
        [*itertools.pairwise(staircase(front, y, panel.get_xlim()[1]) if front else ()), *joined(rows, y)],
    )


def joined(rows: Sequence[Row], y: str) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The pieces of the lines through the points of a preset at several `m`."""
    lines = []
    for name in dict.fromkeys(map(preset_of, rows)):
        own = in_order([row for row in rows if preset_of(row) == name])
        if one_line(own):
            lines += itertools.pairwise((row["cost"], row[y]) for row in own)
    return lines


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows of one preset in the order of m."""
    return sorted(rows, key=lambda row: value_of(row, "m") or 0)


def one_line(rows: Sequence[Row]) -> bool:
    """Whether rows of one preset differ in m, and not only in other options."""
    return len({value_of(row, "m") for row in rows}) == len(rows) > 1


def columns_for(labels: Sequence[str]) -> int:
    """How many columns of the key fit beside each other."""
    longest = max(map(len, labels), default=0)
    return 3 if longest <= 18 else 2 if longest <= 30 else 1


def write_key(figure: Any, rows: Sequence[Row], labels: Sequence[str], looks: dict[str, Any],
              front: Sequence[Row]) -> None:
    """What each number stands for, below the axes, with the row's own marker."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=looks[preset_of(row)][0], marker=looks[preset_of(row)][1], linestyle="none", markersize=5,
               markerfacecolor=filling(row, looks[preset_of(row)][0]))
        for row in rows
    ]
    words = [f"{place + 1} {label.strip()}" for place, label in enumerate(labels)]
    legend = figure.legend(handles, words, loc="outside lower left", ncols=columns_for(labels), columnspacing=1.0,
                           handletextpad=0.1, labelspacing=0.25, borderpad=0.1)
    for text, row in zip(legend.get_texts(), rows, strict=True):
        text.set_fontweight("bold" if row in front else "normal")


def filling(row: Row, colour: Any) -> Any:
    """The inside of a point: white for a run that was repeated at half the batch."""
    return "white" if row.get("retried") else colour


def draw_families(panel: Any, rows: Sequence[Row], y: str, looks: dict[str, Any]) -> None:
    """The points with their bars, and a thin line through the points of a preset in order of m."""
    for name in dict.fromkeys(map(preset_of, rows)):
        colour, marker = looks[name]
        own = in_order([row for row in rows if preset_of(row) == name])
        x_values, y_values = [row["cost"] for row in own], [row[y] for row in own]
        panel.errorbar(x_values, y_values, [uncertainty(row, y) for row in own], fmt="none", ecolor=paler(colour, 0.72),
                       elinewidth=1, zorder=1.5)
        if one_line(own):
            panel.plot(x_values, y_values, color=colour, linewidth=0.9, alpha=0.45, zorder=2)
        panel.scatter(x_values, y_values, color=[filling(row, colour) for row in own], marker=marker, s=34,
                      edgecolor=[colour if row.get("retried") else "white" for row in own], linewidth=0.7, zorder=3)


def draw_front(panel: Any, front: Sequence[Row], y: str) -> None:
    """A staircase along the front, and a ring round each of its points."""
    from matplotlib.collections import LineCollection

    if not front:
        return
    limits = panel.get_xlim(), panel.get_ylim()
    stairs = LineCollection([staircase(front, y, limits[0][1])], colors=MUTED, linewidths=1.0, linestyles=(0, (1, 1.2)),
                            zorder=1.2, label="_front")
    panel.add_collection(stairs, autolim=False)
    rings = panel.scatter([row["cost"] for row in front], [row[y] for row in front], s=105, facecolor="none",
                          edgecolor=INK, linewidth=1.0, zorder=3.5, label="_rings")
    rings.set_gid("front")
    panel.set(xlim=limits[0], ylim=limits[1])
    panel.legend([rings], ["Pareto front"], loc="lower right", fontsize=SMALL,
                 bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, handletextpad=0.2)


def staircase(front: Sequence[Row], y: str, right: float) -> list[tuple[float, float]]:
    """The corners of the line along a front, from its cheapest row to the right end of the axes."""
    corners = []
    for place, row in enumerate(front):
        if place:
            corners.append((row["cost"], front[place - 1][y]))
        corners.append((row["cost"], row[y]))
    return [*corners, (right, front[-1][y])]


def applies(cost: Cost) -> Callable[[Sequence[Row]], bool]:
    """Whether at least two configurations have that cost and a test accuracy."""
    return lambda rows: len(over_seeds([row for row in rows if finished(row)], cost.key, "test_accuracy")) > 1
