"""Overlapping patches of a map."""

from keras import ops


def reach(size: int, stride: int) -> int:
    """Rows of zeros on each side that a soft split needs: `ceil((size - stride) / 2)`."""
    return max(0, (size - stride + 1) // 2)


def split_side(side: int, size: int, stride: int) -> int:
    """Patches along an axis of `side` tokens, zeros on both sides counted."""
    return (side + 2 * reach(size, stride) - size) // stride + 1


def soft_split(x, size: int, stride: int):
    """Patches of `size` by `size` tokens, `stride` apart: `(batch, H, W, c) -> (batch, h, w, size * size * c)`.

    `reach(size, stride)` zeros stand on all four sides. A patch is flat in the order (row, column, channel).

    Source: Yuan et al. 2021, arXiv:2101.11986, section 3.1, eq. 3.
    """
    pad = reach(size, stride)
    high, wide = (split_side(side, size, stride) for side in x.shape[1:3])
    channels = x.shape[3]
    x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    x = ops.stack([x[:, i : i + stride * (high - 1) + 1 : stride] for i in range(size)], axis=3)
    x = ops.stack([x[:, :, j : j + stride * (wide - 1) + 1 : stride] for j in range(size)], axis=4)
    return ops.reshape(x, (-1, high, wide, size * size * channels))


def pad_same(x, size: int, stride: int):
    """Zeros round a map, for `ceil(side / stride)` windows of `size` by `size` on each axis, `stride` apart.

    An odd number of rows has one more at the bottom, of columns at the right: the convention `SAME` of TensorFlow and JAX.
    """
    padding = [max(0, (-(-side // stride) - 1) * stride + size - side) for side in x.shape[1:3]]
    return ops.pad(x, ((0, 0), *((rest // 2, rest - rest // 2) for rest in padding), (0, 0)))
