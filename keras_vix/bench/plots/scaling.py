"""Time, memory and arithmetic against the number of tokens, and where each mixer overtakes exact attention."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..tables import Row, one_line
from .looks import INK, MUTED, SMALL, WIDTH, darker, families, new_figure, paler, plain_log, style
from .values import BreakEven, about, break_even, clean, count, exact, over_seeds, ranked

EXACT = "exact attention"
SIZES = ("input_shape=", "image_size=")
CHOICES = ("kernel=", "mixer=")


class Measure(NamedTuple):
    """What is drawn: its key in a row, its unit on the axis, by what it is divided, the figure's title and name."""

    key: str
    axis: str
    divisor: float
    title: str
    name: str


MEASURES = (
    Measure("train_step_seconds", "milliseconds a training step", 1e-3, "Time of a training step", "tokens_step"),
    Measure("latency_1_seconds", "milliseconds for one image", 1e-3, "Time of a forward pass", "tokens_latency"),
    Measure("train_memory_bytes", "peak memory of training (MiB)", 2.0**20, "Memory of training", "tokens_memory"),
    Measure("inference_memory_bytes", "peak memory (MiB)", 2.0**20, "Memory of a forward pass", "tokens_inference_memory"),
    Measure("multiply_adds", "million multiply-adds an image", 1e6, "Arithmetic", "tokens_multiply_adds"),
)

Points = Mapping[float, float]


def mixer_names(rows: Sequence[Row]) -> list[str]:
    """What each row is called among rows that differ in mixer and size.

    The words of its label without the size and without those that all rows share, kernel and mixer first, and of these as
    many as tell it from all others: `vit_ti16 input_shape=224x224x3 kernel=linformer m=64` is `linformer`, unless there is
    another Linformer. The only row of exact attention of each size is `exact attention`.
    """
    words = [[word for word in one_line(row.get("label") or row.get("preset") or "?").split(" ") if not word.startswith(SIZES)]
             for row in rows]
    shared = set.intersection(*map(set, words)) if len({tuple(own) for own in words}) > 1 else set()
    kept = [tuple(sorted((word for word in own if word not in shared), key=lambda word: not word.startswith(CHOICES)))
            for own in words]
    distinct = set(kept)
    found = []
    for row, own in zip(rows, kept, strict=True):
        enough = next((n for n in range(1, len(own)) if sum(other[:n] == own[:n] for other in distinct) == 1), len(own))
        found.append(clean(" ".join(map(without_key, own[:enough])) or row.get("preset") or "?", 26))
    precise = {own for own, row in zip(kept, rows, strict=True) if exact(row)}
    return [EXACT if exact(row) and len(precise) == 1 else name for name, row in zip(found, rows, strict=True)]


def without_key(word: str) -> str:
    """`kernel=performer` as `performer`; ranks and sizes keep their keys."""
    return word.partition("=")[2] if word.startswith((*CHOICES, "features=")) else word


def curves(rows: Sequence[Row], key: str, divisor: float = 1.0) -> dict[str, dict[float, float]]:
    """The values of each mixer by its number of tokens, exact attention first; of mixers measured at one size at least."""
    rows = [row for row in beyond_idle(rows, key) if ranked(row)]
    named = [{**row, "mixer_name": name} for row, name in zip(rows, mixer_names(rows), strict=True)]
    found: dict[str, dict[float, float]] = {}
    for row in over_seeds(named, "tokens", key):
        if row["tokens"] > 0 and row[key] > 0:
            found.setdefault(row["mixer_name"], {})[row["tokens"]] = row[key] / divisor
    ordered = sorted(found, key=lambda name: name != EXACT)
    return {name: dict(sorted(found[name].items())) for name in ordered}


def idle(rows: Sequence[Row], key: str) -> float:
    """The memory that every one of these processes holds before its model does anything: the least of them; 0 for other figures.

    It is the framework's own, hundreds of MiB beside which models would look alike. A device holds nothing of the kind.
    """
    known = [row["idle_memory_bytes"] for row in rows if "memory" in key and row.get("idle_memory_bytes")]
    return min(known) if len(known) == sum(row.get(key) is not None for row in rows) else 0


def beyond_idle(rows: Sequence[Row], key: str) -> list[Row]:
    """The rows with memory counted beyond what all of these processes hold anyway; other figures as they are."""
    base = idle(rows, key)
    return [{**row, key: row[key] - base} if base and row.get(key) is not None else row for row in rows]


