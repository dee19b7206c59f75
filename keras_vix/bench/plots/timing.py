"""Times: of every epoch of each run, and of the test images."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..tables import Row, seconds
from .labels import label_line_ends
from .looks import INK, SMALL, WIDTH, darker, families, new_figure, paler, plain_log, style, whole_epochs
from .values import finished, groups, names, over_seeds, preset_of, value_of

LINES = 6  # so many runs are lines with names; more are rows of dots
HOLLOW = "hollow: the first, which compiles"


def epoch_seconds(row: Row) -> list[float]:
    """The seconds of each epoch in order, validation included; empty where they are not known."""
    records = row.get("epoch_times")
    if not isinstance(records, (list, tuple)):
        return []
    found = [value_of(record, "total_seconds") for record in records if isinstance(record, Mapping)]
    return [value for value in found if value is not None and value > 0]


def plot_epoch_times(rows: Sequence[Row]) -> Any:
    """Seconds of each epoch; the first, which compiles, is a hollow point.

    Up to six runs are lines over the epochs. More are rows of dots, the fastest at the top, one for each configuration with
    the epochs of all its seeds, and a bar at the median of all epochs but the first. The axis is logarithmic if the longest
    epoch takes more than three times the shortest.

    Args:
        rows: result rows; those without `epoch_times` are left out.
    """
    looks = families(rows)
    rows = [row for row in rows if epoch_seconds(row)]
    with style():
        return draw_time_lines(rows, looks) if len(rows) <= LINES else draw_time_rows(rows, looks)


def steady(runs: Sequence[Sequence[float]]) -> float:
    """The median of all epochs of some runs but the first; of the first ones if there are no others."""
    return statistics.median([time for times in runs for time in times[1:]] or [times[0] for times in runs])


def wide(rows: Sequence[Row]) -> bool:
    """Whether the epochs differ by so much that only logarithms show all of them."""
    times = [time for row in rows for time in epoch_seconds(row)]
    return max(times) > 3 * min(times)


def draw_time_lines(rows: Sequence[Row], looks: Mapping[str, Any]) -> Any:
    """A line for each run, its name and its median at the end."""
    figure = new_figure(WIDTH, 2.9)
    panel = figure.subplots()
    panel.set_title("Time of each epoch")
    panel.set(xlabel=f"epoch ({HOLLOW})", ylabel="seconds")
    if not rows:
        return figure
    colours = [looks[preset_of(row)][0] for row in rows]
    for row, colour in zip(rows, colours, strict=True):
        times = epoch_seconds(row)
        marker = "." if len(times) < 25 else None
        panel.plot(range(2, len(times) + 1), times[1:], color=colour, linewidth=1.3, marker=marker, label="_epochs")
        panel.plot(range(1, len(times[:2]) + 1), times[:2], color=paler(colour, 0.4), linewidth=0.8, linestyle=(0, (2, 2)),
                   label="_to first", zorder=1.5)
        panel.plot([1], times[:1], color=colour, marker="o", markersize=5, markerfacecolor="white", linestyle="none",
                   label="_first", zorder=3)
    if wide(rows):
        panel.set_yscale("log")
        plain_log(panel.yaxis, [time for row in rows for time in epoch_seconds(row)])
    whole_epochs(panel, longest(rows))
    panel.grid(axis="x", visible=False)
    figure.canvas.draw()
    ends = [(len(epoch_seconds(row)), epoch_seconds(row)[-1]) for row in rows]
    words = [f"{name.strip()}  {seconds(steady([epoch_seconds(row)]))} s" for name, row in zip(names(rows), rows, strict=True)]
    label_line_ends(panel, ends, words, colours)
    return figure


def draw_time_rows(rows: Sequence[Row], looks: Mapping[str, Any]) -> Any:
    """A row of dots for each configuration, the fastest at the top."""
    own = groups(rows)
    named = zip(own, names([group[0] for group in own]), ([epoch_seconds(row) for row in group] for group in own), strict=True)
    lines = sorted(named, key=lambda one: steady(one[2]))
    figure = new_figure(WIDTH, 0.8 + 0.165 * len(lines))
    panel = figure.subplots()
    panel.set_title("Time of each epoch")
    panel.set_xlabel(f"seconds ({HOLLOW})")
    for level, (group, _, runs) in enumerate(lines):
        colour = looks[preset_of(group[0])][0]
        every = [time for times in runs for time in times]
        panel.plot([min(every), max(every)], [level, level], color=paler(colour, 0.7), linewidth=1, zorder=1, label="_span")
        later = [time for times in runs for time in times[1:]]
        panel.plot(later, [level] * len(later), color=paler(colour, 0.3), marker=".", markersize=4, linestyle="none",
                   label="_epochs", zorder=2)
        panel.plot([times[0] for times in runs], [level] * len(runs), color=colour, marker="o", markersize=4.5,
                   markerfacecolor="white", linestyle="none", label="_first", zorder=3)
        panel.plot([steady(runs)], [level], color=darker(colour), marker="|", markersize=8, markeredgewidth=1.8, label="_median",
                   zorder=4)
    finish_rows(panel, [name for _, name, _ in lines], [looks[preset_of(group[0])][0] for group, *_ in lines])
    if wide(rows):
        panel.set_xscale("log")
        plain_log(panel.xaxis, [time for row in rows for time in epoch_seconds(row)])
    return figure


def finish_rows(panel: Any, words: Sequence[str], colours: Sequence[Any]) -> None:
    """Names at the left of rows that run from the top to the bottom."""
    panel.set_ylim(len(words) - 0.4, -0.6)
    panel.set_yticks(range(len(words)), words)
    for text, colour in zip(panel.get_yticklabels(), colours, strict=True):
        text.set_color(darker(colour))
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)


# ---- the test images -----------------------------------------------------------------------------------------------


class Bars(NamedTuple):
    """A bar chart: its key in a row, its axis, whether less is better, the figure's title and name."""

    key: str
    axis: str
    less: bool
    title: str
    name: str


