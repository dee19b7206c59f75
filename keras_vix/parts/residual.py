"""The block: every block of every model is two of these."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, make_seed, register
from ..ops.recompute import BACKENDS, recomputed
from ..primitives.norms import NORM_LAYERS, make_norm

NORMS = ("pre", "post", "both", "double", "none")


@register
class Residual(Layer):
    """`x + branch(norm(x))` or another place for the norm: `(batch, n, dim) -> same`; `branch(x) = drop_path(scale * inner(x))`.

    Called as `layer(x, memory=None, projection=None, memory_mask=None)`: `memory` and `projection` go to `inner` as they are, and
    `memory_mask`, by default the mask that Keras carries with `memory`, as its `mask`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(Residual(MLP(mlp_dim=128), drop_path=0.1, scale=1e-5)(tokens).shape)
    (2, 64, 32)

    Args:
        inner: the layer inside.
        norm: where the normalisation stands. `pre`: `x + branch(norm(x))`; `post`: `norm(x + branch(x))`; `both`:
            `norm(x) + branch(norm(x))`; `double`: as `pre`, and the normalised input joins what leaves `inner`; `none`:
            `x + branch(x)`.
        norm_epsilon: of the normalisation, > 0.
        norm_layer: `layer`, `channel` (see `ChannelNorm`) or `batch`.
        drop_path: rate of leaving the branch out for a whole sample while training, in [0, 1).
        scale: initial value of a learned factor for each channel of the branch, or `None` for no such factor.
        seed: of the dropped paths.
        remat: whether a training step keeps only what comes in, and the gradient computes the layer once more (gradient
            checkpointing): less memory for one more forward computation. Outputs, gradients and dropped values are the same.

    Raises:
        ValueError: for `remat` on a backend that has no such thing.

    Source: pre-norm: Xiong et al. 2020, arXiv:2002.04745; drop path: Huang et al. 2016, arXiv:1603.09382; scale: Touvron et al.
    2021, arXiv:2103.17239, eq. 4; `both`: the second half of the blocks of Hassani et al. 2021, arXiv:2104.05704, as released;
    `double`: the attention of the T2T-ViT of Lee et al. 2021, arXiv:2112.13492, as released; `remat`: Chen et al. 2016,
    arXiv:1604.06174.
    """

    def __init__(
        self,
        inner: keras.layers.Layer,
        norm: str = "pre",
        norm_epsilon: float = 1e-6,
        drop_path: float = 0.0,
        scale: float | None = None,
        seed: int | None = None,
        norm_layer: str = "layer",
        remat: bool = False,
        **kwargs,
    ):
        check_remat(remat)
        super().__init__(autocast=not remat, **kwargs)  # weights are handed in whole; what they meet casts them
        self.remat = remat
        self.supports_masking = True
        self.inner = inner
        self.norm = checks.choice("norm", norm, NORMS)
        self.norm_epsilon = checks.number("norm_epsilon", norm_epsilon, 1e-12, 1.0)
        self.norm_layer = checks.choice("norm_layer", norm_layer, NORM_LAYERS)
        self.drop_path = checks.rate("drop_path", drop_path)
        self.scale = scale if scale is None else checks.number("scale", scale, 0.0, 10.0)
        self.seed = make_seed(seed if seed is None else checks.seed("seed", seed))

    def build(self, x_shape, memory_shape=None, projection_shape=None):
        if self.norm != "none":
            self.layer_norm = make_norm(self.norm_layer, self.norm_epsilon, self, "norm", x_shape)
        self.inner.build(*(shape for shape in (x_shape, memory_shape) if shape is not None))
        if self.scale is not None:
            self.gamma = self.add_weight(name="gamma", shape=x_shape[-1:], initializer=keras.initializers.Constant(self.scale))
        noise = (None, *(1,) * (len(x_shape) - 1))  # one draw for a whole sample
        self.drop = keras.layers.Dropout(self.drop_path, noise_shape=noise, seed=self.seed, dtype=self.dtype_policy)
        self.built = True

    def call(self, x, memory=None, projection=None, memory_mask=None, training=None):
        tensors = [tensor for tensor in (memory, projection) if tensor is not None]
        if self.remat:
            x, *tensors = (ops.cast(tensor, self.compute_dtype) for tensor in (x, *tensors))

        def call(x, *tensors):
            left = iter(tensors)
            inputs = () if memory is None else (next(left),)
            shared = {} if projection is None else {"projection": next(left)}
            if memory_mask is not None:
                shared["mask"] = memory_mask
            return self._through(x, inputs, shared, training)

        return recomputed(self, call, x, *tensors) if self.remat and training else call(x, *tensors)

    def _through(self, x, inputs, shared, training):
        if self.norm == "post":
            inside = self.inner(x, *inputs, **shared, training=training)
            return self.layer_norm(x + self._branch(inside, training), training=training)
        y = self.entering(x, training)
        inside = self.inner(y, *inputs, **shared, training=training)
        return (y if self.norm == "both" else x) + self._branch(y + inside if self.norm == "double" else inside, training)

    def entering(self, x, training=None):
        """What `inner` is called on, where `x` comes into the block."""
        return x if self.norm in ("none", "post") else self.layer_norm(x, training=training)

    def _branch(self, y, training):
        return self.drop(y if self.scale is None else y * ops.cast(self.gamma, y.dtype), training=training)

    def compute_output_shape(self, x_shape, **shapes):
        return x_shape

    def multiply_adds(self, x_shape, memory_shape=None, projection_shape=None):
        return self.inner.multiply_adds(*(shape for shape in (x_shape, memory_shape) if shape is not None))

    def binary_multiply_adds(self, x_shape, *shapes):
        return self.inner.binary_multiply_adds(x_shape, *shapes)

    def scalings(self, x_shape, *shapes):
        return self.inner.scalings(x_shape, *shapes) + (0 if self.scale is None else math.prod(x_shape))

    def stand_alone(self):
        return [] if self.scale is None else [self.gamma]

    def constants(self):
        return self.inner.constants()


def check_remat(remat) -> bool:
    """A boolean, true only where the backend can compute a layer again."""
    if not isinstance(remat, bool):
        raise TypeError(f"`remat` must be True or False. Received: remat={remat!r}.")
    if remat and keras.config.backend() not in BACKENDS:
        raise ValueError(f"`remat` needs a backend of {', '.join(BACKENDS)}. Received: backend={keras.config.backend()!r}.")
    return remat
