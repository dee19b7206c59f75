"""Mixing without weights."""

import math

import numpy as np
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.precision import promote

TRANSFORMS = ("fft", "products")


@register
class FourierMixing(Layer):
    """The real part of the 2-D Fourier transform over tokens and channels: `(batch, n, dim) -> same`; no weights.

    Not scaled, so that values grow by up to `n * dim`: a normalisation belongs before what follows. Inside float32. Every token
    counts, so there is no mask.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> fast, products = (FourierMixing(transform)(tokens) for transform in ("fft", "products"))
    >>> tuple(fast.shape), float(ops.max(ops.abs(fast - products))) < 1e-2
    ((2, 64, 32), True)

    Args:
        transform: `fft`, the fast transform, or `products` with the matrices of cosines and sines, for runtimes without one
            (LiteRT, ONNX): `2 n dim (n + dim)` multiply-adds and no complex number. Both are the same function.

    Source: Lee-Thorp et al. 2021, arXiv:2105.03824, eq. 3; section 3.2 for products with cached matrices.
    """

    def __init__(self, transform: str = "fft", **kwargs):
        super().__init__(**kwargs)
        self.transform = checks.choice("transform", transform, TRANSFORMS)

    def build(self, x_shape):
        if self.transform == "products" and None in x_shape[1:]:
            raise ValueError(f"Products need the number of tokens and channels. Received: shape={tuple(x_shape)}.")
        self.built = True

    def call(self, x):
        wide = promote(x)
        if self.transform == "products":
            return ops.cast(by_products(wide), self.compute_dtype)
        real, _ = ops.fft2((wide, ops.zeros_like(wide)))
        return ops.cast(real, self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        """Of a transform of radix two `n dim log2(n dim) / 2` complex products, four real ones each; or those of the matrices."""
        if self.transform == "products":
            return 2 * math.prod(x_shape) * sum(x_shape)
        return round(2 * math.prod(x_shape) * math.log2(math.prod(x_shape)))


def by_products(x):
    """The real part of the transform of real `x`, `(batch, n, dim)`: `C x C - S x S`, with the waves of `n` and of `dim`."""
    along_n, along_dim = ([ops.convert_to_tensor(wave, x.dtype) for wave in waves(length)] for length in x.shape[1:])
    cosines, sines = (ops.matmul(x, wave) for wave in along_dim)
    return ops.matmul(along_n[0], cosines) - ops.matmul(along_n[1], sines)


def waves(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of `2 pi j k / length`, two symmetric matrices `(length, length)`."""
    places = np.arange(length)
    angles = 2 * np.pi * (np.outer(places, places) % length) / length  # whole turns are taken off while they are exact
    return np.cos(angles), np.sin(angles)
