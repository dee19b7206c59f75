"""Rows and histories as figures. Each function returns a matplotlib Figure and leaves matplotlib's state alone."""

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .tables import Row
from .scores import best_epoch

INK, MUTED, FAINT = "#1f2933", "#5f6b7a", "#d5dae1"
TRAINING, VALIDATION = "#0072b2", "#d55e00"
MARKERS = "osD^vphP<>"
STYLE = {
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.titlecolor": INK, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "grid.color": "#e8ebef", "axes.titlelocation": "left",
    "axes.titleweight": "bold", "figure.facecolor": "white", "savefig.facecolor": "white",
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "keras_vix", "svg.fonttype": "path",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The house style of figures, for the length of a `with` block."""
    import matplotlib
    import seaborn

    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("notebook", font_scale=0.9):
        with matplotlib.rc_context(STYLE):
            yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure in inches, on the canvas that draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def encode(figure: Any, form: str) -> bytes:
    """The figure as the bytes of a `png` (150 dots an inch) or an `svg` file; equal figures give equal bytes."""
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    return content.getvalue()


def curves_of(history: Any) -> Mapping[str, Sequence[float | None]]:
    """The dictionary inside a Keras `History`; a dictionary is taken as it is."""
    return getattr(history, "history", history)


def numbers(values: Sequence[float | None]) -> list[float]:
    """Values with None as NaN, which matplotlib leaves out of a line."""
    return [math.nan if value is None else float(value) for value in values]


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
        figure = new_figure(9.0, 3.6)
        figure.get_layout_engine().set(wspace=0.06)
        panels = figure.subplots(1, 2)
        chosen = best_epoch(curves, best)
        for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
            draw_curves(panel, curves, name)
            if chosen is not None:
                draw_best(panel, chosen, len(curves["loss"]), labelled=name == "accuracy")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def draw_curves(panel: Any, curves: Mapping[str, Sequence[float | None]], name: str) -> None:
    """One panel: training and validation values of a metric, with a marker where there are few epochs."""
    import seaborn

    for key, label, colour, dash in (
        (name, "training", TRAINING, (0, (3, 1.2))), (f"val_{name}", "validation", VALIDATION, "-"),
    ):
        values = numbers(curves.get(key, []))
        if values:
            seaborn.lineplot(
                x=range(1, len(values) + 1), y=values, ax=panel, color=colour, label=label, linestyle=dash,
                linewidth=2, errorbar=None, marker="o" if len(values) < 12 else None, markersize=5,
            )
    panel.set(title=name.capitalize(), xlabel="epoch", ylabel="")
    whole_epochs(panel, len(curves["loss"]))
    panel.grid(axis="x", visible=False)
    if panel.get_legend():
        panel.legend(frameon=False, loc="best")


def whole_epochs(panel: Any, epochs: int) -> None:
    """An axis from the first epoch to the last, with ticks at whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    room = max(0.04 * (epochs - 1), 0.2)
    panel.set_xlim(1 - min(room, 0.9), epochs + room)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=(1, 2, 5, 10), min_n_ticks=1))


def draw_best(panel: Any, epoch: int, epochs: int, labelled: bool) -> None:
    """A dashed line at the best epoch, with its number at the top of the line."""
    panel.axvline(epoch, color=INK, linestyle="--", linewidth=1.1, label="_best", zorder=1.5)
    words = f"best epoch {epoch}" if labelled else f"{epoch}"
    right_half = epoch > (epochs + 1) / 2
    panel.annotate(
        words, (epoch, 1.0), xycoords=("data", "axes fraction"), xytext=(-4 if right_half else 4, 3),
        textcoords="offset points", ha="right" if right_half else "left", va="bottom", fontsize=9, color=INK,
    )


# ---- all runs: accuracy against time -------------------------------------------------------------------------------


def families(rows: Sequence[Row]) -> dict[str, tuple[Any, str]]:
    """A colour and a marker for each preset, in order of appearance; the colours can be told apart by everybody."""
    import seaborn

    colours = [colour for index, colour in enumerate(seaborn.color_palette("colorblind")) if index != 8]
    looks = {}
    for index, name in enumerate(dict.fromkeys(row["preset"] for row in rows)):
        turn, place = divmod(index, len(colours))
        looks[name] = (colours[place], MARKERS[(place + turn) % len(MARKERS)])
    return looks


