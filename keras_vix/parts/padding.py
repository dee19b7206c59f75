"""Images that do not fill the grid: which tokens stand for no image, and how they stay out of everything."""

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import Layer, register

ABSENT = -1.0  # a pixel of padding in a raw image, whose own pixels are from 0 to 255


@register
class PadImage(Layer):
    """Fill up raw images to whole patches: `(batch, H, W, channels) -> (batch, H', W', channels)`, and which tokens are image.

    The second output is boolean, `(batch, prefix + rows * columns)`, true for tokens in front and for patches that hold a pixel
    of the image. Rows are added at the bottom, columns at the right. A pixel with a negative channel stands for no image, as
    those that are added, so that images of several sizes go into one batch (`data.pad`); whatever its value, it becomes `fill`.

    Args:
        patch: side of a patch in pixels, or `(rows, columns)`.
        fill: the pixel that padding becomes, one value for each channel or one for all, on the scale from 0 to 255.
        prefix: tokens in front.
    """

    def __init__(self, patch=4, fill=(0.0,), prefix: int = 0, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)  # raw pixels
        self.patch = checks.pair("patch", patch)
        self.fill = tuple(fill)
        self.prefix = checks.integer("prefix", prefix, 0)

    def call(self, image):
        (high, wide), (rows, columns, channels) = self.patch, image.shape[1:]
        image = ops.pad(image, ((0, 0), (0, -rows % high), (0, -columns % wide), (0, 0)), constant_values=ABSENT)
        present = ops.all(image >= 0, axis=-1, keepdims=True)
        fill = np.broadcast_to(np.asarray(self.fill, "float32"), (channels,))
        filled = ops.where(present, image, ops.convert_to_tensor(fill, dtype=image.dtype))
        grid = image.shape[1] // high, image.shape[2] // wide
        cut = ops.reshape(present, (-1, grid[0], high, grid[1], wide))
        tokens = ops.reshape(ops.any(cut, axis=(2, 4)), (-1, grid[0] * grid[1]))
        return filled, ops.pad(tokens, ((0, 0), (self.prefix, 0)), constant_values=True) if self.prefix else tokens

    def compute_output_spec(self, image):
        rows, columns = (-(-side // length) for side, length in zip(image.shape[1:3], self.patch))
        filled = (image.shape[0], rows * self.patch[0], columns * self.patch[1], image.shape[3])
        mask = (image.shape[0], self.prefix + rows * columns)
        return keras.KerasTensor(filled, dtype=self.compute_dtype), keras.KerasTensor(mask, dtype="bool")


@register
class Withhold(Layer):
    """Before four tokens are joined: those that stand for no image become 0, `(batch, rows * columns, dim) -> same`.

    Called as `layer(x, mask)`, boolean `(batch, rows * columns)`. The second output is the mask of the joined tokens, `(batch,
    ceil(rows / 2) * ceil(columns / 2))`: one is image where one of its four is.

    Args:
        grid: `(rows, columns)` before.
    """

    def __init__(self, grid, **kwargs):
        super().__init__(**kwargs)
        self.grid = checks.pair("grid", grid)

    def call(self, x, mask):
        x = ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
        wide = ops.pad(ops.reshape(mask, (-1, *self.grid)), ((0, 0), *((0, side % 2) for side in self.grid)))
        rows, columns = (-(-side // 2) for side in self.grid)
        joined = ops.any(ops.reshape(wide, (-1, rows, 2, columns, 2)), axis=(2, 4))
        return x, ops.reshape(joined, (-1, rows * columns))

    def compute_output_spec(self, x, mask):
        joined = (mask.shape[0], -(-self.grid[0] // 2) * -(-self.grid[1] // 2))
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype), keras.KerasTensor(joined, dtype="bool")
