"""Attention within windows of interleaved sub-grids, at several rates of dilation at once."""

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register
from ..kernels import Kernel, Softmax
from ..ops.grids import relative_index
from ..ops.heads import merge_heads, split_heads
from ..ops.precision import promote
from .attention import build_projections, check_kernel, check_mask, fit_width, takes
from .maps import MapPart, convolution_parts
from .partition import ShiftedWindow
from .window import fit_window


@register
class AtrousAttention(Layer):
    """Windows at several rates of dilation, fused by a gate: `(batch, prefix + rows * columns, dim) -> same`.

    Called as `layer(x, mask=None)`; `mask` is boolean `(batch, prefix + rows * columns)`, true for the tokens that take part.
    At rate `r` a window holds tokens whose rows, and whose columns, are `r` apart: the grid falls into `r x r` interleaved
    sub-grids, each cut into windows. All rates share queries, keys and values; `softmax(dense(x))` weighs their outputs token
    by token before the one output projection. Tokens in front are seen by every window, and see all tokens exactly.

    >>> tokens = keras.random.normal((2, 1 + 8 * 8, 32))
    >>> tuple(AtrousAttention(num_heads=4, grid=(8, 8), window=4, rates=(1, 2), prefix=1)(tokens).shape)
    (2, 65, 32)

    Args:
        num_heads, key_dim, kernel, use_bias, out_dropout, qkv_bias: as in `Attention`.
        grid: `(rows, columns)` of the tokens, which come row by row after those in front.
        window: side of a window in tokens, or `(rows, columns)`. It shrinks to a sub-grid that is smaller.
        rates: of dilation, each once; 1 is the ordinary window.
        prefix: tokens in front.
        gate: whether the weights of the rates are learned, starting equal, or stay equal. With a single rate there is no gate.
        relative_bias: whether a learned bias for each offset within the window, one table for each rate, is added to the scores.
        clamp: whether a window larger than the grid shrinks to it, and rates whose sub-grids are smaller than the window are left
            out; otherwise a window or rate larger than the grid is an error.

    Kernels without scores (Performer, Nyström, and Linformer where all windows are of one size) work with
    `relative_bias=False`. A grid that `window * rate` does not divide is padded, and the padding masked.

    Raises:
        ValueError: for arguments that do not fit each other; at build, for a token count other than `prefix + rows * columns`.

    Source: Ibtehaz et al. 2024, ACC-ViT, arXiv:2403.04200 (atrous attention: interleaved windows, a gate by token). Differs:
    one set of projections serves all rates, and nothing is normalised or added between them and the gate, so that the
    weights of a trained vision transformer keep their meaning; and the tokens in front, which that model has not.
    """

    input_axes = TOKENS

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        grid=None,
        window=7,
        rates=(1, 2),
        prefix: int = 0,
        gate: bool = True,
        relative_bias: bool = False,
        clamp: bool = False,
        kernel: Kernel | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        qkv_bias: bool | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = checks.integer("num_heads", num_heads)
        self.key_dim = key_dim if key_dim is None else checks.integer("key_dim", key_dim)
        self.grid = checks.pair("grid", grid)
        self.window, _ = fit_window(self.grid, checks.pair("window", window), (0, 0), clamp)
        self.rates = fit_rates(self.grid, self.window, rates, clamp)
        self.prefix = checks.integer("prefix", prefix, 0)
        self.gate, self.clamp = gate, clamp
        self.kernel = check_kernel(kernel, self.dtype_policy)
        self.relative_bias = relative_bias
        if relative_bias and not takes(self.kernel, "bias"):
            raise ValueError(f"kernel {type(self.kernel).__name__} has no scores to add a bias to. Received: relative_bias=True.")
        self.use_bias, self.qkv_bias = use_bias, qkv_bias
        self.out_dropout = checks.rate("out_dropout", out_dropout)
        own = prefix and not isinstance(self.kernel, Softmax)
        self.exact = Softmax(name="exact", dtype=self.dtype_policy) if own else None

    def build(self, x_shape):
        if x_shape[1] != self.prefix + self.grid[0] * self.grid[1]:
            raise ValueError(
                "The token count must be prefix + rows * columns. "
                f"Received: tokens={x_shape[1]}, prefix={self.prefix}, grid={self.grid}."
            )
        fit_width(self, x_shape[-1])
        self.partitions = [self._partition(rate) for rate in self.rates]
        fewest = min(map(self._heads, self.partitions), key=lambda shapes: shapes[0][-2])
        self.kernel.check(*fewest)
        build_projections(self, x_shape, x_shape, x_shape, self.qkv_bias)
        self.input_sizes = (None, *x_shape[1:])
        self.kernel.build(*fewest)
        if self.exact is not None:
            front, all_heads = ((None, self.num_heads, n, self.width) for n in (self.prefix, x_shape[1]))
            self.exact.build(front, all_heads, all_heads)
        if self.gate and len(self.rates) > 1:
            self.chooser = keras.layers.Dense(
                len(self.rates), kernel_initializer="zeros", name="gate", dtype=self.dtype_policy
            )
            self.chooser.build(x_shape)
        if self.relative_bias:
            self.biases = [self._table(part) for part in self.partitions]
        self.built = True

    def _partition(self, rate):
        window = tuple(min(w, -(-size // rate)) for w, size in zip(self.window, self.grid))
        part = ShiftedWindow(self.grid, window, rate=rate, name=f"rate{rate}", dtype=self.dtype_policy)
        part.build((None, *self.grid, self.num_heads * self.width))
        return part

    def _heads(self, part):
        """Shapes of queries, keys and values in the windows of one rate."""
        tokens = part.window[0] * part.window[1]
        q, k = ((None, part.windows, self.num_heads, n, self.width) for n in (tokens, tokens + self.prefix))
        return q, k, k

    def _table(self, part):
        offsets = (2 * part.window[0] - 1) * (2 * part.window[1] - 1)
        return self.add_weight(
            name=f"relative_bias{part.rate}",
            shape=(offsets, self.num_heads),
            initializer="zeros",
            dtype="float32",
            autocast=False,
        )

    def call(self, x, mask=None):
        mask = check_mask(mask, x.shape[1], x.shape[0])
        q, k, v = self.query(x), self.key(x), self.value(x)
        rates = [self._at_rate(place, q, k, v, mask) for place in range(len(self.rates))]
        mixed = ops.reshape(self._fuse(x, rates), (-1, self.grid[0] * self.grid[1], self.num_heads * self.width))
        if self.prefix:
            mixed = ops.concatenate([self._front(q, k, v, mask), mixed], axis=1)
        return self.drop(self.out(mixed))

    def _at_rate(self, place, q, k, v, mask):
        """Tokens `(batch, prefix + n, inner)` to the map `(batch, rows, columns, inner)` of one rate."""
        part = self.partitions[place]
        k_front, v_front = k[:, : self.prefix], v[:, : self.prefix]
        q, k, v = (part.split(self._map(t), self.num_heads) for t in (q, k, v))
        if self.prefix:
            k, v = self._beside(k, k_front, part), self._beside(v, v_front, part)
        return part.reverse(self.kernel(q, k, v, **self._optional(place, mask)))

    def _optional(self, place, mask) -> dict:
        """The mask and the bias of the windows of one rate, where there are any."""
        part, optional = self.partitions[place], {}
        if (seen := self._seen(part, mask)) is not None:
            optional["mask"] = seen
        if self.relative_bias:
            bias = ops.transpose(ops.take(self.biases[place], relative_index(part.window), axis=0), (2, 0, 1))
            optional["bias"] = ops.pad(bias, ((0, 0), (0, 0), (0, self.prefix)))[None]
        return optional

    def _map(self, x):
        """Tokens `(batch, prefix + n, channels)` to the map `(batch, rows, columns, channels)` of those not in front."""
        return ops.reshape(x[:, self.prefix :], (-1, *self.grid, x.shape[-1]))

    def _beside(self, x, front, part):
        """Windows of keys or values with those of the tokens in front, the same for every window."""
        front = ops.expand_dims(split_heads(front, self.num_heads), 1)
        front = ops.broadcast_to(front, (ops.shape(front)[0], part.windows, *front.shape[2:]))
        return ops.concatenate([x, front], axis=3)

    def _seen(self, part, mask):
        """Which keys of each window take part, `(batch or 1, windows, 1, keys)`; `None` for all of them."""
        if mask is None:
            if part.valid is None:
                return None
            return ops.convert_to_tensor(np.pad(part.valid, ((0, 0), (0, self.prefix)), constant_values=True)[None, :, None])
        present = self._map(ops.cast(mask, "float32")[..., None])
        seen = part.split(present)[..., 0] > 0.5  # what pads the map is 0 too
        if self.prefix:
            front = mask[:, None, None, : self.prefix]
            front = ops.broadcast_to(front, (ops.shape(front)[0], part.windows, 1, self.prefix))
            seen = ops.concatenate([seen, front], axis=-1)
        return seen

    def _fuse(self, x, rates):
        """The maps of all rates, weighed token by token."""
        if len(rates) == 1:
            return rates[0]
        if not self.gate:
            return sum(rates[1:], rates[0]) / len(rates)
        weights = ops.cast(self._gates(x), self.compute_dtype)
        return sum(weights[..., place : place + 1] * y for place, y in enumerate(rates))

    def _gates(self, x):
        """Weights of the rates, `(batch, rows, columns, rates)`."""
        return ops.softmax(promote(self.chooser(self._map(x))), axis=-1)

    def _front(self, q, k, v, mask):
        """Exact attention of the tokens in front to all tokens: `(batch, prefix, inner)`."""
        q, k, v = (split_heads(t, self.num_heads) for t in (q[:, : self.prefix], k, v))
        return merge_heads(self._front_kernel(q, k, v, mask=None if mask is None else ops.expand_dims(mask, 1)))

    @property
    def _front_kernel(self):
        return self.kernel if self.exact is None else self.exact

    def map_parts(self, x, mask=None) -> list[MapPart]:
        """What the map of a call is made of, in inference: windows of each rate, with their gates, and tokens in front."""
        mask = check_mask(mask, x.shape[1])
        q, k = self.query(x), self.key(x)
        gates = None
        if len(self.rates) > 1:
            shape = (len(x), x.shape[1] - self.prefix, len(self.rates))
            gates = ops.reshape(self._gates(x), shape) if self.gate else ops.full(shape, 1 / len(self.rates))
            gates = ops.pad(gates, ((0, 0), (self.prefix, 0), (0, 0)))
        parts = []
        for place in range(len(self.rates)):
            parts += self._rate_parts(place, q, k, mask, None if gates is None else gates[..., place])
        if self.prefix:
            parts.append(self._front_part(q, k, mask))
        return parts

    def _rate_parts(self, place, q, k, mask, gate):
        part, tokens, batch = self.partitions[place], q.shape[1], len(q)
        near = part.split(self._map(k), self.num_heads)
        near = self._beside(near, k[:, : self.prefix], part) if self.prefix else near
        q, optional = part.split(self._map(q), self.num_heads), self._optional(place, mask)
        queries = part.places()
        queries = np.where(queries < 0, -1, queries + self.prefix)
        front = np.broadcast_to(np.arange(self.prefix), (part.windows, self.prefix))

        def make(rows):
            return self.kernel.factors(q, near, rows=rows, **optional)

        places = queries, np.concatenate([queries, front], axis=1)
        beside = convolution_parts(self.kernel, queries, tokens, batch, mask, gate)
        beside = [one._replace(name=f"{part.name}_{one.name}") for one in beside]
        return [MapPart(part.name, make, (self.num_heads, tokens, tokens), *places, gate=gate), *beside]

    def _front_part(self, q, k, mask):
        tokens = k.shape[1]
        q, k = (split_heads(t, self.num_heads) for t in (q[:, : self.prefix], k))
        weights = self._front_kernel.factors(q, k, mask=None if mask is None else ops.expand_dims(mask, 1))["weights"]
        places = np.arange(self.prefix)[None], np.arange(tokens)[None]
        return MapPart("front", lambda rows: {"weights": ops.expand_dims(weights, 1)}, (self.num_heads, tokens, tokens), *places)

    def compute_output_shape(self, x_shape):
        return x_shape

    def stand_alone(self):
        return self.biases if self.relative_bias else []

    def multiply_adds(self, x_shape):
        tokens, dim = x_shape
        inner = self.num_heads * self.width
        windows = sum(self.kernel.multiply_adds(*(shape[1:] for shape in self._heads(part))) for part in self.partitions)
        gate = (tokens - self.prefix) * dim * len(self.rates) if self.gate and len(self.rates) > 1 else 0
        return 4 * tokens * dim * inner + windows + gate + 2 * self.prefix * tokens * inner


def fit_rates(grid, window, rates, clamp: bool) -> tuple[int, ...]:
    """`rates`, or a single one, as a tuple of different rates that fit `grid`; clamped, or refused if they do not fit."""
    rates = tuple(rates) if isinstance(rates, (tuple, list)) else (rates,)
    for rate in rates:
        checks.integer("rates", rate, 1, None if clamp else min(grid))
    if not rates or len(set(rates)) < len(rates):
        raise ValueError(f"`rates` must be one or more different rates. Received: rates={rates}.")
    if not clamp:
        return rates
    held = tuple(rate for rate in rates if all(-(-size // rate) >= w for size, w in zip(grid, window)))
    return held or (min(*rates, *grid),)
