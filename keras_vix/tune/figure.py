"""A search as a figure: the score of every trial over their order, or over any number that is known of them."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from ..bench.plots.looks import INK, MUTED, SMALL, WIDTH, families, new_figure, paler, plain_log, style
from ..bench.plots.values import pareto

# What costs are called on the axis, and by what they are divided; counts are divided by what leaves them readable.
COSTS = {"parameters": ("trainable parameters", None), "multiply_adds": ("multiply-adds of an image", None),
         "seconds": ("seconds of the trial", 1.0), "latency_seconds": ("milliseconds for one image", 1e-3),
         "memory_bytes": ("MiB of memory", 2.0**20)}  # fmt: skip
POWERS = ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "), (1.0, ""))
STAIRS = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (1, 1.2)), "zorder": 1.5}
MARGIN = 0.05  # of the axis, beside the outermost trials
LOW = 0.05  # of the height, where trials without a score stand


def drawn(table: Any, x: str, ax: Any) -> Any:
    """What `keras_vix.tune.plot` returns."""
    rows, words = scaled(rows_of(table, x), x)
    done = [row for row in rows if row["status"] == "done"]
    if not done:
        raise ValueError(f"A figure needs a trial with a score. Received: a table of {len(rows)} trials without one.")
    with style():
        panel = new_figure(WIDTH, 3.2).subplots() if ax is None else ax
        draw(panel, table, rows, done, x)
        panel.set_xlabel(words)
    return panel


def scaled(rows: list, x: str) -> tuple[list, str]:
    """The trials with their places in the unit of the axis, and what the axis is called."""
    words, divisor = COSTS.get(x, (x.replace("_", " "), 1.0))
    if divisor is None:
        most = max((row["x"] for row in rows), default=1.0)
        divisor, power = next((one for one in POWERS if most >= one[0]), POWERS[-1])
        words = power + words
    return [row | {"x": row["x"] / divisor} for row in rows], words


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
        bars = [standard_error(row["score"], attributes) for row in own]
        panel.errorbar([row["x"] for row in own], [row["score"] for row in own], bars, fmt="none", ecolor=paler(colour, 0.6),
                       elinewidth=1, zorder=1.4)  # fmt: skip
        panel.scatter([row["x"] for row in own], [row["score"] for row in own], color=colour, marker=marker, s=34, linewidth=0.7,
                      edgecolor="white", zorder=3, label=name if word else "trial")
    limits(panel, [row["x"] for row in rows], x)
    crosses(panel, [row for row in rows if row["status"] != "done"])
    line(panel, done, x, sign)
    panel.set_ylabel(attributes["objective"].replace("val_", "validation "))
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


def limits(panel: Any, places: list[float], x: str) -> None:
    """An axis that holds all trials, those without a score too; logarithmic where they lie far apart."""
    low, high = min(places), max(places)
    panel.margins(y=0.1)
    panel.autoscale_view()
    if x != "trial" and low > 0 and high > 6 * low:
        panel.set_xscale("log")
        plain_log(panel.xaxis, places)
        panel.set_xlim(low * (low / high) ** MARGIN, high * (high / low) ** MARGIN)
    else:
        room = MARGIN * (high - low) or 0.5
        panel.set_xlim(low - room, high + room)


def standard_error(score: float, attributes: Mapping[str, Any]) -> float:
    """Of an accuracy on so many validation images; 0 where their number is not known, or the score is no share."""
    images = attributes.get("validation_images")
    if not images or attributes["objective"] != "val_accuracy" or not 0 <= score <= 1:
        return 0.0
    return math.sqrt(score * (1 - score) / images)


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