def plot_accuracy_time(rows: Sequence[Row], y: str = "test_accuracy") -> Any:
    """Accuracy against seconds an epoch, a point for each row; runs of a preset at several `m` are joined.

    Bars show one standard error to each side, as the number of test images gives it: rows closer than that are equal.

    Args:
        rows: result rows; those without both figures (failed runs) are left out.
        y: the accuracy to show.
    """
    rows = [row for row in rows if row.get("epoch_seconds") and row.get(y) is not None]
    with style():
        figure = new_figure(9.0, 5.6)
        panel = figure.subplots()
        panel.set(xlabel="seconds per epoch", ylabel=y.replace("_", " "), title="Accuracy against time")
        panel.set_title("higher and further left is better; bars: ± 1 standard error", loc="right", fontsize=9,
                        color=MUTED, fontweight="normal")
        if rows:
            times = [row["epoch_seconds"] for row in rows]
            if max(times) > 6 * min(times):
                logarithmic(panel)
            panel.margins(0.16, 0.12)
            draw_families(panel, rows, y)
            panel.set_ylim(top=min(panel.get_ylim()[1], 1.02))
            figure.canvas.draw()
            place_labels(panel, [(row["epoch_seconds"], row[y]) for row in rows], [row["label"] for row in rows],
                         [families(rows)[row["preset"]][0] for row in rows])
    return figure


