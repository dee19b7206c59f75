"""Time and memory against the number of tokens, with labels at the curves."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import summary
from .results import Results

Points = Mapping[int, float]
EXACT, SOFTMAX, RELU, LINFORMER, NYSTROM = "#3c4654", "#0072b2", "#56a5d8", "#00805e", "#c2571a"


class Curve(NamedTuple):
    """One line of a figure: a case, its label, the colour of its method, and whether it is this package's."""

    case: str
    label: str
    colour: str
    ours: bool


def curves(backend: str) -> tuple[Curve, ...]:
    """This package's kernels and the best-known peers; a colour is a method, a full line is this package."""
    return (
        Curve(f"{backend}-vix-exact", "keras_vix exact", EXACT, True),
        Curve(f"{backend}-vix-performer-softmax", "keras_vix Performer softmax", SOFTMAX, True),
        Curve(f"{backend}-vix-performer-relu", "keras_vix Performer ReLU", RELU, True),
        Curve(f"{backend}-vix-linformer", "keras_vix Linformer", LINFORMER, True),
        Curve(f"{backend}-vix-nystrom", "keras_vix Nyström", NYSTROM, True),
        Curve(f"{backend}-mha", "keras MultiHeadAttention", EXACT, False),
        Curve("torch-sdpa", "torch SDPA", "#8a94a3", False),
        Curve("torch-performer-pytorch-softmax", "performer-pytorch softmax", SOFTMAX, False),
        Curve("torch-performer-pytorch-relu", "performer-pytorch ReLU", RELU, False),
        Curve("torch-linformer-package", "linformer", LINFORMER, False),
        Curve("torch-nystrom-package", "nystrom-attention", NYSTROM, False),
    )


def figures(results: Results) -> dict[str, bytes]:
    """Files by name; a figure that has no curve of two points is left out."""
    from keras_vix.bench.plots import encode

    made = {
        "speed": draw(results, "seconds", 1000.0, "time of forward + backward (ms)"),
        "memory": draw(results, "memory_bytes", 2.0**-20, "peak memory of forward + backward (MiB)"),
    }
    return {
        f"{name}.{form}": encode(figure, form) for name, figure in made.items() if figure for form in ("png", "svg")
    }


def draw(results: Results, figure: str, scale: float, words: str) -> Any:
    """One figure; None without data."""
    from keras_vix.bench.plots import new_figure, style

    found = {
        curve: {size: scale * value for size, value in results.curve("train", curve.case, figure).items()}
        for curve in curves(results.backend)
    }
    found = {curve: points for curve, points in found.items() if len(points) > 1}
    if not found:
        return None
    with style(10.8):
        canvas = new_figure(10.5, 7.0)
        panel = canvas.subplots()
        for curve, points in found.items():
            draw_curve(panel, curve, points)
        finish_axes(panel, found, words)
        draw_guides(panel)
        label_ends(panel, found, lambda curve: suffix(results, curve) if figure == "seconds" else "")
        if figure == "seconds":
            draw_break_evens(panel, results, found)
        explain(panel, figure == "seconds", results.tokens("doubling", "train"))
    return canvas


def draw_curve(panel: Any, curve: Curve, points: Points) -> None:
    """A full thick line for this package, a dashed thin one for others."""
    look = {"linewidth": 2.4, "zorder": 3} if curve.ours else {"linewidth": 1.3, "linestyle": (0, (4, 2)), "zorder": 2}
    panel.plot(list(points), list(points.values()), color=curve.colour, marker="o", markersize=4.5 if curve.ours else 3,
               **look)


def finish_axes(panel: Any, found: Mapping[Curve, Points], words: str) -> None:
    """Logarithmic axes with whole numbers, and room for the labels at the right."""
    sizes = sorted({size for points in found.values() for size in points})
    values = [value for points in found.values() for value in points.values()]
    panel.set(xscale="log", yscale="log", xlabel="tokens")
    panel.set_title(f"One attention layer: {words.split(' (')[0]}")
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.minorticks_off()
    panel.set_xlim(sizes[0] / 1.15, sizes[-1] * (sizes[-1] / sizes[0]) ** 0.48)
    panel.set_ylim(max(min(values), 1e-3) / 1.5, max(values) * 1.6)
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    panel.set_ylabel(words)
    panel.grid(axis="x", visible=False)


