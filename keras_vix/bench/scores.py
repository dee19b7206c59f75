"""How good the answers are: pure functions of curves, logits and labels, and the first test images as a reader sees them."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

CONFUSABLE = 100  # classes up to which a row holds the table of confusions
SHOWN, WIDEST = 10, 64  # test images in a row, and their largest side in pixels


def best_epoch(curves: Mapping[str, Sequence[float | None]], by: str = "val_accuracy") -> int | None:
    """The epoch (from 1) with the best value of a curve; ties go to the lower `val_ce`, then to the earlier epoch.

    The best is the highest value, or the lowest for a loss or cross-entropy; epochs without a number never win.
    """
    sign = 1.0 if by.endswith(("loss", "ce")) else -1.0
    tie = curves.get("val_ce") or [None] * len(curves[by])
    keys = [
        (sign * value, math.inf if ce is None or math.isnan(ce) else ce, epoch)
        for epoch, (value, ce) in enumerate(zip(curves[by], tie, strict=False), 1)
        if value is not None and math.isfinite(value)
    ]
    return min(keys)[2] if keys else None


def scores(logits: Any, labels: Any, part: str = "test") -> dict[str, float | None]:
    """Figures of logits `(images, classes)` and labels `(images,)`: the share whose label is the largest, or among the five
    largest; and the mean cross-entropy in nats. Of equal logits the first counts as the largest.

    Args:
        part: what the names of the figures begin with.

    Logits that are no numbers give no figures: a model that diverged has neither hits nor misses.
    """
    import numpy as np

    if not np.isfinite(logits).all():
        return {f"{part}_{name}": None for name in ("accuracy", "top5", "ce")}
    own = np.take_along_axis(logits, labels[:, None].astype(int), axis=1)
    before = np.arange(logits.shape[1])[None] < labels[:, None]
    rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)
    top = logits.max(axis=1, keepdims=True)
    ce = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - own[:, 0]
    return {
        f"{part}_accuracy": float((rank < 1).mean()), f"{part}_top5": float((rank < 5).mean()), f"{part}_ce": float(ce.mean()),
    }


def confusion(logits: Any, labels: Any) -> list[list[int]] | None:
    """How many images of each class (rows) were taken for each class (columns); None above 100 classes, or without numbers."""
    import numpy as np

    classes = logits.shape[1]
    if classes > CONFUSABLE or not np.isfinite(logits).all():
        return None
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    return counts.tolist()


def samples(images: Any, logits: Any, labels: Any) -> list[dict[str, Any]] | None:
    """The first ten images with what they are, what they were taken for, and how surely; None without Pillow, or numbers.

    Args:
        images: `(n, height, width, channels)` of 1 or 3 channels, pixels 0 to 255, as many as are there or more than ten.
        logits: `(n, classes)`; labels: `(n,)`.
    """
    import numpy as np

    logits = np.asarray(logits[:SHOWN], "float64")
    if not np.isfinite(logits).all() or images.shape[3] not in (1, 3):
        return None
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    try:
        pictures = [png(image) for image in np.asarray(images[: len(logits)])]
    except ImportError:
        return None
    return [
        {"label": int(label), "predicted": int(row.argmax()), "confidence": float(row.max()), "png": picture}
        for label, row, picture in zip(labels, odds, pictures, strict=False)
    ]


def png(image: Any) -> str:
    """An image `(height, width, 1 or 3)` as a PNG of at most 64 pixels a side, in base64."""
    import numpy as np
    from PIL import Image

    pixels = np.clip(np.rint(image), 0, 255).astype("uint8")
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((WIDEST, WIDEST))
    with io.BytesIO() as file:
        picture.save(file, "png", optimize=True)
        return base64.b64encode(file.getvalue()).decode("ascii")
