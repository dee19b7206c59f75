"""A search as a figure: the score of every trial over their order, or over any number that is known of them."""

import itertools
import math
from typing import Any

from ..bench.plots.looks import INK, MUTED, SMALL, WIDTH, families, new_figure, plain_log, style
from ..bench.plots.values import pareto

COSTS = {"parameters": "trainable parameters", "multiply_adds": "multiply-adds of an image", "seconds": "seconds of the trial",
         "latency_seconds": "seconds for one image", "memory_bytes": "bytes of memory"}  # fmt: skip
STAIRS = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (1, 1.2)), "zorder": 1.5}
LOW = 0.05  # of the height, where trials without a score stand


def drawn(table: Any, x: str, ax: Any) -> Any:
    """What `keras_vix.tune.plot` returns."""
    rows = rows_of(table, x)
    done = [row for row in rows if row["status"] == "done"]
    if not done:
        raise ValueError(f"A figure needs a trial with a score. Received: a table of {len(rows)} trials without one.")
    with style():
        panel = new_figure(WIDTH, 3.2).subplots() if ax is None else ax
        draw(panel, table, rows, done, x)
    return panel


def rows_of(table: Any, x: str) -> list[dict[str, Any]]:
    """The trials with their place on the axis.

    Raises:
        ValueError: the column is none of numbers.
    """
    import pandas

    rows = table.to_dict("records")
    if x == "trial":
        return [row | {"x": place} for place, row in enumerate(rows, 1)]
    known = [name for name in table.columns if pandas.api.types.is_numeric_dtype(table[name])]
    if x not in known:
        raise ValueError(f"`x` must be trial or one of {', '.join(map(str, known))}. Received: x={x!r}.")
    return [row | {"x": float(row[x])} for row in rows if not pandas.isna(row[x]) and math.isfinite(row[x])]


def draw(panel: Any, table: Any, rows: list, done: list, x: str) -> None:
    """Points, crosses, the line through the best, and the words."""
    attributes = table.attrs
    sign = 1 if attributes["direction"] == "max" else -1
    word = coloured(attributes["words"], done)
    looks = families([{"preset": str(row.get(word))} for row in done])
    for name, (colour, marker) in looks.items():
        own = [row for row in done if str(row.get(word)) == name]
        panel.scatter([row["x"] for row in own], [row["score"] for row in own], color=colour, marker=marker, s=34, linewidth=0.7,
                      edgecolor="white", zorder=3, label=name)
    places = [row["x"] for row in rows]
    if x != "trial" and min(places) > 0 and max(places) > 6 * min(places):
        panel.set_xscale("log")
        plain_log(panel.xaxis, places)
    panel.margins(0.06, 0.1)
    panel.autoscale_view()
    crosses(panel, [row for row in rows if row["status"] != "done"])
    line(panel, done, x, sign)
    panel.set(xlabel=COSTS.get(x, x.replace("_", " ")), ylabel=attributes["objective"].replace("val_", "validation "))
    panel.set_title(f"Search of {attributes['preset']}")
    if x == "trial":
        from matplotlib.ticker import MaxNLocator

        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        panel.grid(axis="x", visible=False)
    for spine in ("top", "right"):
        panel.spines[spine].set_visible(False)
    title = word.replace("_", " ") if word else None
    key = panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=SMALL, frameon=False, title=title if word else None,
                       handletextpad=0.3, borderaxespad=0.0)  # fmt: skip
    key.get_title().set_fontsize(SMALL)
    key._legend_box.align = "left"


def coloured(words: list[str], done: list) -> str | None:
    """The word that tells trials apart by colour: the first whose drawn values are two words or more, at most six."""
    found = {word: {row[word] for row in done if isinstance(row.get(word), str)} for word in words}
    return next((word for word, values in found.items() if 1 < len(values) <= 6), None)


def crosses(panel: Any, failed: list) -> None:
    """Trials without a score, on the lower edge."""
    if failed:
        low, high = panel.get_ylim()
        panel.set_ylim(low - LOW * (high - low), high)
        panel.scatter([row["x"] for row in failed], [LOW / 2] * len(failed), transform=panel.get_xaxis_transform(), color=MUTED,
                      marker="x", s=22, linewidth=1.0, zorder=3, label="no score", clip_on=False)  # fmt: skip


def line(panel: Any, done: list, x: str, sign: int) -> None:
    """The best score so far over trials, the Pareto front over a cost; over a word of the space no line has a meaning."""
    if x == "trial":
        best = list(itertools.accumulate((row["score"] for row in done), lambda a, b: max(a, b, key=lambda v: sign * v)))
        panel.step([row["x"] for row in done], best, where="post", label="best so far", **STAIRS)
        first = next(row for row in done if row["score"] == best[-1])
        rings(panel, [first], "best")
    elif x in COSTS:
        front = pareto([{"x": row["x"], "y": sign * row["score"], "status": "done"} for row in done], "x", "y")
        ends = [(row["x"], sign * row["y"]) for row in front]
        panel.step([a for a, _ in ends], [b for _, b in ends], where="post", **STAIRS)
        rings(panel, [{"x": a, "score": b} for a, b in ends], "Pareto front")


def rings(panel: Any, rows: list, name: str) -> None:
    """A ring round some trials."""
    panel.scatter([row["x"] for row in rows], [row["score"] for row in rows], s=105, facecolor="none", edgecolor=INK,
                  linewidth=1.0, zorder=3.5, label=name)  # fmt: skip
