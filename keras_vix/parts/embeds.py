"""Embeddings: how an image becomes a grid of vectors."""

import keras
from keras import ops

from .. import checks
from ..base import IMAGES, Layer, register
from ..primitives.norms import NORM_LAYERS, make_norm


@register
class PatchEmbedding(Layer):
    """One linear map of each patch: `(batch, H, W, channels) -> (batch, H / patch, W / patch, dim)`.

    >>> images = keras.random.uniform((2, 32, 32, 3), 0, 255)
    >>> tuple(PatchEmbedding(dim=64, patch=4)(images).shape)
    (2, 8, 8, 64)

    Args:
        dim: width of a token.
        patch: side of a patch in pixels, or `(rows, columns)`; it must divide the image.
        resize: side of the image in pixels after a first bilinear resize, or `(rows, columns)`; `None` takes it as it is.
        patch_stride: pixels from one patch to the next, at most `patch`, for patches that overlap; a rest at the border is left
            out. `None`: side by side.
        patch_norm: `layer`, `channel` or `batch`, a normalisation afterwards, or `None`.
        norm_epsilon: of that normalisation.

    Raises:
        ValueError: at build, if patches side by side do not cover the image; the message names sides that do.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 1; overlap: Heo et al. 2021, arXiv:2103.16302; normalisation: Liu et
    al. 2021, arXiv:2103.14030.
    """

    input_axes = IMAGES

    def __init__(
        self,
        dim: int = 64,
        patch=4,
        resize=None,
        patch_stride=None,
        patch_norm: str | None = None,
        norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.patch = checks.pair("patch", patch)
        self.resize = resize if resize is None else checks.pair("resize", resize)
        self.patch_stride = patch_stride if patch_stride is None else checks.pair("patch_stride", patch_stride)
        self.patch_norm = patch_norm if patch_norm is None else checks.choice("patch_norm", patch_norm, NORM_LAYERS)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, image_shape):
        size = self.resize or image_shape[1:3]
        stride = self.patch_stride or self.patch
        if stride == self.patch:
            check_patch(self.patch, size)
        elif any(step > side for step, side in zip(stride, self.patch)) or any(p > s for p, s in zip(self.patch, size)):
            raise ValueError(
                "Patches must overlap and fit into the image. "
                f"Received: patch={self.patch}, patch_stride={stride}, image={tuple(size)}."
            )
        self.projection = keras.layers.Conv2D(
            self.dim, self.patch, strides=stride, kernel_initializer=_fan_in, name="projection", dtype=self.dtype_policy
        )
        shape = (None, *size, image_shape[3])
        self.projection.build(shape)
        if self.patch_norm:
            self.norm = make_norm(self.patch_norm, self.norm_epsilon, self, "norm", self.projection.compute_output_shape(shape))
        self.built = True

    def call(self, image):
        if self.resize and tuple(image.shape[1:3]) != self.resize:
            image = ops.image.resize(image, self.resize, interpolation="bilinear", data_format="channels_last")
        x = self.projection(image)
        return self.norm(x) if self.patch_norm else x

    def multiply_adds(self, image_shape):
        sides = zip(self.resize or image_shape[:2], self.patch, self.patch_stride or self.patch)
        rows, columns = ((side - patch) // step + 1 for side, patch, step in sides)
        return rows * columns * self.patch[0] * self.patch[1] * image_shape[2] * self.dim


def check_patch(patch, size) -> None:
    """Refuse patches that do not divide an image of `size`, `(rows, columns)`."""
    for side, length in zip(size, patch):
        if side is None or side % length:
            raise ValueError(
                f"`patch` must divide the image. Received: patch={patch}, image={tuple(size)};{_divisors(side)} "
                "build(..., pad=True) fills images up."
            )


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

    >>> images = keras.random.uniform((2, 32, 32, 3), 0, 255)
    >>> tuple(ConvEmbedding(dim=64, filters=(16, 32), strides=(1, 2, 2))(images).shape)
    (2, 8, 8, 64)

    Args:
        dim: channels of the last convolution, the width of a token.
        filters: channels of those before it, one entry for each.
        conv_kernel: side of the convolutions in pixels, odd.
        strides: of each convolution; one entry more than `filters`.
        conv_activation: between the convolutions, a Keras name, or `None` (the 2022 hybrids have none).
        conv_last: whether it follows the last convolution too.
        conv_bias: whether the convolutions have a bias.
        conv_norm: `layer`, `channel` or `batch`, a normalisation after each convolution, before the activation; or `None`.
        conv_pool: side of a maximum over neighbours, stride 1, after each activation, odd; or `None`.
        norm_epsilon: of the normalisations.

    A ring of zeros is put round the map on all four sides, also where a stride skips some of it.

    Raises:
        ValueError: if `strides` and `filters` do not match, or a side is even.

    Source: Jeevan and Sethi 2022, Resource-efficient Hybrid X-formers for Vision, section 3 (32, 64, dim; 3 x 3; no activation);
    Hassani et al. 2021, arXiv:2104.05704, section 3.2 (ReLU, then pooling; no bias); Wu et al. 2021, arXiv:2103.15808, section
    3.1 (one convolution and a normalisation).
    """

    input_axes = IMAGES

    def __init__(
        self,
        dim: int = 64,
        filters=(32, 64),
        conv_kernel: int = 3,
        strides=(1, 1, 1),
        conv_activation="gelu",
        conv_last: bool = False,
        conv_bias: bool = True,
        conv_norm: str | None = None,
        conv_pool: int | None = None,
        norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.filters = checks.several("filters", filters)
        self.conv_kernel = checks.odd("conv_kernel", conv_kernel)
        self.strides = checks.several("strides", strides)
        self.conv_activation = conv_activation
        self.conv_last, self.conv_bias = conv_last, conv_bias
        self.conv_norm = conv_norm if conv_norm is None else checks.choice("conv_norm", conv_norm, NORM_LAYERS)
        self.conv_pool = conv_pool if conv_pool is None else checks.odd("conv_pool", conv_pool)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        if len(self.strides) != len(self.filters) + 1:
            raise ValueError(f"`strides` needs one entry more than `filters`. Received: strides={strides}, filters={filters}.")

    def build(self, image_shape):
        policy = self.dtype_policy
        ring = keras.layers.ZeroPadding2D(self.conv_kernel // 2, data_format="channels_last", dtype=policy)
        self.steps = []
        shape, channels = image_shape, (*self.filters, self.dim)
        for i, (filters, stride) in enumerate(zip(channels, self.strides)):
            options = {"use_bias": self.conv_bias, "data_format": "channels_last", "name": f"conv{i}", "dtype": policy}
            conv = keras.layers.Conv2D(filters, self.conv_kernel, stride, **options)
            conv.build(ring.compute_output_shape(shape))
            shape = conv.compute_output_shape(ring.compute_output_shape(shape))
            self.steps += [ring, conv]
            if self.conv_norm:
                self.steps.append(make_norm(self.conv_norm, self.norm_epsilon, self, f"norm{i}", shape))
            if self.conv_activation and (self.conv_last or i < len(self.filters)):
                self.steps.append(keras.layers.Activation(self.conv_activation, dtype=policy))
            if self.conv_pool:
                self.steps.append(
                    keras.layers.MaxPooling2D(self.conv_pool, 1, "same", data_format="channels_last", dtype=policy)
                )
        self.built = True

    def call(self, image):
        for step in self.steps:
            image = step(image)
        return image

    def multiply_adds(self, image_shape):
        total, (rows, columns, channels) = 0, image_shape
        for filters, stride in zip((*self.filters, self.dim), self.strides):
            rows, columns = -(-rows // stride), -(-columns // stride)
            total += rows * columns * self.conv_kernel**2 * channels * filters
            channels = filters
        return total
