"""Mixing without weights."""

import math

from keras import ops

from ..base import Layer, register
from ..ops.precision import promote


@register
class FourierMixing(Layer):
    """The real part of the 2-D Fourier transform over tokens and channels: `(batch, n, dim) -> same`; no weights.

    Not scaled, so that values grow by up to `n * dim`: a normalisation belongs before what follows. Inside float32. Every token
    counts, so there is no mask.

    Source: Lee-Thorp et al. 2021, arXiv:2105.03824, eq. 3.
    """

    def call(self, x):
        wide = promote(x)
        real, _ = ops.fft2((wide, ops.zeros_like(wide)))
        return ops.cast(real, self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def multiply_adds(self, x_shape):
        """Of a transform of radix two: `n dim log2(n dim) / 2` complex products, four real ones each."""
        return round(2 * math.prod(x_shape) * math.log2(math.prod(x_shape)))