def overtaking(found: Mapping[str, Points]) -> dict[str, BreakEven | None]:
    """For each mixer but exact attention its break-even point, the earliest first."""
    own = found.get(EXACT, {})
    points = {}
    for name, values in found.items():
        if name != EXACT:
            sizes = sorted(set(own) & set(values))
            points[name] = break_even(sizes, [own[size] for size in sizes], [values[size] for size in sizes])
    ranks = {"always": 0, "at": 1, "lost": 2, "never": 3}
    return dict(sorted(points.items(), key=lambda one: (4, 0) if one[1] is None else (ranks[one[1].kind], one[1].tokens)))


def plot_scaling(rows: Sequence[Row], key: str = "train_step_seconds") -> Any:
    """A cost against the number of tokens, a line for each mixer on logarithmic axes, over a strip of break-even points.

    In the strip a bar covers, for each mixer, the sizes at which it costs less than exact attention, with the number of tokens
    from which on it does so; at the right stands the ratio of both costs at the largest size that both were measured at. The
    same points are ringed on the lines.

    Args:
        rows: rows with `tokens`; failed and retried ones, and those without the figure, are left out.
        key: the cost, a key of `MEASURES`.

    Raises:
        ValueError: key is none of these costs.
    """
    known = {measure.key: measure for measure in MEASURES}
    if key not in known:
        raise ValueError(f"key must be one of {', '.join(known)}. Received: key={key!r}.")
    found = curves(rows, key, known[key].divisor)
    looks = families([{"preset": name} for name in found if name != EXACT])
    with style():
        figure = new_figure(WIDTH, 2.7 + 0.45 + 0.205 * max(len(found), 1))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 0.15 + 0.205 * max(len(found), 1)])
        upper.set_title(f"{known[key].title} against tokens")
        upper.set_ylabel(known[key].axis)
        if found:
            draw_lines(upper, found, looks)
            points = overtaking(found)
            ring(upper, found, points)
            draw_strip(lower, found, points, looks)
            finish_axes(upper, lower, found)
    return figure