def draw_guides(panel: Any) -> None:
    """Two faint lines at the lower right, where no curve is: growth with the tokens, and with their square."""
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    begin, foot = left * (right / left) ** 0.72, low * (high / low) ** 0.04
    for power, words in ((1, "~ N"), (2, "~ N²")):
        top = foot * (high / low) ** (0.11 * power)
        end = begin * (top / foot) ** (1 / power)
        panel.plot([begin, end], [foot, top], color="#b8c0ca", linewidth=1, zorder=1)
        look = {"textcoords": "offset points", "fontsize": 9, "color": "#8a94a3", "va": "center"}
        panel.annotate(words, (end, top), xytext=(3, 0), **look)


def label_ends(panel: Any, found: Mapping[Curve, Points], more: Callable[[Curve], str]) -> None:
    """A label at the end of each curve, moved up or down where two would touch; at its left if it ends early above all others."""
    by_end: dict[tuple[int, int], list[tuple[Curve, float]]] = {}
    for curve, points in found.items():
        end = max(points)
        further = [others[end] for others in found.values() if max(others) > end and end in others]
        side = -9 if further and points[end] > max(further) else 9
        by_end.setdefault((end, side), []).append((curve, points[end]))
    for (end, side), ends in by_end.items():
        heights = [panel.transData.transform((end, value))[1] for _, value in ends]
        for (curve, value), height, place in zip(ends, heights, apart(heights, 17.0), strict=True):
            shift = (place - height) * 72 / panel.figure.dpi
            panel.annotate(
                curve.label + more(curve), (end, value), xytext=(side, shift), textcoords="offset points", va="center",
                ha="left" if side > 0 else "right", fontsize=9, color=curve.colour, fontweight="bold" if curve.ours else "normal",
            )


def apart(heights: Sequence[float], least: float) -> list[float]:
    """The heights, moved as little as a sweep can so that neighbours are at least so far apart, in their order."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    places = [heights[i] for i in order]
    for _ in range(200):
        for i in range(1, len(places)):
            short = least - (places[i] - places[i - 1])
            if short > 0:
                places[i - 1] -= short / 2
                places[i] += short / 2
    found = [0.0] * len(heights)
    for i, place in zip(order, places, strict=True):
        found[i] = place
    return found


def suffix(results: Results, curve: Curve) -> str:
    """What doubling the tokens costs at the far end, where it was measured."""
    value = results.doubling(curve.case)
    return f"  (2N: ×{value.median:.2f})" if value else ""


def draw_break_evens(panel: Any, results: Results, found: Mapping[Curve, Points]) -> None:
    """A ring with the tokens wherever one of this package's kernels overtakes an exact attention."""
    rivals = [curve for curve in found if curve.case in (f"{results.backend}-mha", f"{results.backend}-vix-exact")]
    for curve in found:
        for rival in rivals if curve.ours and curve not in rivals else ():
            at = summary.break_even(found[curve], found[rival])
            if at is not None:
                draw_ring(panel, at, height(found[rival], at), curve.colour, above=not rival.ours)


def draw_ring(panel: Any, at: float, value: float, colour: str, above: bool) -> None:
    """A ring and its tokens, the number above it at the left or below it at the right."""
    from matplotlib.patheffects import withStroke

    panel.plot([at], [value], marker="o", markersize=10, markerfacecolor="none", markeredgecolor=colour, zorder=4)
    left, right = {"ha": "right", "va": "bottom"}, {"ha": "left", "va": "top"}
    place = {"xytext": (-6, 6), **left} if above else {"xytext": (6, -6), **right}
    halo = [withStroke(linewidth=2.5, foreground="white")]
    panel.annotate(f"{at:,.0f}", (at, value), textcoords="offset points", fontsize=8.5, color=colour, zorder=5,
                   path_effects=halo, **place)


def height(points: Points, at: float) -> float:
    """A curve's value between its points, by straight lines in log-log."""
    sizes = sorted(points)
    right = next(i for i in range(1, len(sizes)) if sizes[i] >= at)
    before, after = sizes[right - 1], sizes[right]
    share = math.log(at / before) / math.log(after / before)
    return math.exp((1 - share) * math.log(points[before]) + share * math.log(points[after]))


def explain(panel: Any, rings: bool, doubled: Sequence[int]) -> None:
    """What lines, rings and ratios mean, at the right, below the curves."""
    words = "full lines: keras_vix; dashed: others; a colour is a method"
    more = ("\nrings: tokens from which it beats keras MultiHeadAttention"
            "\n(number above) and keras_vix exact attention (below)")
    if rings and len(doubled) > 1:
        more += f"\n2N: what doubling the tokens costs, {doubled[-2]:,} to {doubled[-1]:,}"
    panel.text(
        0.62, 0.4, words + (more if rings else ""),
        transform=panel.transAxes, va="top", fontsize=9, color="#5f6b7a",
    )
