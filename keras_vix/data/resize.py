"""Bilinear resizing in NumPy, with antialiasing when shrinking: the same on every backend."""

import numpy as np

CHUNK = 1024  # images at once, so that the float copy stays small


def weights(old: int, new: int) -> np.ndarray:
    """The matrix (new, old), float32, that resamples one axis; each row sums to 1.

    A triangle of half-width 1 source pixel when growing and old / new source pixels when shrinking, about pixel
    centres; what falls over the edge is shared among the pixels inside.
    """
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    distance = np.abs(centres[:, None] - np.arange(old)[None, :]) / max(scale, 1.0)
    triangle = np.maximum(0.0, 1.0 - distance)
    return (triangle / triangle.sum(axis=1, keepdims=True)).astype(np.float32)


def resize(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images (n, h, w, c) as (n, *size, c) in the same dtype; whole-number pixels are rounded."""
    if x.shape[1:3] == size:
        return x
    rows, columns = weights(x.shape[1], size[0]), weights(x.shape[2], size[1])
    out = np.empty((len(x), *size, x.shape[3]), x.dtype)
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        out[part] = _resample(x[part].astype(np.float32), rows, columns, np.issubdtype(x.dtype, np.integer))
    return out


def _resample(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, whole: bool) -> np.ndarray:
    n, height, width, channels = x.shape
    x = rows @ x.reshape(n, height, width * channels)  # (n, new h, w * c)
    x = columns @ x.reshape(n, len(rows), width, channels)  # (n, new h, new w, c)
    # float32 sums may pass 255 by a hair, and 256 would wrap round to 0 in uint8.
    return np.clip(np.rint(x), 0, 255) if whole else x
