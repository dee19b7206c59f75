"""Attention within windows of the token grid, in two dimensions or one."""

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import TOKENS, Layer, register
from ..kernels import Kernel, Softmax
from ..ops.dense import NEVER, masked_softmax
from ..ops.grids import neighbours, relative_index
from ..ops.heads import split_heads
from ..ops.precision import promote
from .attention import build_projections, check_kernel, check_mask, fit_width, takes
from .maps import MapPart, convolution_parts
from .partition import ShiftedWindow

MODES = ("block", "neighborhood")


@register
class LocalWindowAttention2D(Layer):
    """Attention within 2-D windows of a grid: `(batch, rows * columns, dim) -> (batch, rows * columns, dim)`.

    Called as `layer(x, mask=None)`; `mask` is boolean `(batch, rows * columns)`, true for the tokens that take part.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(LocalWindowAttention2D(num_heads=4, grid=(8, 8), window=4, shift=2)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, kernel, use_bias, out_dropout: as in `Attention`.
        grid: `(rows, columns)` of the tokens, which come row by row.
        window: side of a window, or `(rows, columns)`.
        shift: how far the windows are moved towards the bottom right, `0 <= shift < window`; `block` only. Tokens that the
            cyclic shift makes neighbours across the border never see each other.
        mode: `block`, windows side by side; `neighborhood`, one window round each token, clipped at the border (`window` odd).
        relative_bias: whether a learned bias for each offset within the window is added to the scores.
        conv_size: side of a depth-wise convolution of the grid that feeds queries and keys (not values), so that points are
            matched by their surroundings; odd, 1 for none. It starts as the identity.
        clamp: whether a window larger than the grid shrinks to it, without shift; otherwise it is an error.

    Kernels without scores (Performer, Linformer, Nyström) work in `block` mode with `relative_bias=False`; shifted, the border
    windows are then cut smaller instead of rolled together, which isolates the same regions.
    A grid that the window does not divide is padded, and the padding masked.

    Raises:
        ValueError: for arguments that do not fit each other; at build, for a token count other than `rows * columns`.

    Source: Liu et al. 2021, arXiv:2103.14030, section 3.2; the convolution: Li et al. 2019, arXiv:1907.00235, section
    4.1, on a grid.
    """

    input_axes = TOKENS

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        grid=None,
        window=4,
        shift=0,
        mode: str = "block",
        relative_bias: bool | None = None,
        conv_size: int = 1,
        clamp: bool = False,
        kernel: Kernel | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = checks.integer("num_heads", num_heads)
        self.key_dim = key_dim if key_dim is None else checks.integer("key_dim", key_dim)
        self.grid = checks.pair("grid", grid)
        self.window, self.shift = fit_window(self.grid, checks.pair("window", window), checks.pair("shift", shift, 0), clamp)
        self.mode = checks.choice("mode", mode, MODES)
        self.clamp = clamp
        self.kernel = check_kernel(kernel, self.dtype_policy)
        scored = takes(self.kernel, "bias")
        self.relative_bias = scored if relative_bias is None else relative_bias
        if self.relative_bias and not scored:
            raise ValueError(f"kernel {type(self.kernel).__name__} has no scores to add a bias to. Received: relative_bias=True.")
        self.conv_size = checks.odd("conv_size", conv_size)
        if mode == "neighborhood":
            self._check_neighborhood()
        self.use_bias = use_bias
        self.out_dropout = checks.rate("out_dropout", out_dropout)

    def _check_neighborhood(self):
        if any(side % 2 == 0 for side in self.window) or any(self.shift):
            raise ValueError(
                f"mode='neighborhood' needs an odd window and no shift. Received: window={self.window}, shift={self.shift}."
            )
        if not isinstance(self.kernel, Softmax):
            raise ValueError(f"mode='neighborhood' is for the softmax kernel. Received: kernel={type(self.kernel).__name__}.")

    def build(self, x_shape):
        if x_shape[1] != self.grid[0] * self.grid[1]:
            raise ValueError(f"The token count must be rows * columns. Received: tokens={x_shape[1]}, grid={self.grid}.")
        fit_width(self, x_shape[-1])
        tokens = self.window[0] * self.window[1]
        if self.mode == "block":
            self.partition = ShiftedWindow(
                self.grid, self.window, self.shift, roll=takes(self.kernel, "bias"), dtype=self.dtype_policy
            )
            self.partition.build((x_shape[0], *self.grid, self.num_heads * self.width))
            heads = (x_shape[0], self.partition.windows, self.num_heads, tokens, self.width)
            self.kernel.check(heads, heads, heads)
        build_projections(self, x_shape, x_shape, x_shape)
        self.input_sizes = (None, *x_shape[1:])
        if self.mode == "block":
            self.kernel.build(heads, heads, heads)
        else:
            self.near, self.valid = neighbours(self.grid, self.window)
        if self.relative_bias:
            self.bias = self.add_weight(
                name="relative_bias",
                shape=(self._offsets(), self.num_heads),
                initializer="zeros",
                dtype="float32",
                autocast=False,
            )
        if self.conv_size > 1:
            self.surroundings = [self._convolution(name, x_shape[-1]) for name in ("query_conv", "key_conv")]
        self.built = True

    def _offsets(self) -> int:
        high, wide = self.window
        return (2 * high - 1) * (2 * wide - 1) if self.mode == "block" else high * wide

    def _convolution(self, name, dim):
        conv = keras.layers.DepthwiseConv2D(
            self.conv_size, padding="same", depthwise_initializer=_delta, name=name, dtype=self.dtype_policy
        )
        conv.build((None, *self.grid, dim))
        return conv

    def call(self, x, mask=None):
        mask = check_mask(mask, x.shape[1], x.shape[0])
        q, k, v = self._maps(x, mask)
        mixed = self._blocks(q, k, v, mask) if self.mode == "block" else self._neighborhoods(q, k, v, mask)
        tokens = self.grid[0] * self.grid[1]
        return self.drop(self.out(ops.reshape(mixed, (-1, tokens, self.num_heads * self.width))))

    def _maps(self, x, mask):
        """Queries, keys and values, each a map `(batch, rows, columns, inner)`."""
        if mask is not None and self.conv_size > 1:
            x = ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
        grids = ops.reshape(x, (-1, *self.grid, x.shape[-1]))
        q, k = (conv(grids) for conv in self.surroundings) if self.conv_size > 1 else (grids, grids)
        return self.query(q), self.key(k), self.value(grids)

    def _blocks(self, q, k, v, mask):
        """Maps of `(batch, rows, columns, inner)` -> the same."""
        q, k, v = (self.partition.split(x, self.num_heads) for x in (q, k, v))
        return self.partition.reverse(self.kernel(q, k, v, **self._optional(mask)))

    def _optional(self, mask) -> dict:
        """The mask and the bias of the windows, where there are any."""
        optional = {}
        if mask is not None:  # cut like the map; what pads the map is 0 too
            present = ops.reshape(ops.cast(mask, "float32"), (-1, *self.grid, 1))
            optional["mask"] = self.partition.split(present)[..., 0] > 0.5  # (batch, windows, 1, tokens)
        elif self.partition.valid is not None:
            optional["mask"] = ops.convert_to_tensor(self.partition.valid[:, None, :])
        if (bias := self._block_bias()) is not None:
            optional["bias"] = bias
        return optional

    def _block_bias(self):
        """Relative bias and shift mask as one `(windows or 1, heads or 1, tokens, tokens)` summand, or `None`."""
        bias = None
        if self.relative_bias:
            bias = ops.transpose(ops.take(self.bias, relative_index(self.window), axis=0), (2, 0, 1))[None]
        allowed = self.partition.allowed
        if allowed is not None:
            border = ops.convert_to_tensor(np.where(allowed, 0.0, NEVER).astype("float32")[:, None])
            bias = border if bias is None else bias + border
        return bias

    def _neighborhoods(self, q, k, v, mask):
        """Maps of `(batch, rows, columns, inner)` -> `(batch, tokens, inner)`, each query with the window round it."""
        v = self._near(v)
        weights, valid = self._near_weights(q, k, mask)
        if mask is not None:
            v = ops.where(valid[..., None], v, ops.zeros_like(v))
        weights = self.kernel.drop(ops.cast(weights, self.compute_dtype))
        return ops.transpose(ops.einsum("bhnw,bhnwd->bhnd", weights, v), (0, 2, 1, 3))

    def _heads(self, x):
        return split_heads(ops.reshape(x, (-1, self.grid[0] * self.grid[1], x.shape[-1])), self.num_heads)

    def _near(self, x):
        """The window round each token of a map: `(batch, heads, tokens, window tokens, width)`."""
        return ops.take(self._heads(x), self.near, axis=2)

    def _near_weights(self, q, k, mask):
        """Weights of the window round each token, `(batch, heads, tokens, window tokens)`, and which of these take part."""
        q, k = self._heads(q), self._near(k)
        s = ops.einsum("bhnd,bhnwd->bhnw", promote(q) * self.width**-0.5, promote(k))
        if self.relative_bias:
            s = s + ops.transpose(self.bias, (1, 0))[None, :, None, :]
        valid = ops.convert_to_tensor(self.valid)
        if mask is not None:
            valid = ops.logical_and(valid, ops.take(mask, self.near, axis=1)[:, None])
        return masked_softmax(s, valid), valid

    def map_parts(self, x, mask=None) -> list[MapPart]:
        """What the map of a call is made of, in inference: of windows side by side, or of one round each token."""
        mask, tokens = check_mask(mask, x.shape[1]), x.shape[1]
        q, k, _ = self._maps(x, mask)
        shape = (self.num_heads, tokens, tokens)
        if self.mode == "neighborhood":
            weights = ops.expand_dims(ops.transpose(self._near_weights(q, k, mask)[0], (0, 2, 1, 3)), -2)
            places = np.arange(tokens)[:, None], np.where(self.valid, self.near, -1)
            return [MapPart("windows", lambda rows: {"weights": weights}, shape, *places)]
        q, k = (self.partition.split(t, self.num_heads) for t in (q, k))
        places, optional = self.partition.places(), self._optional(mask)

        def make(rows):
            return self.kernel.factors(q, k, rows=rows, **optional)

        beside = convolution_parts(self.kernel, places, tokens, len(x), mask)
        return [MapPart("windows", make, shape, places, places), *beside]

    def constants(self) -> int:
        """Entries of the index and mask tables that some published counts include among the parameters."""
        tokens = self.window[0] * self.window[1]
        index = tokens * tokens if self.relative_bias else 0
        return index + (self.partition.windows * tokens * tokens if any(self.shift) else 0)

    def multiply_adds(self, x_shape):
        tokens, dim = x_shape
        inner, window = self.num_heads * self.width, self.window[0] * self.window[1]
        total = 4 * tokens * dim * inner + (2 * tokens * self.conv_size**2 * dim if self.conv_size > 1 else 0)
        if self.mode == "neighborhood":
            return total + 2 * tokens * window * inner
        heads = (self.partition.windows, self.num_heads, window, self.width)
        return total + self.kernel.multiply_adds(heads, heads, heads)


