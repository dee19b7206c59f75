"""Figures of attention maps over the images that they are of."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from .. import checks
from .maps import attention_maps, on_grid
from .places import check_images, places
from .rollout import rollout

# Inches: of a picture, between two, of the bars below, of a line of words.
PANEL, GAP, BAR, EDGE = 1.05, 0.07, 0.5, 0.22
INK, MUTED = "#1f2933", "#5f6b7a"
STYLE = {
    "font.size": 8.5, "font.sans-serif": ["DejaVu Sans"], "text.color": INK, "axes.labelcolor": INK, "axes.titlesize": 8.5,
    "xtick.color": MUTED, "ytick.color": MUTED, "ytick.labelsize": 8, "xtick.labelsize": 8, "text.parse_math": False,
    "figure.facecolor": "white", "savefig.facecolor": "white",
}  # fmt: skip
# Black where there is nothing, as much of a digit is; orange above 0 and blue below it. Everybody can tell them apart.
PLAIN, SIGNED = "inferno", ("#8fd0ff", "#2f7fc1", "#0d2f52", "#000000", "#5c2b00", "#c96a12", "#ffc77d")
LEAST = 0.05  # of the largest value: what lies less far below 0 is shown as 0
UNIT = "attention, as a multiple of the mean"
MODES = ("heads", "blocks")


def overlay(image: Any, heat: Any, title: str = "", strength: float = 0.7, unit: str = "attention", width: float = 3.6) -> Any:
    """An image, and beside it the same image in grey with a map as heat over it: a matplotlib figure.

    >>> image = keras_vix.data.load("digits").test.x[0]
    >>> figure = keras_vix.interpret.overlay(image, np.eye(8), title="a diagonal")
    >>> figure.savefig("overlay.png")
    >>> len(figure.axes)
    3

    Args:
        image: `(height, width, channels)` or `(height, width)`, of 1 or 3 channels, pixels from 0 to 255 or 0 to 1.
        heat: `(rows, columns)`, smoothed up to the image's size (bilinear); such as `on_grid` gives.
        title: above the figure.
        strength: how much of the heat covers the image, from 0 to 1.
        unit: below the colour bar.
        width: of the figure in inches.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: shapes that are no image and no map.
    """
    scale = (width - 3 * GAP) / (2 * PANEL)
    return plot_maps([image], {"": np.asarray(heat)[None]}, title=title, strength=strength, unit=unit, scale=scale)


def plot_maps(
    images: Any,
    maps: Mapping[str, Any],
    labels: Sequence[str] = (),
    title: str = "",
    strength: float = 0.7,
    unit: str = "attention",
    scale: float = 1.0,
) -> Any:
    """Images in rows, and in columns maps over them, each column on a scale of colours of its own: a matplotlib figure.

    A scale ends at the 99th percentile of its maps; what is beyond has its last colour. Where maps go below 0 by more than a
    twentieth of that, black is 0 and there are two colours.

    >>> images = keras_vix.data.load("digits").test.x[:2]
    >>> figure = keras_vix.interpret.plot_maps(images, {"even": np.ones((2, 8, 8)), "one": np.eye(2)[None].repeat(2, 0)})
    >>> figure.savefig("maps.png")
    >>> len(figure.axes)
    8

    Args:
        images: `(images, height, width, channels)`, as for `overlay`.
        maps: by the title of their column, `(images, rows, columns)`, each on a grid of its own.
        labels: words beside each image.
        title, strength, unit: as for `overlay`; the unit stands below.
        scale: of the panels; 1 is 1.05 inches a side.

    Raises:
        ImportError, ValueError: as `overlay`.
    """
    strength = checks.number("strength", strength, 0.0, 1.0, include_high=True)
    pictures = [picture(image) for image in images]
    maps = {name: np.asarray(one, "float32") for name, one in maps.items()}
    for name, one in maps.items():
        if one.ndim != 3 or len(one) != len(pictures) or not np.isfinite(one).all():
            raise ValueError(
                f"`maps` must be finite, ({len(pictures)} images, rows, columns). Received: shape {one.shape} of {name!r}."
            )
    if not pictures or not maps:
        raise ValueError(f"An image and a map are needed. Received: {len(pictures)} images, {len(maps)} maps.")
    rows, columns = len(pictures), 1 + len(maps)
    high, wide = pictures[0].shape[:2]
    side, tall = PANEL * scale, PANEL * scale * high / wide
    left, top = EDGE + GAP if len(labels) else GAP, GAP + EDGE * (any(maps) + bool(title))
    width, height = left + columns * (side + GAP), top + rows * (tall + GAP) + BAR
    with style():
        figure = new_figure(width, height)

        def panel_at(line, column, inset=0.0, drop=0.0, thick=tall):
            x, y = left + column * (side + GAP) + inset, height - top - line * (tall + GAP) - drop - thick
            return figure.add_axes((x / width, y / height, (side - 2 * inset) / width, thick / height))

        scales = {name: scale_of(one) for name, one in maps.items()}
        for line, shown in enumerate(pictures):
            for column, name in enumerate(["", *maps]):
                panel = panel_at(line, column)
                panel.set(xticks=[], yticks=[])
                for spine in panel.spines.values():
                    spine.set_visible(False)
                panel.imshow(shown if not column else grey(shown), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
                if column:
                    panel.imshow(
                        maps[name][line], **scales[name], alpha=strength, interpolation="bilinear",
                        extent=(-0.5, shown.shape[1] - 0.5, shown.shape[0] - 0.5, -0.5),
                    )  # fmt: skip
                if not line:
                    panel.set_title(name, pad=3)
                if not column and line < len(labels):
                    panel.set_ylabel(str(labels[line]), rotation=0, ha="right", va="center")
        for column, name in enumerate(maps, 1):
            draw_bar(figure, panel_at(rows, column, 0.1 * side, 0.02, 0.07), scales[name])
        figure.supxlabel(unit, x=(left + (columns + 1) * (side + GAP) / 2) / width, y=0.03 / height, fontsize=STYLE["font.size"])
        if title:
            figure.suptitle(title, x=GAP / width, y=1 - 0.04 / height, ha="left", va="top", fontweight="bold", fontsize=9)
    return figure


def plot_attention(
    model: keras.Model,
    images: Any,
    layer: int | str = -1,
    columns: str = "heads",
    query: int | str | None = None,
    labels: Sequence[str] = (),
    title: str = "",
    strength: float = 0.7,
    batch_size: int = 16,
) -> Any:
    """What a model looks at: images in rows; in columns the heads of one block, or all blocks and what reaches through them.

    The values are multiples of the mean over the tokens of the grid: 1 is what each has where the attention is even.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> figure = keras_vix.interpret.plot_attention(model, keras_vix.data.load("digits").test.x[:2], columns="blocks")
    >>> figure.savefig("attention.png")
    >>> len(figure.axes)
    11

    Args:
        model, images, query, batch_size: as for `attention_maps`.
        layer: the block whose heads are shown.
        columns: `heads`: those of one block, and their mean. `blocks`: the mean of the heads of each block, and the rollout of
            them all where they share their tokens.
        labels, title, strength: as for `plot_maps`.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: as `attention_maps`.
    """
    checks.choice("columns", columns, MODES)
    images = check_images(model, images, batch_size)

    def multiples(maps, at):
        board = on_grid(model, maps, at)
        return board * (board.shape[-2] * board.shape[-1])

    if columns == "heads":
        heads = attention_maps(model, images, layer, query=query, batch_size=batch_size)
        shown = {f"head {i}": multiples(heads[:, i], layer) for i in range(heads.shape[1])} if heads.shape[1] > 1 else {}
        shown["mean"] = multiples(heads.mean(1), layer)
    else:
        found = places(model)
        shown = {}
        for i, place in enumerate(found):
            last = query if i == len(found) - 1 or place.block is None else None
            shown[f"block {i}"] = multiples(attention_maps(model, images, i, query=last, batch_size=batch_size).mean(1), i)
        if len({(place.tokens, place.grid, place.key_grid) for place in found}) == 1:
            shown["rollout"] = multiples(rollout(model, images, query=query, batch_size=batch_size), -1)
    return plot_maps(images, shown, labels, title, strength, UNIT)


def scale_of(maps: np.ndarray) -> dict:
    """From values to colours: `norm` and `cmap`."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    high = float(np.percentile(np.abs(maps), 99)) or 1.0
    if np.percentile(maps, 1) < -LEAST * high:
        return {"norm": Normalize(-high, high), "cmap": LinearSegmentedColormap.from_list("signed", SIGNED)}
    return {"norm": Normalize(0.0, high), "cmap": PLAIN}


