"""Labels beside points that touch neither each other nor any point."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .looks import MUTED, SMALL, darker

# Directions of a label from its point, in the order of preference; far from the point there is room for more of them.
NEAR = (0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202, 68, 112, 292, 248)
BETWEEN = tuple(range(4, 360, 8))
BESIDE = 14  # pixels from a point to its label; what is further off gets a line
ORDERS = 400  # labels that are placed once more to find a better order
# What is as bad as a label that is so many pixels off, squared: crossing lines; a place on a line; a line through a label.
CROSSED, ON_A_LINE, ON_A_LABEL = 60**2, 60**2, 120**2


class Box(NamedTuple):
    """A rectangle in pixels; there are too many of them for matplotlib's own."""

    x0: float
    y0: float
    x1: float
    y1: float

    def padded(self, room: float) -> "Box":
        """The rectangle with so many pixels round it."""
        return Box(self.x0 - room, self.y0 - room, self.x1 + room, self.y1 + room)

    def inside(self, other: Any) -> bool:
        """Whether it lies within another."""
        return other.x0 <= self.x0 and self.x1 <= other.x1 and other.y0 <= self.y0 and self.y1 <= other.y1

    def free(self, others: Sequence["Box"]) -> bool:
        """Whether it overlaps none of the others."""
        left, low, right, high = self
        return not any(left <= x1 and x0 <= right and low <= y1 and y0 <= high for x0, y0, x1, y1 in others)

    def contains(self, x: float, y: float) -> bool:
        """Whether a point lies in it."""
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1


def place_labels(panel: Any, points: Sequence[tuple[float, float]], labels: Sequence[str], colours: Sequence[Any],
                 weights: Sequence[str] | None = None, lines: Sequence[Sequence[tuple[float, float]]] = ()) -> bool:
    """Write a label near each point so that no label touches another label or any point.

    Each label in turn goes to the nearest free place on rings round its point; of several orders the one with the least `cost` is
    taken. One that had to go far gets a thin line to its point. The figure must have been drawn once, so that its axes
    have their place.

    Args:
        panel: the axes.
        points, labels, colours: one each.
        weights: of the letters.
        lines: pairs of points, the ends of straight lines that labels keep off where there is room.

    Returns:
        Whether there was a free place for every label. If not, nothing is written.
    """
    fonts = weights or ["normal"] * len(labels)
    texts = [panel.text(0, 0, label, fontsize=SMALL, color=darker(colour), transform=None, zorder=4, ha="center", va="center",
                        fontweight=weight, path_effects=halo())
             for label, colour, weight in zip(labels, colours, fonts, strict=True)]
    renderer = panel.figure.canvas.get_renderer()
    extents = [text.get_window_extent(renderer) for text in texts]
    marks = [Mark(x, y, one.width, one.height, 8 if weight == "bold" else 6)
             for (x, y), one, weight in zip(panel.transData.transform(points).tolist(), extents, fonts, strict=True)]
    ends = [panel.transData.transform(line).tolist() for line in lines]
    found = []
    for off, strict, price in ((ends, True, 0), ([], True, ON_A_LINE), ([], False, ON_A_LABEL)):
        for order in orders(len(marks)):
            places = arrange(marks, order, panel.bbox, off, strict)
            found += [(price + cost(marks, places), places)] if places else []
    for text in [] if found else texts:
        text.remove()
    if found:
        write(panel, texts, marks, min(found, key=lambda one: one[0])[1])
    return bool(found)


class Mark(NamedTuple):
    """A point and the size of its label, in pixels; `room` is what the point itself takes up on every side."""

    x: float
    y: float
    width: float
    height: float
    room: float