@register
class LocalAttention1D(LocalWindowAttention2D):
    """Attention within runs of tokens in raster order: `(batch, tokens, dim) -> (batch, tokens, dim)`.

    The 1-D baseline of the 2-D windows: at equal window size it costs the same, and sees a strip instead of a square.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(LocalAttention1D(num_heads=4, grid=(8, 8), window=4, shift=2)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, kernel, use_bias, out_dropout, clamp: as in `LocalWindowAttention2D`.
        grid: `(rows, columns)` of the tokens.
        window: tokens in a window.
        shift: how far the runs are moved, `0 <= shift < window`.
        mode: `block`, runs end to end, or `sliding`, a run round each token (`window` odd).
        wrap_rows: whether the last token of a row is a neighbour of the first of the next; `False` keeps every run in its row.
        relative_bias: as in `LocalWindowAttention2D`.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        grid=None,
        window: int = 16,
        shift: int = 0,
        mode: str = "block",
        wrap_rows: bool = False,
        relative_bias: bool | None = None,
        clamp: bool = False,
        kernel: Kernel | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        **kwargs,
    ):
        checks.choice("mode", mode, ("block", "sliding"))
        window, shift = checks.integer("window", window), checks.integer("shift", shift, 0)
        rows, columns = checks.pair("grid", grid)
        super().__init__(
            num_heads,
            key_dim,
            grid=(1, rows * columns) if wrap_rows else (rows, columns),
            window=(1, window),
            shift=(0, shift),
            mode="neighborhood" if mode == "sliding" else "block",
            relative_bias=relative_bias,
            clamp=clamp,
            kernel=kernel,
            use_bias=use_bias,
            out_dropout=out_dropout,
            **kwargs,
        )
        self.wrap_rows = wrap_rows
        self.line = {"grid": (rows, columns), "window": window, "shift": shift, "mode": mode}

    def get_config(self):
        return super().get_config() | dict(self.line)


def fit_window(grid, window, shift, clamp: bool):
    """`window` and `shift` that fit `grid`, each a pair; clamped, or refused if they do not fit."""
    if clamp:
        shift = tuple(0 if w >= size else s for size, w, s in zip(grid, window, shift))
        window = tuple(min(w, size) for size, w in zip(grid, window))
    if any(w > size for size, w in zip(grid, window)):
        raise ValueError(f"`window` must fit into the grid. Received: window={window}, grid={grid}; or use clamp=True.")
    if any(s >= w for w, s in zip(window, shift)) and any(shift):
        raise ValueError(f"`shift` must be smaller than `window`. Received: shift={shift}, window={window}.")
    return window, shift


def _delta(shape, dtype=None):
    """A centred unit impulse for each channel: a depth-wise convolution that starts as the identity."""
    size = shape[0]
    kernel = np.zeros(shape, "float32")
    kernel[size // 2, size // 2] = 1.0
    return ops.convert_to_tensor(kernel, dtype=dtype)
