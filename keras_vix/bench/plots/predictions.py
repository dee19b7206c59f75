"""What a trained model says: of the first test images, and of all of them by class."""

import base64
import binascii
import io
import math
from collections.abc import Mapping
from typing import Any

from ..tables import Row
from .looks import INK, MUTED, SMALL, WIDTH, new_figure, style
from .values import clean, value_of

RIGHT, WRONG = "#0072b2", "#b3400a"
NUMBERED = 20  # matrices up to so many classes show their numbers
ACROSS = 5
LARGEST = 1_000_000  # pixels: what is larger is no thumbnail
NAMED = 5


def samples_of(row: Row) -> list[Mapping[str, Any]]:
    """The test images of a row, at most ten."""
    found = row.get("samples")
    return [one for one in found if isinstance(one, Mapping)][:10] if isinstance(found, (list, tuple)) else []


def right(sample: Mapping[str, Any]) -> bool:
    """Whether an image was told right."""
    return sample.get("predicted") == sample.get("label") is not None


def pixels(sample: Mapping[str, Any]) -> Any:
    """The picture of a sample, `(rows, columns, 3)` or `(rows, columns)` of bytes; None if it cannot be read."""
    import numpy as np
    from PIL import Image

    try:
        content = base64.b64decode(str(sample.get("png") or ""), validate=True)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.width * picture.height > LARGEST:
                return None
            return np.asarray(picture.convert("L" if picture.mode in ("1", "L", "I", "I;16") else "RGB"))
    except (ValueError, OSError, SyntaxError, binascii.Error):
        return None


def class_name(row: Row, index: Any, room: int = 14) -> str:
    """What a class is called: its name if the row has one, else its number."""
    known = row.get("class_names")
    whole = isinstance(index, int) and not isinstance(index, bool)
    if whole and isinstance(known, (list, tuple)) and 0 <= index < len(known):
        return clean(known[index], room)
    return clean("?" if index is None else index, room)


def plot_samples(row: Row, title: str = "") -> Any:
    """The first ten test images with what the model takes them for and how sure it is of that.

    A wrong answer has a thick frame, a cross, and the right answer below it; a right one a thin frame and a tick.

    Args:
        row: a row with `samples`.
        title: name above the pictures.
    """
    found = samples_of(row)
    with style():
        down = max(1, math.ceil(len(found) / ACROSS))
        figure = new_figure(WIDTH, 1.32 * down + (0.3 if title else 0.05))
        figure.get_layout_engine().set(wspace=0.04, hspace=0.04)
        panels = figure.subplots(down, ACROSS, squeeze=False).flatten()
        for panel in panels:
            panel.grid(visible=False)
            panel.set(xticks=[], yticks=[])
        for panel, sample in zip(panels, found, strict=False):
            draw_sample(panel, row, sample)
        for panel in panels[len(found):]:
            panel.set_axis_off()
        if title:
            figure.suptitle(clean(title, 60), x=0.01, ha="left", fontweight="bold")
    return figure


def draw_sample(panel: Any, row: Row, sample: Mapping[str, Any]) -> None:
    """One picture in its frame, with two lines of words below it."""
    import numpy as np

    picture = pixels(sample)
    good = right(sample)
    if picture is None:
        picture = np.full((8, 8, 3), 238, "uint8")
        panel.text(0.5, 0.5, "no picture", transform=panel.transAxes, ha="center", va="center", fontsize=SMALL, color=MUTED)
    grey = np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture
    panel.imshow(grey, interpolation="nearest", aspect="equal")
    for spine in panel.spines.values():
        spine.set(visible=True, color=RIGHT if good else WRONG, linewidth=1.0 if good else 3.0)
    sure = value_of(sample, "confidence")
    said = f"{'✓' if good else '✗'} {class_name(row, sample.get('predicted'), 10)}"
    panel.set_xlabel(
        f"{said}\n{'' if good else 'is ' + class_name(row, sample.get('label'), 10)}", fontsize=SMALL, labelpad=3,
        color=RIGHT if good else WRONG, linespacing=1.05, fontweight="normal" if good else "bold",
    )  # fmt: skip
    if sure is not None:
        panel.set_title(f"{100 * sure:.0f} %", fontsize=SMALL, color=MUTED, fontweight="normal", pad=3.5, loc="center")


# ---- by class ------------------------------------------------------------------------------------------------------


