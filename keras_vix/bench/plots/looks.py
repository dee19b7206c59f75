"""How every figure looks, and how it becomes a file.

Figures are drawn at `WIDTH` inches. Printed at half a page, `HALF_PAGE` inches, their smallest letters are 6 points high.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..tables import Row
from .values import preset_of

WIDTH, HALF_PAGE = 4.8, 3.4
DOTS = 200
SIZE, SMALL = 9.0, 8.5
INK, MUTED, FAINT = "#1f2933", "#5f6b7a", "#d5dae1"
TRAINING, VALIDATION = "#0072b2", "#d55e00"
MARKERS = "osD^vphP<>"
STYLE = {
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.titlecolor": INK, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "grid.color": "#e8ebef", "axes.titlelocation": "left",
    "axes.titleweight": "bold", "figure.facecolor": "white", "savefig.facecolor": "white",
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "keras_vix", "svg.fonttype": "path",
    "font.sans-serif": ["DejaVu Sans"], "text.parse_math": False, "axes.unicode_minus": True, "legend.frameon": False,
    "legend.handlelength": 1.6, "legend.borderaxespad": 0.3,
}  # fmt: skip


@contextlib.contextmanager
def style(size: float = SIZE) -> Iterator[None]:
    """The house style of figures, for the length of a `with` block.

    Args:
        size: of most letters, in points; ticks and legends are half a point smaller.
    """
    import matplotlib
    import seaborn

    letters = {
        "font.size": size, "axes.labelsize": size, "axes.titlesize": size + 0.5, "figure.titlesize": size + 1,
        "xtick.labelsize": size - 0.5, "ytick.labelsize": size - 0.5, "legend.fontsize": size - 0.5,
        "legend.title_fontsize": size - 0.5,
    }  # fmt: skip
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a name may hold any character
        with matplotlib.rc_context(STYLE | letters):
            yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure in inches, on the canvas that draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def encode(figure: Any, form: str) -> bytes:
    """The figure as the bytes of a `png` (200 dots an inch) or an `svg` file; equal figures give equal bytes.

    A PNG without pictures in it has a palette of at most 256 colours, which takes a third of the room.
    """
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=form, dpi=DOTS, metadata={"Date": None} if form == "svg" else None)
    return small(content.getvalue(), palette=not pictures(figure)) if form == "png" else content.getvalue()


def pictures(figure: Any) -> bool:
    """Whether the figure shows pictures or a matrix, whose shades a palette would coarsen."""
    return any(panel.get_images() for panel in figure.axes)


def small(png: bytes, palette: bool) -> bytes:
    """The same picture in fewer bytes."""
    from PIL import Image

    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        flat = picture.convert("RGB")
        flat = flat.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) if palette else flat
        flat.save(content, format="png", optimize=True, dpi=(DOTS, DOTS))
    return content.getvalue()


def families(rows: Sequence[Row], name: Callable[[Row], str] = preset_of) -> dict[str, tuple[Any, str]]:
    """A colour and a marker for each preset, in order of appearance; the colours can be told apart by everybody."""
    import seaborn

    colours = [colour for index, colour in enumerate(seaborn.color_palette("colorblind")) if index != 8]
    looks = {}
    for index, family in enumerate(dict.fromkeys(name(row) for row in rows)):
        turn, place = divmod(index, len(colours))
        looks[family] = (colours[place], MARKERS[(place + turn) % len(MARKERS)])
    return looks


def darker(colour: Sequence[float]) -> tuple[float, ...]:
    """A colour dark enough for text on white."""
    return tuple(0.62 * part for part in colour[:3])


def paler(colour: Sequence[float], share: float = 0.5) -> tuple[float, ...]:
    """A colour mixed with that much white."""
    return tuple(1 - (1 - share) * (1 - part) for part in colour[:3])


def shades(colour: Any, number: int) -> list[Any]:
    """From a lighter shade of the colour to a darker one."""
    import seaborn

    return [colour] if number == 1 else seaborn.blend_palette([paler(colour), darker(colour)], number)


def plain_log(axis: Any, values: Sequence[float]) -> None:
    """Plain numbers, at 1, 2 and 5 of each decade or fewer, on an axis whose scale is logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    decades = max(values) / min(values)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 60 else (1, 3) if decades < 600 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())


def plain(value: float) -> str:
    """A number for an axis: 0.05, 3, 1,200."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.3g}"


def whole_epochs(panel: Any, epochs: int) -> None:
    """An axis from the first epoch to the last, with ticks at whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    room = max(0.04 * (epochs - 1), 0.2)
    panel.set_xlim(1 - min(room, 0.9), epochs + room)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=(1, 2, 5, 10), min_n_ticks=1))