def orders(number: int) -> list[Sequence[int]]:
    """Orders in which so many labels may be placed, the given one first; fewer where each takes longer."""
    rng = np.random.default_rng(0)
    return [range(number), *(rng.permutation(number).tolist() for _ in range(ORDERS // max(number, 1)))]


def arrange(marks: Sequence[Mark], order: Sequence[int], frame: Any, ends: Sequence[Any],
            strict: bool) -> list[tuple[Box, float]]:
    """The box of each label and its distance, placed in an order beside points and lines in pixels; nothing if one has no place.

    Unless `strict`, lines from points to their labels may run across other labels.
    """
    taken = [Box(mark.x, mark.y, mark.x, mark.y).padded(mark.room) for mark in marks]
    lines = [box for one in ends for box in covering(*one)]
    found: dict[int, tuple[Box, float]] = {}
    for place in order:
        mark = marks[place]
        box, distance = free_place(mark.x, mark.y, mark.width, mark.height, frame, taken, lines, strict)
        if box is None:
            return []
        taken.append(box)
        found[place] = (box, distance)
        if distance > BESIDE and strict:
            lines += along((mark.x, mark.y), nearest_in(box, (mark.x, mark.y)))
    return [found[place] for place in range(len(marks))]


def cost(marks: Sequence[Mark], places: Sequence[tuple[Box, float]]) -> float:
    """How far labels are from their points: the squares of their distances, and something for lines to them that cross."""
    leaders = [((mark.x, mark.y), nearest_in(box, (mark.x, mark.y)))
               for mark, (box, distance) in zip(marks, places, strict=True) if distance > BESIDE]
    crossed = sum(meet(*one, *two) for one, two in itertools.combinations(leaders, 2))
    return sum(distance**2 for _, distance in places) + CROSSED * crossed


def meet(a: Sequence[float], b: Sequence[float], c: Sequence[float], d: Sequence[float]) -> bool:
    """Whether the straight line from `a` to `b` crosses that from `c` to `d`."""

    def side(p: Sequence[float], q: Sequence[float], r: Sequence[float]) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def write(panel: Any, texts: Sequence[Any], marks: Sequence[Mark], places: Sequence[tuple[Box, float]]) -> None:
    """Move labels to their boxes, and lead a line to each that is not beside its point."""
    for text, mark, (box, distance) in zip(texts, marks, places, strict=True):
        text.set_transform(panel.transAxes)
        text.set_position(panel.transAxes.inverted().transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)))
        if distance > BESIDE:
            draw_leader(panel, (mark.x, mark.y), box)


def free_place(x: float, y: float, width: float, height: float, frame: Any,
               taken: Sequence[Any], lines: Sequence[Any] = (), strict: bool = True) -> tuple[Any, float]:
    """The box for a label of that size nearest to (x, y), in pixels, and its distance from the point.

    Places right and left of the point come first, then above and below, then further rings. The box is None if every
    place inside the frame is taken. A label lies on none of the lines, but the line that leads to it may cross one.
    """
    for distance in (9, 13, 18, 25, 34, 45, 58, 72, 88, 106, 126, 150, 180, 215, 255):
        for degrees in NEAR if distance < 30 else NEAR + BETWEEN:
            across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            left = x + across * distance + width * (across - 1) / 2
            low = y + up * distance + height * (up - 1) / 2
            box = Box(left, low, left + width, low + height)
            if box.inside(frame) and box.padded(1.5).free(taken) and box.free(lines):
                if not (strict and crosses((x, y), box, taken)):
                    return box, distance
    return None, 0.0


def nearest_in(box: Any, point: tuple[float, float]) -> tuple[float, float]:
    """The place of a box that is nearest to a point."""
    return min(max(point[0], box.x0), box.x1), min(max(point[1], box.y0), box.y1)


def halo() -> list[Any]:
    """White round the letters, for where a line has to run behind them."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.2, foreground="white")]


def covering(start: tuple[float, float], end: tuple[float, float]) -> list[Box]:
    """Boxes that cover a straight line: one if it is upright or level, otherwise small ones."""
    if start[0] == end[0] or start[1] == end[1]:
        return [Box(*map(min, start, end), *map(max, start, end)).padded(1)]
    return along(start, end)


def along(start: tuple[float, float], end: tuple[float, float]) -> list[Box]:
    """Small boxes on the straight line between two points, for later labels to keep off it."""
    steps = 2 + int(math.dist(start, end) / 5)
    places = [[a + step / steps * (b - a) for a, b in zip(start, end, strict=True)] for step in range(steps + 1)]
    return [Box(x, y, x, y).padded(2) for x, y in places]


def crosses(point: tuple[float, float], box: Any, taken: Sequence[Any]) -> bool:
    """Whether the straight line from a point to its label runs through something else."""
    end = nearest_in(box, point)
    others = [other for other in taken if not other.contains(*point)]
    steps = 2 + int(math.dist(point, end) / 5)
    places = [[a + step / steps * (b - a) for a, b in zip(point, end, strict=True)] for step in range(1, steps + 1)]
    return any(other.contains(*place) for other in others for place in places)


def draw_leader(panel: Any, point: tuple[float, float], box: Any) -> Any:
    """A thin line from a point to the nearest place on the border of its label, all in pixels."""
    ends = panel.transAxes.inverted().transform([point, nearest_in(box, point)])
    (made,) = panel.plot(*ends.T, transform=panel.transAxes, color=MUTED, linewidth=0.6, zorder=1.8,
                         label="_leader", scalex=False, scaley=False)
    return made


def label_line_ends(panel: Any, ends: Sequence[tuple[float, float]], labels: Sequence[str],
                    colours: Sequence[Any]) -> None:
    """Write labels in a column at the right of the panel, each at the height of the end of its line or as near as fits.

    The figure must have been drawn once. The column stands outside the panel, so the layout makes room for it.
    """
    renderer = panel.figure.canvas.get_renderer()
    pixels = panel.transData.transform(ends)
    order = sorted(range(len(ends)), key=lambda place: pixels[place][1])
    height = 1.25 * SMALL * panel.figure.dpi / 72
    heights = spread([pixels[place][1] for place in order], height, panel.bbox.y0, panel.bbox.y1)
    for place, level in zip(order, heights, strict=True):
        low = panel.transAxes.inverted().transform((panel.bbox.x1, level))[1]
        panel.annotate(
            labels[place], xy=ends[place], xycoords="data", xytext=(1.03, low), textcoords="axes fraction",
            fontsize=SMALL, color=darker(colours[place]), va="center", ha="left", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colours[place], "linewidth": 0.6, "alpha": 0.7, "shrinkA": 1,
                        "shrinkB": 2, "relpos": (0, 0.5)},
        )
    panel.figure.draw(renderer)


def spread(levels: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Levels in ascending order moved as little as needed to stand a gap apart, inside the limits if they fit."""
    placed: list[list[float]] = []  # runs of levels that touch: [middle, number]
    for level in levels:
        placed.append([min(max(level, low), high), 1])
        while len(placed) > 1 and placed[-1][0] - placed[-2][0] < gap * (placed[-1][1] + placed[-2][1]) / 2:
            (b, n), (a, m) = placed.pop(), placed.pop()
            placed.append([(a * m + b * n) / (m + n), m + n])
        middle, number = placed[-1]
        half = gap * (number - 1) / 2
        placed[-1][0] = min(max(middle, low + half), max(high - half, low + half))
    # Runs pushed back from the upper limit may touch those below them.
    while len(placed) > 1 and placed[-1][0] - placed[-2][0] < gap * (placed[-1][1] + placed[-2][1]) / 2:
        (b, n), (a, m) = placed.pop(), placed.pop()
        placed.append([min((a * m + b * n) / (m + n), high - gap * (m + n - 1) / 2), m + n])
    return [middle + gap * (place - (number - 1) / 2) for middle, number in placed for place in range(number)]