def matrix_of(row: Row) -> Any:
    """The confusion matrix of a row as floats, `(classes, classes)`, true classes in rows; None if there is no sound one."""
    import numpy as np

    try:
        matrix = np.asarray(row.get("confusion"), "float64")
    except (TypeError, ValueError):
        return None
    sound = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0 and bool(np.isfinite(matrix).all())
    return matrix if sound and matrix.min() >= 0 else None


def plot_confusion(row: Row, title: str = "") -> Any:
    """Of the images of each class, the share that was taken for each class, one class a line, in per cent.

    Up to 20 classes have their names and numbers; more have a scale on which small shares show, with the pairs that are
    mistaken most often below it. Classes without images are hatched.

    Args:
        row: a row with `confusion`.
        title: name above the matrix.

    Raises:
        ValueError: the row has no square matrix of counts.
    """
    import numpy as np

    counts = matrix_of(row)
    if counts is None:
        given = clean(row.get("confusion"))
        raise ValueError(f"A confusion matrix must be a square of counts. Received: confusion={given}; leave the figure out.")
    totals = counts.sum(1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    classes = len(shares)
    few = classes <= NUMBERED
    with style():
        below = 0.16 * (len(mistakes(shares)) + 1) if not few else 0.0
        figure = new_figure(WIDTH, (4.5 if few else 4.1) + below + (0.2 if title else 0))
        panel = figure.subplots()
        panel.grid(visible=False)
        shown = draw_matrix(panel, shares, few)
        name_classes(panel, row, classes, few)
        if few:
            write_shares(panel, shares)
        else:
            bar = figure.colorbar(shown, ax=panel, shrink=0.8, pad=0.02, ticks=[0, 0.05, 0.2, 0.5, 1.0],
                                  format=lambda share, _: f"{100 * share:.0f} %")
            bar.outline.set_visible(False)
            words = [f"{class_name(row, true, 20)} as {class_name(row, taken, 20)}, {100 * share:.0f} %" for true, taken, share in
                     mistakes(shares)]
            figure.supxlabel("\n".join(["most often mistaken:", *words]), fontsize=SMALL, ha="left", x=0.12)
        if title:
            figure.suptitle(clean(title, 60), x=0.01, ha="left", fontweight="bold")
    return figure


def draw_matrix(panel: Any, shares: Any, few: bool) -> Any:
    """The squares, dark where the share is large; with many classes small shares are lifted."""
    import seaborn
    from matplotlib.colors import PowerNorm

    panel.set_facecolor("#f3f4f6")
    for place in range(len(shares)):
        if shares[place, 0] != shares[place, 0]:
            panel.axhspan(place - 0.5, place + 0.5, facecolor="none", edgecolor="#b8c0ca", hatch="////", linewidth=0,
                          gid="empty")
    for spine in panel.spines.values():
        spine.set_visible(False)
    return panel.imshow(shares, cmap=seaborn.light_palette("#08488e", as_cmap=True), norm=PowerNorm(1.0 if few else 0.45, 0, 1),
                        interpolation="none", aspect="equal")


def name_classes(panel: Any, row: Row, classes: int, few: bool) -> None:
    """Names where they have room, else every tenth number."""
    panel.set(xlabel="predicted class", ylabel="true class")
    places = range(classes) if few else range(0, classes, 10 if classes > 50 else 5)
    words = [class_name(row, place, 11) if few else str(place) for place in places]
    panel.set_yticks(places, words)
    flat = max(map(len, words), default=0) <= 2
    panel.set_xticks(places, words, rotation=0 if flat else 90)
    panel.tick_params(length=0, pad=1)


def write_shares(panel: Any, shares: Any) -> None:
    """Per cent in the squares, white on dark ones; shares below half a per cent are left out."""
    classes = len(shares)
    for true in range(classes):
        for taken in range(classes):
            share = shares[true, taken]
            if share >= 0.005:
                panel.text(taken, true, f"{100 * share:.0f}", ha="center", va="center", fontsize=SMALL,
                           color="white" if share > 0.45 else INK)


def mistakes(shares: Any) -> list[tuple[int, int, float]]:
    """The pairs of classes that are mistaken most often: the true one, what it was taken for, and the share."""
    classes = len(shares)
    found = [(true, taken, float(shares[true, taken])) for true in range(classes) for taken in range(classes)
             if true != taken and shares[true, taken] > 0]
    return sorted(found, key=lambda one: (-one[2], one[:2]))[:NAMED]
