"""Labels beside points that touch neither each other nor any point."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .looks import MUTED, SMALL, darker

# Directions of a label from its point, in the order of preference; far from the point there is room for more of them.
NEAR = (0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202, 68, 112, 292, 248)
BETWEEN = tuple(range(4, 360, 8))


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

    Each label goes to the nearest free place on rings round its point; one that had to go far gets a thin line to it. The
    figure must have been drawn once, so that its axes have their place.

    Args:
        panel: the axes.
        points, labels, colours: one each.
        weights: of the letters.
        lines: pairs of points, the ends of straight lines that labels keep off where there is room.

    Returns:
        Whether there was a free place for every label. If not, nothing is written.
    """
    spots = panel.transData.transform(points)
    ends = [panel.transData.transform(line) for line in lines]
    fonts = weights or ["normal"] * len(labels)
    tries = ((ends, True), ([], True), ([], False))
    return any(write_all(panel, spots, labels, colours, fonts, off, strict) for off, strict in tries)


def write_all(panel: Any, spots: Any, labels: Sequence[str], colours: Sequence[Any], weights: Sequence[str],
              ends: Sequence[Any], strict: bool) -> bool:
    """Place all labels beside spots and lines in pixels; False, and nothing written, if one finds no place.

    Unless `strict`, lines from points to their labels may run across other labels.
    """
    renderer = panel.figure.canvas.get_renderer()
    taken = [Box(x, y, x, y).padded(8 if weight == "bold" else 6) for (x, y), weight in zip(spots.tolist(), weights, strict=True)]
    lines = [box for one in ends for box in covering(*one.tolist())]
    made = []
    for (x, y), label, colour, weight in zip(spots.tolist(), labels, colours, weights, strict=True):
        text = panel.text(0, 0, label, fontsize=SMALL, color=darker(colour), transform=None, zorder=4, ha="center",
                          va="center", fontweight=weight, path_effects=halo())
        made.append(text)
        size = text.get_window_extent(renderer)
        box, distance = free_place(x, y, size.width, size.height, panel.bbox, taken, lines, strict)
        if box is None:
            for one in made:
                one.remove()
            return False
        taken.append(box)
        centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        text.set_transform(panel.transAxes)
        text.set_position(panel.transAxes.inverted().transform(centre))
        if distance > 14:
            made.append(draw_leader(panel, (x, y), box))
            lines += along((x, y), nearest_in(box, (x, y))) if strict else []
    return True


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
