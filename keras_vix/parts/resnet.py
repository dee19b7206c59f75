"""A residual network in front of the blocks: the stem of the hybrids R+ViT."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, register
from ..ops.precision import promote
from ..ops.splits import pad_same

STANDARD = 1e-5  # added to the deviation of a kernel
TINY = 1e-24  # of its variance: the root of 0 has no gradient
GROUPS = 32
EXPANSION = 4  # of a unit's channels


@register
class StandardConv2D(Layer):
    """A convolution by a standardised kernel, without bias: `(batch, H, W, channels) -> (batch, h, w, filters)`.

    The kernel of each filter is used less its mean and divided by its standard deviation, in float32.

    >>> images = keras.random.uniform((2, 32, 32, 3), 0, 255)
    >>> tuple(StandardConv2D(filters=16, conv_stride=2)(images).shape)
    (2, 16, 16, 16)

    Args:
        filters: channels afterwards.
        conv_kernel: side of the kernel in pixels.
        conv_stride: pixels from one place to the next; sides are rounded up.

    Zeros stand round the map as `pad_same` says: where their number is odd, one more at the bottom and at the right.

    Source: Qiao et al. 2019, arXiv:1903.10520, eq. 2 to 4; 1e-5 is added to the deviation, as in the released code of
    arXiv:2106.10270.
    """

    def __init__(self, filters: int, conv_kernel: int = 3, conv_stride: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = checks.integer("filters", filters)
        self.conv_kernel = checks.integer("conv_kernel", conv_kernel)
        self.conv_stride = checks.integer("conv_stride", conv_stride)

    def build(self, x_shape):
        shape = (self.conv_kernel, self.conv_kernel, x_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="lecun_normal", autocast=False)
        self.built = True

    def call(self, x):
        w = promote(ops.convert_to_tensor(self.kernel))
        w = w - ops.mean(w, axis=(0, 1, 2), keepdims=True)
        deviation = ops.sqrt(ops.maximum(ops.mean(ops.square(w), axis=(0, 1, 2), keepdims=True), TINY))
        w = ops.cast(w / (deviation + STANDARD), self.compute_dtype)
        x = pad_same(x, self.conv_kernel, self.conv_stride)
        return ops.conv(x, w, strides=self.conv_stride, padding="valid", data_format="channels_last")

    def compute_output_shape(self, x_shape):
        return (x_shape[0], *(shrink(side, self.conv_stride) for side in x_shape[1:3]), self.filters)

    def multiply_adds(self, x_shape):
        return math.prod(self.compute_output_shape((None, *x_shape))[1:3]) * math.prod(self.kernel.shape)


@register
class Bottleneck(Layer):
    """A residual unit of three convolutions: `(batch, H, W, channels) -> (batch, h, w, 4 * filters)`.

    Standardised 1 x 1, 3 x 3 and 1 x 1, each followed by a group normalisation, the last of which starts at 0; ReLU between and
    after the sum. The shortcut is a 1 x 1 convolution with a normalisation where shapes differ.

    >>> maps = keras.random.normal((2, 8, 8, 32))
    >>> tuple(Bottleneck(filters=16, conv_stride=2)(maps).shape)
    (2, 4, 4, 64)

    Args:
        filters: channels of the first two convolutions.
        conv_stride: of the 3 x 3 and of the shortcut.
        norm_epsilon: of the normalisations.

    Source: He et al. 2015, arXiv:1512.03385, section 4.1; Kolesnikov et al. 2019, arXiv:1912.11370, section 3.
    """

    def __init__(self, filters: int, conv_stride: int = 1, norm_epsilon: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        self.filters = checks.integer("filters", filters)
        self.conv_stride = checks.integer("conv_stride", conv_stride)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, x_shape):
        wide = EXPANSION * self.filters
        shape, self.steps = x_shape, []
        for i, step in enumerate([(self.filters, 1, 1), (self.filters, 3, self.conv_stride), (wide, 1, 1)]):
            conv, norm = normed_conv(self, f"conv{i}", shape, *step, start="zeros" if i == 2 else "ones")
            shape = conv.compute_output_shape(shape)
            self.steps += [conv, norm]
        self.shortcut = []
        if x_shape[-1] != wide or self.conv_stride != 1:
            self.shortcut = normed_conv(self, "shortcut", x_shape, wide, 1, self.conv_stride)
        self.built = True

    def call(self, x):
        y = x
        for i, step in enumerate(self.steps):
            y = step(ops.relu(y) if i in (2, 4) else y)
        for step in self.shortcut:
            x = step(x)
        return ops.relu(x + y)

    def compute_output_shape(self, x_shape):
        return (x_shape[0], *(shrink(side, self.conv_stride) for side in x_shape[1:3]), EXPANSION * self.filters)

    def multiply_adds(self, x_shape):
        total, shape = 0, (None, *x_shape)
        for conv in self.steps[::2]:
            total, shape = total + conv.multiply_adds(shape[1:]), conv.compute_output_shape(shape)
        return total + sum(conv.multiply_adds(x_shape) for conv in self.shortcut[:1])


@register
class ResNetEmbedding(Layer):
    """A residual network, then patches of its map: `(batch, H, W, channels) -> (batch, h, w, dim)`.

    A root: a 7 x 7 convolution, normalisation, ReLU and 3 x 3 maximum; stages of `Bottleneck` units; a linear map of each patch.

    >>> images = keras.random.uniform((2, 32, 32, 3), 0, 255)
    >>> tuple(ResNetEmbedding(dim=64, blocks=(1, 1), root_filters=16)(images).shape)
    (2, 4, 4, 64)

    Args:
        dim: width of a token.
        map_patch: side of a patch of the map; a rest at the border is left out.
        blocks: units of each stage, `()` for the root alone; `2**i * root_filters` filters in stage `i`.
        root_filters: channels of the root.
        root_strides: of its convolution and of its maximum; 1 for the second leaves the maximum out.
        stage_strides: of the first unit of each stage; as many as stages, or more.
        norm_epsilon: of the normalisations, of 32 groups, fewer where 32 does not divide the channels.

    Convolutions are standardised, with zeros as in `StandardConv2D`; the maximum sees zeros in the same places.

    Raises:
        ValueError: if there are fewer strides than stages; at build, if the patch is larger than the map.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.1, hybrid architecture; sizes: Steiner et al. 2021,
    arXiv:2106.10270, section 3.2.
    """

    def __init__(
        self,
        dim: int = 64,
        map_patch: int = 1,
        blocks=(2, 2, 2, 2),
        root_filters: int = 64,
        root_strides=(2, 2),
        stage_strides=(1, 2, 2, 2),
        norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.map_patch = checks.integer("map_patch", map_patch)
        self.blocks = tuple(checks.integer("blocks", units) for units in blocks)
        self.root_filters = checks.integer("root_filters", root_filters)
        self.root_strides = checks.pair("root_strides", root_strides)
        self.stage_strides = tuple(checks.integer("stage_strides", stride) for stride in stage_strides)
        if len(self.stage_strides) < len(self.blocks):
            raise ValueError(
                f"`stage_strides` needs an entry for each stage. Received: stage_strides={stage_strides}, blocks={blocks}."
            )
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, image_shape):
        self.root = normed_conv(self, "root", image_shape, self.root_filters, 7, self.root_strides[0])
        shape = self._pooled(self.root[0].compute_output_shape(image_shape))
        self.units = []
        for stage, (units, stride) in enumerate(zip(self.blocks, self.stage_strides)):
            for i in range(units):
                options = {"name": f"stage{stage}_unit{i}", "dtype": self.dtype_policy}
                unit = Bottleneck(self.root_filters * 2**stage, 1 if i else stride, self.norm_epsilon, **options)
                unit.build(shape)
                shape = unit.compute_output_shape(shape)
                self.units.append(unit)
        if min(shape[1:3]) < self.map_patch:
            raise ValueError(f"`map_patch` must fit the map. Received: map_patch={self.map_patch}, map={tuple(shape[1:3])}.")
        self.projection = keras.layers.Conv2D(
            self.dim, self.map_patch, self.map_patch, data_format="channels_last", name="projection", dtype=self.dtype_policy
        )
        self.projection.build(shape)
        self.built = True

    def _pooled(self, shape):
        return (shape[0], *(shrink(side, self.root_strides[1]) for side in shape[1:3]), shape[3])

    def call(self, image):
        conv, norm = self.root
        x = ops.relu(norm(conv(image)))
        if self.root_strides[1] > 1:  # none of it is below the zeros round the map
            x = pad_same(x, 3, self.root_strides[1])
            x = ops.max_pool(x, 3, strides=self.root_strides[1], padding="valid", data_format="channels_last")
        for unit in self.units:
            x = unit(x)
        return self.projection(x)

    def multiply_adds(self, image_shape):
        total, shape = self.root[0].multiply_adds(image_shape), self.root[0].compute_output_shape((None, *image_shape))
        shape = self._pooled(shape)
        for unit in self.units:
            total, shape = total + unit.multiply_adds(shape[1:]), unit.compute_output_shape(shape)
        rows, columns = (side // self.map_patch for side in shape[1:3])
        return total + rows * columns * math.prod(self.projection.kernel.shape)


def shrink(side: int, stride: int) -> int:
    """Places along an axis of `side` pixels, `stride` apart."""
    return -(-side // stride)


def normed_conv(owner, name: str, shape, filters: int, size: int, stride: int, start: str = "ones") -> list:
    """A built standardised convolution and the normalisation after it, whose factors begin at `start`."""
    conv = StandardConv2D(filters, size, stride, name=name, dtype=owner.dtype_policy)
    conv.build(shape)
    norm = keras.layers.GroupNormalization(
        math.gcd(GROUPS, filters), epsilon=owner.norm_epsilon, gamma_initializer=start, name=f"{name}_norm",
        dtype=owner.dtype_policy,
    )  # fmt: skip
    norm.build(conv.compute_output_shape(shape))
    return [conv, norm]
