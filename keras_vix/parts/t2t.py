"""Tokens to tokens: neighbours are joined, and look at one another, several times over before the blocks."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, make_seed, register
from ..kernels import LSA, Kernel, Performer, Softmax
from ..ops.shifts import shift_and_concatenate
from ..ops.splits import reach, soft_split, split_side
from .ffns import MLP
from ..primitives.norms import make_norm


@register
class TokenTransformer(Layer):
    """A narrow transformer layer of one head: `(batch, n, width) -> (batch, n, token_width)`.

    `y = v + out(kernel(q, k, v))` of the normalised input, then `y + mlp(norm(y))`: the values stand in for the input, which has
    another width.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(TokenTransformer(token_width=16)(tokens).shape)
    (2, 64, 16)

    Args:
        token_width: width of the tokens afterwards, and of the hidden layer of the MLP.
        kernel: a `Kernel`; default `Softmax()`.
        score_scale: factor of the products `q.k`; default `width ** -0.5`, of the width of the input.
        use_bias: whether queries, keys and values have a bias; the output and the MLP have one.
        token_dropout: rate on the output of the attention and of the MLP while training.
        norm_epsilon: of the two layer normalisations.

    The scale is laid on queries and keys alike, over that of the kernel.

    Source: Yuan et al. 2021, arXiv:2101.11986, section 3.1, eq. 1; the scale and the sum with the values as in its released code.
    """

    def __init__(
        self,
        token_width: int = 64,
        kernel: Kernel | None = None,
        score_scale: float | None = None,
        use_bias: bool = False,
        token_dropout: float = 0.0,
        norm_epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.token_width = checks.integer("token_width", token_width)
        self.kernel = Softmax(dtype=self.dtype_policy) if kernel is None else kernel
        self.score_scale = score_scale if score_scale is None else checks.number("score_scale", score_scale, 1e-12, 1e12)
        self.use_bias = use_bias
        self.token_dropout = checks.rate("token_dropout", token_dropout)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)

    def build(self, x_shape):
        batch, tokens, width = x_shape
        inside = (batch, tokens, self.token_width)
        self.layer_norm = make_norm("layer", self.norm_epsilon, self, "norm", x_shape)
        self.query, self.key, self.value = (self._dense(name, x_shape, self.use_bias) for name in ("query", "key", "value"))
        self.out = self._dense("out", inside, True)
        self.kernel.build(*((batch, 1, tokens, self.token_width),) * 3)
        self.mlp_norm = make_norm("layer", self.norm_epsilon, self, "mlp_norm", inside)
        self.mlp = MLP(self.token_width, name="mlp", dtype=self.dtype_policy)
        self.mlp.build(inside)
        self.drop = [keras.layers.Dropout(self.token_dropout, name=f"drop{i}", dtype=self.dtype_policy) for i in range(2)]
        scale = width**-0.5 if self.score_scale is None else self.score_scale
        self.factor = (scale * self.token_width**0.5) ** 0.5  # of queries and of keys; the kernel divides by the second root
        self.built = True

    def _dense(self, name, shape, bias):
        dense = keras.layers.Dense(self.token_width, use_bias=bias, name=name, dtype=self.dtype_policy)
        dense.build(shape)
        return dense

    def call(self, x):
        x = self.layer_norm(x)
        v = self.value(x)
        q, k = self.query(x) * self.factor, self.key(x) * self.factor
        heads = self.kernel(*(ops.expand_dims(t, 1) for t in (q, k, v)))
        x = v + self.drop[0](self.out(heads[:, 0]))
        return x + self.drop[1](self.mlp(self.mlp_norm(x)))

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-1], self.token_width)

    def multiply_adds(self, x_shape):
        tokens, width = x_shape
        inside = (tokens, self.token_width)
        products = 3 * tokens * width * self.token_width + tokens * self.token_width**2
        return products + self.kernel.multiply_adds(*((1, *inside),) * 3) + self.mlp.multiply_adds(inside)


TOKEN_KERNELS = ("softmax", "performer", "lsa")
SHIFTS = 5  # the image and its four diagonal neighbours


@register
class T2TEmbedding(Layer):
    """Tokens to tokens: `(batch, H, W, channels) -> (batch, h, w, dim)`.

    A soft split, a token transformer, a soft split, and so on; the last split goes through a linear map.

    >>> images = keras.random.uniform((2, 32, 32, 3), 0, 255)
    >>> tuple(T2TEmbedding(dim=64, split=(7, 3), strides=(4, 2), token_width=32)(images).shape)
    (2, 4, 4, 64)

    Args:
        dim: width of a token.
        split: side of the patches of each soft split, in pixels for the first and in tokens for the others.
        strides: distance of these patches, one entry for each split.
        token_width: width of the tokens between the splits.
        token_kernel: `softmax`; `lsa`, with a learned scale and without each token's own key; or `performer`: positive random
            features of the products as they are, without a scale, and queries, keys and values with a bias.
        token_features: of the Performer.
        token_dropout: as in `TokenTransformer`.
        shifted: whether four copies of the image, moved diagonally by one pixel, join its channels before the first split.
        norm_epsilon: of its normalisations.
        seed: of the random features.

    `ceil((split - stride) / 2)` zeros stand on every side of a map before it is split.

    Raises:
        ValueError: if `split` and `strides` do not match; at build, if a patch is larger than its map.

    Source: Yuan et al. 2021, arXiv:2101.11986, section 3.1 and figure 4; `lsa` and `shifted`: Lee et al. 2021, arXiv:2112.13492.
    Differs: the Performer's projection has rows of Gaussian length, which leave its estimate unbiased, and its stabiliser is
    exact; the released one has rows of length `sqrt(token_features)` and no stabiliser.
    """

    def __init__(
        self,
        dim: int = 64,
        split=(7, 3, 3),
        strides=(4, 2, 2),
        token_width: int = 64,
        token_kernel: str = "softmax",
        token_features: int = 32,
        token_dropout: float = 0.0,
        shifted: bool = False,
        norm_epsilon: float = 1e-5,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = checks.integer("dim", dim)
        self.split = tuple(checks.integer("split", side) for side in split)
        self.strides = tuple(checks.integer("strides", stride) for stride in strides)
        if not self.split or len(self.split) != len(self.strides):
            raise ValueError(f"`split` and `strides` need one entry for each split. Received: split={split}, strides={strides}.")
        self.token_width = checks.integer("token_width", token_width)
        self.token_kernel = checks.choice("token_kernel", token_kernel, TOKEN_KERNELS)
        self.token_features = checks.integer("token_features", token_features)
        self.token_dropout = checks.rate("token_dropout", token_dropout)
        self.shifted = shifted
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.seed = make_seed(seed if seed is None else checks.seed("seed", seed))

    def build(self, image_shape):
        shapes = self._shapes(image_shape[1:])
        self.transformers = [self._transformer(i) for i in range(len(shapes) - 1)]
        for transformer, (rows, columns, width) in zip(self.transformers, shapes):
            transformer.build((image_shape[0], rows * columns, width))
        self.projection = keras.layers.Dense(self.dim, name="projection", dtype=self.dtype_policy)
        self.projection.build((image_shape[0], *shapes[-1]))
        self.built = True

    def _shapes(self, image_shape) -> list[tuple[int, int, int]]:
        """`(rows, columns, width)` of the patches of each split."""
        shapes, (*sides, channels) = [], image_shape
        channels *= SHIFTS if self.shifted else 1
        for size, stride in zip(self.split, self.strides):
            if any(side is None or side + 2 * reach(size, stride) < size for side in sides):
                raise ValueError(
                    f"A patch of a soft split must fit its map. Received: split={self.split}, strides={self.strides}, "
                    f"image={tuple(image_shape)}, map={tuple(sides)}."
                )
            sides = [split_side(side, size, stride) for side in sides]
            shapes.append((*sides, size * size * channels))
            channels = self.token_width
        return shapes

    def _transformer(self, i) -> TokenTransformer:
        named = {"name": "kernel", "dtype": self.dtype_policy}
        options = {"token_dropout": self.token_dropout, "norm_epsilon": self.norm_epsilon}
        if self.token_kernel == "performer":
            kernel = Performer(self.token_features, seed=(self.seed + i) % 2**32, **named)
            options |= {"score_scale": 1.0, "use_bias": True}
        else:
            kernel = (LSA if self.token_kernel == "lsa" else Softmax)(**named)
        return TokenTransformer(self.token_width, kernel, **options, name=f"transformer{i}", dtype=self.dtype_policy)

    def call(self, image):
        x = soft_split(shift_and_concatenate(image, 1) if self.shifted else image, self.split[0], self.strides[0])
        for transformer, size, stride in zip(self.transformers, self.split[1:], self.strides[1:]):
            rows, columns, width = x.shape[1:]
            x = transformer(ops.reshape(x, (-1, rows * columns, width)))
            x = soft_split(ops.reshape(x, (-1, rows, columns, self.token_width)), size, stride)
        return self.projection(x)

    def multiply_adds(self, image_shape):
        *maps, last = self._shapes(image_shape)
        between = zip(self.transformers, maps)
        return math.prod(last) * self.dim + sum(t.multiply_adds((rows * columns, width)) for t, (rows, columns, width) in between)

    def constants(self):
        return len(self.transformers) * self.token_features * self.token_width if self.token_kernel == "performer" else 0

    def declared(self):
        """The layer normalisation of the last patches, which the released code of arXiv:2112.13492 never calls."""
        return 2 * self.split[-1] ** 2 * self.token_width
