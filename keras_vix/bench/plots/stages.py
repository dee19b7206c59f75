"""What a model knows after another mixer took the place of attention: at once, after distillation, after fine-tuning."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..tables import Row
from .comparisons import partner
from .looks import INK, MUTED, SMALL, WIDTH, darker, families, new_figure, paler, style
from .timing import finish_rows
from .values import finished, names, over_seeds, uncertainty, value_of

STAGES = (  # key in a row, marker, what it is called
    ("swap_accuracy", "o", "after the swap"),
    ("distilled_accuracy", "D", "after distillation"),
    ("test_accuracy", "o", "after fine-tuning"),
)
SCRATCH = "from scratch"
ROOM = 34  # letters of a name


class Path(NamedTuple):
    """A configuration on its way: its row with means over seeds, and that of the same model from scratch, if there is one."""

    row: Row
    scratch: Row | None


def paths(rows: Sequence[Row]) -> list[Path]:
    """The configurations that started from another model's weights, the best at the top."""
    good = [row for row in rows if finished(row)]
    started = [row for row in good if value_of(row, "swap_accuracy") is not None]
    scratch = over_seeds([row for row in good if row.get("init") == "scratch"], "test_accuracy")
    plain = {partner(row, recipe): row for recipe in (False, True) for row in scratch}  # rather at the same rate
    keys = ["swap_accuracy", "test_accuracy"]
    learned = [row for row in started if value_of(row, "distilled_accuracy") is not None]
    distilled = over_seeds(learned, *keys, "distilled_accuracy")
    others = over_seeds([row for row in started if row not in learned], *keys)
    found = [Path(row, plain.get(partner(row)) or plain.get(partner(row, False))) for row in (*distilled, *others)]
    return sorted(found, key=lambda path: -path.row["test_accuracy"])


def teachers(rows: Sequence[Row]) -> list[Row]:
    """The models whose weights others started from, means over their seeds."""
    used = {(row.get("unit") or {}).get("start") for row in rows if finished(row)}
    return over_seeds([row for row in rows if finished(row) and row.get("fingerprint") in used], "test_accuracy")


def plot_stages(rows: Sequence[Row]) -> Any:
    """Test accuracy of each swapped model along its way, a line for each, beside the same model from scratch.

    Whiskers: one standard deviation over seeds to each side, for a single run one standard error. Dashed: the model whose
    weights they started from.

    Args:
        rows: result rows; failed ones, and those that started from no other's weights, serve for comparison only.
    """
    found = paths(rows)
    labels = names([path.row for path in found], room=0, most=ROOM)
    looks = families([{"preset": label} for label in labels])
    with style():
        figure = new_figure(WIDTH, 1.35 + 0.27 * max(len(found), 1))
        panel = figure.subplots()
        panel.set(xlabel="test accuracy")
        for row in teachers(rows)[:1]:
            panel.axvline(row["test_accuracy"], color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1, label="_teacher")
        for level, (path, label) in enumerate(zip(found, labels, strict=True)):
            draw_path(panel, level, path, looks[label][0])
        finish_rows(panel, labels, [looks[label][0] for label in labels])
        key(figure, found, bool(teachers(rows)))
    return figure


def draw_path(panel: Any, level: int, path: Path, colour: Any) -> None:
    """One line of the figure."""
    known = [stage for stage in STAGES if value_of(path.row, stage[0]) is not None]
    panel.plot([path.row[name] for name, *_ in known], [level] * len(known), color=paler(colour, 0.55), linewidth=1.6, zorder=2,
               label="_way")
    for name, marker, _ in known:
        last = name == "test_accuracy"
        panel.errorbar([path.row[name]], [level], xerr=[uncertainty(path.row, name)], color=colour, marker=marker,
                       markersize=6 if marker == "o" else 4.5, markerfacecolor=colour if last else "white",
                       markeredgecolor="white" if last else colour, markeredgewidth=0.7 if last else 1.2, elinewidth=1, zorder=3,
                       label=f"_{name}")
    if path.scratch is not None:
        panel.errorbar([path.scratch["test_accuracy"]], [level], xerr=[uncertainty(path.scratch, "test_accuracy")],
                       color=darker(colour), marker="x", markersize=5.5, markeredgewidth=1.4, elinewidth=0.8, zorder=2.5,
                       label="_scratch")


def key(figure: Any, found: Sequence[Path], taught: bool) -> None:
    """Which mark is which, above the panel."""
    from matplotlib.lines import Line2D

    def mark(marker: str, filled: bool) -> Any:
        return Line2D([], [], color=MUTED, marker=marker, linestyle="none", markersize=5.5 if marker != "D" else 4.5,
                      markerfacecolor=MUTED if filled else "white", markeredgewidth=1.2)

    shown = [stage for stage in STAGES if any(value_of(path.row, stage[0]) is not None for path in found)]
    handles = [mark(marker, name == "test_accuracy") for name, marker, _ in shown]
    words = [words for *_, words in shown]
    if any(path.scratch is not None for path in found):
        handles.append(mark("x", True))
        words.append(SCRATCH)
    if taught:
        handles.append(Line2D([], [], color=INK, linewidth=1.1, linestyle=(0, (4, 2))))
        words.append("the model before")
    figure.legend(handles, words, loc="outside upper left", ncols=3, fontsize=SMALL, handlelength=1.6, columnspacing=1.1,
                  handletextpad=0.4)