BARS = (
    Bars("test_seconds", "seconds for all test images", True, "Time of the test", "test_time"),
    Bars("throughput", "images a second, batches of 64", False, "Images a second", "throughput"),
)


def plot_bars(rows: Sequence[Row], key: str = "test_seconds") -> Any:
    """A bar for each configuration, the best at the top, its value at the end; whiskers: the deviation over seeds.

    Args:
        rows: result rows; failed ones and those without the figure are left out.
        key: a key of `BARS`.

    Raises:
        ValueError: key is none of these.
    """
    known = {bars.key: bars for bars in BARS}
    if key not in known:
        raise ValueError(f"key must be one of {', '.join(known)}. Received: key={key!r}.")
    chart = known[key]
    looks = families(rows)
    found = over_seeds([row for row in rows if finished(row)], key)
    words = dict(zip(map(id, found), names(found), strict=True))
    found = sorted((row for row in found if row[key] > 0), key=lambda row: row[key] if chart.less else -row[key])
    with style():
        figure = new_figure(WIDTH, 0.85 + 0.185 * max(len(found), 1))
        panel = figure.subplots()
        panel.set_title(chart.title)
        panel.set_xlabel(chart.axis)
        for level, row in enumerate(found):
            colour = looks[preset_of(row)][0]
            deviation = row["sd"].get(key, 0.0)
            panel.barh(level, row[key], height=0.7, color=paler(colour, 0.25), linewidth=0)
            if deviation:
                panel.errorbar([row[key]], [level], xerr=[deviation], fmt="none", ecolor=INK, elinewidth=1, capsize=2)
            text = seconds(row[key]) if chart.less else f"{row[key]:,.0f}"
            panel.annotate(text, (row[key] + deviation, level), xytext=(4, 0), textcoords="offset points", va="center",
                           fontsize=SMALL)
        finish_rows(panel, [words[id(row)] for row in found], [looks[preset_of(row)][0] for row in found])
        panel.set_xlim(0, 1.16 * max((row[key] + row["sd"].get(key, 0.0) for row in found), default=1.0))
    return figure


# ---- several seeds -------------------------------------------------------------------------------------------------


def plot_seeds(rows: Sequence[Row], y: str = "test_accuracy") -> Any:
    """Test accuracy of every seed as a dot, its mean as a bar, and one standard deviation to each side as a line.

    Args:
        rows: result rows; failed ones, and those without the figure, are left out.
        y: the accuracy to show.
    """
    looks = families(rows)
    rows = [row for row in rows if finished(row) and value_of(row, y) is not None]
    merged = over_seeds(rows, y)
    named = sorted(zip(merged, groups(rows), names(merged), strict=True), key=lambda one: -one[0][y])
    with style():
        figure = new_figure(WIDTH, 0.85 + 0.2 * max(len(named), 1))
        panel = figure.subplots()
        panel.set_title("Over seeds")
        panel.set_xlabel(y.replace("_", " "))
        for level, (row, group, _) in enumerate(named):
            colour = looks[preset_of(row)][0]
            deviation = row["sd"].get(y, 0.0)
            panel.plot([row[y] - deviation, row[y] + deviation], [level, level], color=paler(colour, 0.45), linewidth=5,
                       solid_capstyle="butt", zorder=1, label="_sd")
            panel.plot([value_of(one, y) for one in group], [level] * len(group), color=colour, marker="o", markersize=4,
                       markeredgecolor="white", markeredgewidth=0.5, linestyle="none", zorder=2, label="_seeds")
            panel.plot([row[y]], [level], color=darker(colour), marker="|", markersize=9, markeredgewidth=1.8, zorder=3,
                       label="_mean")
            words = f"{row[y]:.4f}" + (f" ± {deviation:.4f}" if len(group) > 1 else "")
            panel.annotate(words, (1.02, level), xycoords=panel.get_yaxis_transform(), va="center", fontsize=SMALL,
                           annotation_clip=False)
        finish_rows(panel, [name for *_, name in named], [looks[preset_of(row)][0] for row, *_ in named])
        panel.margins(x=0.08)
    return figure


def longest(rows: Sequence[Row]) -> int:
    """The most epochs whose times a row has."""
    return max((len(epoch_seconds(row)) for row in rows), default=0)


def several(rows: Sequence[Row], y: str = "test_accuracy") -> bool:
    """Whether some configuration was run with two seeds or more."""
    return any(row["runs"] > 1 for row in over_seeds([row for row in rows if finished(row)], y))
