"""Embeddings: how an image becomes a grid of vectors."""

import keras
from keras import ops

from .. import checks
from ..base import Layer, register


@register
class PatchEmbedding(Layer):
    """One linear map of each patch: `(batch, H, W, channels) -> (batch, H / patch, W / patch, dim)`.

    Args:
        dim: width of a token.
        patch: side of a patch in pixels, or `(rows, columns)`; it must divide the image.
        resize: side of the image in pixels after a first bilinear resize, or `(rows, columns)`; `None` takes it as it is.

    Raises:
        ValueError: at build, if the patch does not divide the image; the message names sides that do.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 1.
    """

    def __init__(self, dim: int = 64, patch=4, resize=None, **kwargs):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.patch = checks.pair("patch", patch)
        self.resize = resize if resize is None else checks.pair("resize", resize)

    def build(self, image_shape):
        size = self.resize or image_shape[1:3]
        for side, patch in zip(size, self.patch):
            if side is None or side % patch:
                raise ValueError(f"`patch` must divide the image. Received: patch={self.patch}, image={size};{_divisors(side)}")
        self.projection = keras.layers.Conv2D(
            self.dim, self.patch, strides=self.patch, kernel_initializer=_fan_in, name="projection", dtype=self.dtype_policy
        )
        self.projection.build((None, *size, image_shape[3]))
        self.built = True

    def call(self, image):
        if self.resize and tuple(image.shape[1:3]) != self.resize:
            image = ops.image.resize(image, self.resize, interpolation="bilinear", data_format="channels_last")
        return self.projection(image)

    def multiply_adds(self, image_shape):
        rows, columns = self.resize or image_shape[:2]
        return rows * columns * image_shape[2] * self.dim


def _divisors(side) -> str:
    if not side:
        return " a size is unknown."
    return f" {side} is divided by {', '.join(str(d) for d in range(1, side + 1) if side % d == 0)}."


def _fan_in(shape, dtype=None):
    """Glorot's uniform start for the patch as one flat vector, the same as for a dense layer on flattened patches."""
    rows, columns, channels, dim = shape
    flat = keras.initializers.GlorotUniform()((rows * columns * channels, dim), dtype=dtype)
    return ops.reshape(flat, shape)


@register
class ConvEmbedding(Layer):
    """A stack of convolutions: `(batch, H, W, channels) -> (batch, h, w, dim)`, padded so that only strides shrink the map.

    Args:
        dim: channels of the last convolution, the width of a token.
        filters: channels of those before it, one entry for each.
        conv_kernel: side of the convolutions in pixels.
        strides: of each convolution; one entry more than `filters`.
        conv_activation: between the convolutions, a Keras name, or `None` (the 2022 hybrids have none).

    Raises:
        ValueError: if `strides` and `filters` do not match.

    Source: Jeevan and Sethi 2022, Resource-efficient Hybrid X-formers for Vision, section 3 (32, 64, dim; 3 x 3; no activation).
    """

    def __init__(
        self, dim: int = 64, filters=(32, 64), conv_kernel: int = 3, strides=(1, 1, 1), conv_activation="gelu", **kwargs
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.filters = tuple(checks.integer("filters", f) for f in filters)
        self.conv_kernel = checks.integer("conv_kernel", conv_kernel)
        self.strides = tuple(checks.integer("strides", s) for s in strides)
        self.conv_activation = conv_activation
        if len(self.strides) != len(self.filters) + 1:
            raise ValueError(f"`strides` needs one entry more than `filters`. Received: strides={strides}, filters={filters}.")

    def build(self, image_shape):
        self.convolutions = []
        channels = (*self.filters, self.dim)
        shape = image_shape
        for i, (filters, stride) in enumerate(zip(channels, self.strides)):
            last = i == len(channels) - 1
            conv = keras.layers.Conv2D(
                filters,
                self.conv_kernel,
                strides=stride,
                padding="same",
                activation=None if last else self.conv_activation,
                name=f"conv{i}",
                dtype=self.dtype_policy,
            )
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            self.convolutions.append(conv)
        self.built = True

    def call(self, image):
        for conv in self.convolutions:
            image = conv(image)
        return image

    def multiply_adds(self, image_shape):
        total, (rows, columns, channels) = 0, image_shape
        for filters, stride in zip((*self.filters, self.dim), self.strides):
            rows, columns = -(-rows // stride), -(-columns // stride)
            total += rows * columns * self.conv_kernel**2 * channels * filters
            channels = filters
        return total
