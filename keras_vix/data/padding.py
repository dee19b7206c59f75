"""Images of several sizes in one batch."""

from collections.abc import Sequence

import numpy as np

from .. import checks
from ..parts.padding import ABSENT


def pad(images: Sequence[np.ndarray], size: int | tuple[int, int]) -> np.ndarray:
    """Raw images of several sizes as one batch for `build(..., pad=True)`: `(batch, height, width, channels)`, float32.

    Each image stands at the top left; what is left over is -1, which such a model takes for no image.

    >>> keras_vix.data.pad([np.zeros((24, 32, 3)), np.zeros((32, 20, 3))], 32).shape
    (2, 32, 32, 3)

    Args:
        images: arrays `(height, width, channels)` of one number of channels, pixels from 0 to 255.
        size: side of the result in pixels, or `(height, width)`; at least that of every image.

    Raises:
        ValueError: for no image, one of another rank or number of channels, a larger one, or a pixel below 0.
    """
    height, width = checks.pair("size", size)
    arrays = [np.asarray(image) for image in images]
    if not arrays:
        raise ValueError("`images` must hold an image. Received: none.")
    channels = arrays[0].shape[-1] if arrays[0].ndim == 3 else None
    for image in arrays:
        if image.ndim != 3 or image.shape[-1] != channels:
            raise ValueError(f"`images` must be (height, width, {channels or 'channels'}) each. Received: shape {image.shape}.")
        if image.shape[0] > height or image.shape[1] > width:
            raise ValueError(f"`size` must hold every image. Received: size={(height, width)}, an image of shape {image.shape}.")
        if not (image >= 0).all():
            raise ValueError(f"`images` must have pixels from 0 to 255. Received: a pixel of {np.min(image)}.")
    batch = np.full((len(arrays), height, width, channels), ABSENT, "float32")
    for place, image in enumerate(arrays):
        batch[place, : image.shape[0], : image.shape[1]] = image
    return batch