def draw_bar(figure: Any, panel: Any, scale: dict) -> None:
    """A scale of colours."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(ScalarMappable(**scale), cax=panel, orientation="horizontal", ticks=MaxNLocator(3))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, width=0.6, pad=1)


def picture(image: Any) -> np.ndarray:
    """An image as numbers from 0 to 1: `(height, width)` or `(height, width, 3)`.

    Raises:
        ValueError: it is none.
    """
    array = np.asarray(image, "float32")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or not array.size or not np.isfinite(array).all():
        raise ValueError(f"An image must be (height, width, 1 or 3), of finite numbers. Received: shape {np.shape(image)}.")
    whole = array.max() > 1.0 or np.asarray(image).dtype.kind in "iu"
    return np.clip(array / 255.0 if whole else array, 0.0, 1.0)


def grey(shown: np.ndarray) -> np.ndarray:
    """The brightness of a picture, `(height, width)`."""
    return shown if shown.ndim == 2 else shown @ np.array([0.299, 0.587, 0.114], "float32")


def new_figure(width: float, height: float) -> Any:
    """An empty figure in inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def style() -> Iterator[None]:
    """How the figures look, for the length of a `with` block."""
    matplotlib = checks.package("matplotlib", "A figure")
    with matplotlib.rc_context(STYLE):
        yield