def logarithmic(panel: Any) -> None:
    """A logarithmic x axis with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def draw_families(panel: Any, rows: Sequence[Row], y: str) -> None:
    """The points, and a thin line through the points of a preset in order of m."""
    for name, (colour, marker) in families(rows).items():
        own = sorted((row for row in rows if row["preset"] == name), key=lambda row: row.get("m") or 0)
        x_values, y_values = [row["epoch_seconds"] for row in own], [row[y] for row in own]
        panel.errorbar(x_values, y_values, [standard_error(row, y) for row in own], fmt="none", ecolor=colour,
                       elinewidth=1, alpha=0.3, zorder=1.5)
        if len({row.get("m") for row in own}) == len(own):  # not for repeats with other seeds or epochs
            panel.plot(x_values, y_values, color=colour, linewidth=1, alpha=0.45, zorder=2)
        panel.scatter(x_values, y_values, color=[colour], marker=marker, s=70, edgecolor="white", linewidth=0.8,
                      zorder=3)


def standard_error(row: Row, y: str) -> float:
    """The standard error of an accuracy that was measured on so many images; 0 if their number is not known."""
    images = row.get("test_images" if y.startswith("test") else "validation_images")
    return math.sqrt(row[y] * (1 - row[y]) / images) if images else 0.0


def darker(colour: Sequence[float]) -> tuple[float, ...]:
    """A colour dark enough for text on white."""
    return tuple(0.62 * part for part in colour[:3])


def place_labels(panel: Any, points: Sequence[tuple[float, float]], labels: Sequence[str],
                 colours: Sequence[Any]) -> None:
    """Write a label near each point so that no label touches another label or any point.

    Each label goes to the nearest free place on rings round its point; one that had to go far gets a thin line to it.
    """
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    halo = [withStroke(linewidth=2.5, foreground="white")]
    renderer = panel.figure.canvas.get_renderer()
    spots = panel.transData.transform(points)
    taken = [Bbox.from_bounds(x - 7, y - 7, 14, 14) for x, y in spots]
    for (x, y), label, colour in zip(spots, labels, colours, strict=True):
        text = panel.text(0, 0, label, fontsize=9, color=darker(colour), transform=None, zorder=4,
                          ha="center", va="center", path_effects=halo)
        size = text.get_window_extent(renderer)
        box, distance = free_place(x, y, size.width, size.height, panel.bbox, taken)
        taken.append(box)
        centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        text.set_transform(panel.transAxes)
        text.set_position(panel.transAxes.inverted().transform(centre))
        if distance > 16:
            draw_leader(panel, (x, y), box, colour)


def free_place(x: float, y: float, width: float, height: float, frame: Any, taken: Sequence[Any]) -> tuple[Any, float]:
    """The box for a label of that size nearest to (x, y), in pixels, and its distance from the point.

    Places right and left of the point come first, then above and below, then further rings. If every place inside the
    frame is taken, the last box tried is used.
    """
    from matplotlib.transforms import Bbox

    for distance in (10, 16, 24, 34, 46, 60, 76, 94, 114, 136, 160, 190, 225, 265, 310):
        for degrees in (0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202, 68, 112, 292, 248):
            across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            left = x + across * distance + width * (across - 1) / 2
            low = y + up * distance + height * (up - 1) / 2
            box = Bbox.from_bounds(left, low, width, height)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            free = not any(box.padded(2).overlaps(other) for other in taken)
            if inside and free and not crosses((x, y), box, taken):
                return box, distance
    return box, distance


def nearest_in(box: Any, point: tuple[float, float]) -> tuple[float, float]:
    """The place of a box that is nearest to a point."""
    return min(max(point[0], box.x0), box.x1), min(max(point[1], box.y0), box.y1)


def crosses(point: tuple[float, float], box: Any, taken: Sequence[Any]) -> bool:
    """Whether the straight line from a point to its label runs through something else."""
    end = nearest_in(box, point)
    others = [other for other in taken if not other.contains(*point)]
    places = [[a + share * (b - a) for a, b in zip(point, end, strict=True)] for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    return any(other.contains(*place) for other in others for place in places)


def draw_leader(panel: Any, point: tuple[float, float], box: Any, colour: Any) -> None:
    """A thin line from a point to the nearest place on the border of its label, all in pixels."""
    ends = panel.transAxes.inverted().transform([point, nearest_in(box, point)])
    panel.plot(*ends.T, transform=panel.transAxes, color=colour, linewidth=0.8, alpha=0.7, zorder=1.8)


# ---- all runs: validation accuracy against the epoch ---------------------------------------------------------------


def plot_grid(rows: Sequence[Row], curve: str = "val_accuracy") -> Any:
    """A panel for each preset with its runs' curves in colour, over all other runs in grey.

    Args:
        rows: result rows; those without the curve are left out.
        curve: a key of their histories.
    """
    rows = [row for row in rows if curves_of(row.get("history") or {}).get(curve)]
    with style():
        looks = families(rows)
        across = min(4, max(1, math.ceil(math.sqrt(len(looks)))))
        down = max(1, math.ceil(len(looks) / across))
        figure = new_figure(max(2.9 * across, 5.0), 2.3 * down + 0.6)
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten()
        for panel, (name, (colour, _)) in zip(panels, looks.items(), strict=False):
            draw_family(panel, rows, name, colour, curve)
        for panel in panels[len(looks):]:
            panel.set_axis_off()
        if rows:
            panels[0].set_ylim(*useful_range(rows, curve))
            whole_epochs(panels[0], max(len(row["history"][curve]) for row in rows))
            label_ends(panels, looks, rows, curve)
        figure.supylabel(curve.replace("val_", "validation ").replace("_", " "), fontsize=11)
        figure.supxlabel("epoch", fontsize=11)
    return figure


def useful_range(rows: Sequence[Row], curve: str) -> tuple[float, float]:
    """Limits that show the curves from their lower tenth on, so that one bad first epoch does not flatten them."""
    values = sorted(value for row in rows for value in row["history"][curve] if value is not None)
    low, high = values[len(values) // 20], values[-1]
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room


def draw_family(panel: Any, rows: Sequence[Row], name: str, colour: Any, curve: str) -> None:
    """One panel: every run in grey, and those of one preset in shades of its colour, the darkest with the largest m."""
    for row in rows:
        if row["preset"] != name:
            line(panel, row["history"][curve], color=FAINT, linewidth=0.8, zorder=1)
    own = sorted((row for row in rows if row["preset"] == name), key=lambda row: row.get("m") or 0)
    for row, shade in zip(own, shades(colour, len(own)), strict=True):
        line(panel, row["history"][curve], color=shade, linewidth=2, zorder=3, label=row["label"])
    panel.set_title(name, fontsize=10)
    panel.tick_params(labelbottom=True, labelsize=9)
    panel.grid(axis="x", visible=False)


def line(panel: Any, values: Sequence[float | None], **look: Any) -> None:
    """A curve over epochs from 1; a single epoch is a dot."""
    panel.plot(range(1, len(values) + 1), numbers(values), marker="o" if len(values) == 1 else None, **look)


def shades(colour: Any, number: int) -> list[Any]:
    """From a lighter shade of the colour to a darker one."""
    import seaborn

    if number == 1:
        return [colour]
    return seaborn.blend_palette([[1 - 0.5 * (1 - part) for part in colour[:3]], darker(colour)], number)


def label_ends(panels: Any, looks: Mapping[str, Any], rows: Sequence[Row], curve: str) -> None:
    """In each panel, a short key: what sets a run apart from its family, with its last value."""
    for panel, name in zip(panels, looks, strict=False):
        own = sorted((row for row in rows if row["preset"] == name), key=lambda row: row.get("m") or 0)
        words = [" ".join(filter(None, (row["label"].removeprefix(name).strip(), f"{last(row, curve):.3f}")))
                 for row in own]
        handles = [handle for handle in panel.get_lines() if not handle.get_label().startswith("_")]
        panel.legend(handles, words, frameon=False, fontsize=8, loc="lower right", handlelength=1.2,
                     borderaxespad=0.2, labelspacing=0.25)


def last(row: Row, curve: str) -> float:
    """The last value of a curve; NaN if it diverged."""
    return numbers(row["history"][curve])[-1]