def finish_axes(upper: Any, lower: Any, found: Mapping[str, Points]) -> None:
    """Logarithmic axes, with the measured numbers of tokens as ticks as far as they have room."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    sizes = sorted({size for values in found.values() for size in values})
    costs = [value for values in found.values() for value in values.values()]
    upper.set_yscale("log")
    plain_log(upper.yaxis, costs)
    upper.set_xscale("log")
    room = max(sizes[-1] / sizes[0], 1.2) ** 0.05
    upper.set_xlim(sizes[0] / room, sizes[-1] * room)
    shown = thinned(sizes)
    lower.xaxis.set_major_locator(FixedLocator(shown))
    lower.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel("tokens")
    upper.grid(axis="x", visible=False)


def thinned(sizes: Sequence[float]) -> list[float]:
    """Of the sizes those that have room for their number beside the last one, the smallest and largest always."""
    gap = 0.11 * math.log(max(sizes[-1] / sizes[0], 1.2))
    kept = [sizes[0]]
    for size in sizes[1:-1]:
        if math.log(size / kept[-1]) >= gap and math.log(sizes[-1] / size) >= gap:
            kept.append(size)
    return [*kept, sizes[-1]] if len(sizes) > 1 else kept


def look_of(name: str, looks: Mapping[str, Any]) -> tuple[Any, str]:
    """Exact attention is black, everything else has a colour and a marker of its own."""
    import matplotlib.colors

    return (matplotlib.colors.to_rgb(INK), "o") if name == EXACT else looks[name]


def draw_lines(panel: Any, found: Mapping[str, Points], looks: Mapping[str, Any]) -> None:
    """A line for each mixer, that of exact attention thicker and in front."""
    for name, values in found.items():
        colour, marker = look_of(name, looks)
        panel.plot(list(values), list(values.values()), color=colour, marker=marker, markersize=4,
                   linewidth=2.2 if name == EXACT else 1.3, zorder=3 if name == EXACT else 2, label=name,
                   markeredgecolor="white", markeredgewidth=0.4)


def ring(panel: Any, found: Mapping[str, Points], points: Mapping[str, BreakEven | None]) -> None:
    """A ring where a line goes below that of exact attention."""
    import numpy as np

    own = found.get(EXACT, {})
    places = [(point.tokens, np.exp(np.interp(np.log(point.tokens), np.log(list(own)), np.log(list(own.values())))))
              for point in points.values() if point is not None and point.kind == "at"]
    if places:
        rings = panel.scatter(*zip(*places, strict=True), s=70, facecolor="none", edgecolor=INK, linewidth=1.1, zorder=4,
                              label="_break-even")
        rings.set_gid("break-even")
        panel.legend([rings], ["overtakes exact attention"], loc="upper left", fontsize=SMALL, handletextpad=0.2)


def draw_strip(panel: Any, found: Mapping[str, Points], points: Mapping[str, BreakEven | None],
               looks: Mapping[str, Any]) -> None:
    """A line of the strip for each mixer: its look and name, where it is ahead, and by how much at the largest size."""
    order = [name for name in found if name == EXACT] + (list(points) or [name for name in found if name != EXACT])
    panel.set_ylim(len(order) - 0.4, -0.6)
    panel.grid(visible=False)
    panel.spines["left"].set_visible(False)
    panel.set_yticks(range(len(order)), order)
    panel.tick_params(axis="y", length=0, pad=16)
    span = [size for values in found.values() for size in values]
    for level, (name, text) in enumerate(zip(order, panel.get_yticklabels(), strict=True)):
        colour, marker = look_of(name, looks)
        text.set_color(darker(colour))
        panel.plot([-0.025], [level], transform=panel.get_yaxis_transform(), color=colour, marker=marker, markersize=5,
                   clip_on=False, label="_key")
        if name != EXACT:
            draw_bar(panel, level, found[name], points.get(name), colour, (min(span), max(span)))
            write_beside(panel, level, ratio_words(found, name), "normal")
    if EXACT in found and len(order) > 1:
        panel.annotate("where it costs less", (max(span), 0), xytext=(-3, 0), textcoords="offset points", ha="right",
                       va="center", fontsize=SMALL, color=MUTED)
        largest = {max(set(found[EXACT]) & set(found[name]), default=None) for name in order if name != EXACT} - {None}
        write_beside(panel, 0, f"at {count(largest.pop())}" if len(largest) == 1 else "at most", "normal", MUTED)


def draw_bar(panel: Any, level: int, values: Points, point: BreakEven | None, colour: Any, span: tuple[float, float]) -> None:
    """Where a mixer was measured, a thin line; where it is ahead of exact attention, a bar with its first size."""
    first, last = min(values), max(values)
    panel.plot([first, last], [level, level], color=paler(colour, 0.45), linewidth=1.2, zorder=1, label="_measured",
               solid_capstyle="butt")
    if point is None:
        return
    ends = {"always": (first, last), "at": (point.tokens, last), "lost": (first, point.tokens)}
    left, right = ends.get(point.kind, (None, None))
    if left is not None:
        panel.barh(level, right - left, left=left, height=0.72, color=paler(colour, 0.55), linewidth=0, zorder=2, gid="ahead")
    words = {
        "always": "at every size", "at": f"from about {about(point.tokens)}",
        "lost": f"below about {about(point.tokens)} only", "never": f"not up to {count(point.tokens)}",
    }[point.kind]  # fmt: skip
    # Inside the bar if there is room, else left of it, on white so that the thin line does not strike it out.
    narrow = point.kind == "at" and math.log(last / point.tokens) < 0.36 * math.log(max(span[1] / span[0], 1.2))
    inside = point.kind in ("always", "at") and not narrow
    panel.annotate(words, (left if narrow else last, level), xytext=(-3, 0), textcoords="offset points", ha="right", va="center",
                   fontsize=SMALL, color=MUTED if left is None else INK, zorder=3,
                   bbox=None if inside else {"facecolor": "white", "edgecolor": "none", "pad": 1.0})


def ratio_words(found: Mapping[str, Points], name: str) -> str:
    """How many times as much exact attention costs at the largest size that both were measured at."""
    both = set(found.get(EXACT, {})) & set(found[name])
    if not both:
        return ""
    ratio = found[EXACT][max(both)] / found[name][max(both)]
    digits = 2 if ratio < 0.95 else 1 if ratio < 9.95 else 0
    return f"{ratio:,.{digits}f} ×"


def write_beside(panel: Any, level: int, words: str, weight: str, colour: Any = INK) -> None:
    """Words at the right of the strip."""
    panel.annotate(words, (1.02, level), xycoords=panel.get_yaxis_transform(), ha="left", va="center", fontsize=SMALL,
                   color=colour, annotation_clip=False, fontweight=weight)
