"""What the map of a mixer is made of: which tokens see which, and by how much."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from ..ops.grids import neighbours


class MapPart(NamedTuple):
    """A summand of a mixer's map, the matrix that the values of all tokens are multiplied by.

    Args:
        name: `attention`; of windows `windows`, or `rate2` of those of one rate; `front` of tokens in front; `convolution`.
        make: the matrices by name, in the order of their product, of the queries `rows` (a slice): `(batch, heads, n, keys)` for
            all tokens, `(batch, groups, heads, n, keys)` for groups, whose queries are made whole.
        shape: `(heads, tokens, keys)` of the whole map.
        queries, keys: `(groups, n)` and `(groups, keys)`, the number of the token each one is, -1 for padding; `None` for all
            tokens in their order.
        dense: whether there is one matrix, of as many numbers as the map itself.
        gate: `(batch, tokens)`, what the rows are multiplied by, or `None`.
    """

    name: str
    make: Callable[[slice], dict]
    shape: tuple[int, int, int]
    queries: np.ndarray | None = None
    keys: np.ndarray | None = None
    dense: bool = False
    gate: Any = None


def convolution_parts(kernel, places, tokens: int, batch: int, mask=None, gate=None) -> list[MapPart]:
    """The convolution of the values that a kernel adds, if it does; each query is a group of its own.

    Args:
        kernel: of runs of tokens.
        places: `(groups, n)`, the number of each token in the runs, -1 for padding.
        tokens: of the whole map; `batch`: samples.
        mask: `(batch, tokens)`, which take part, or `None`.
        gate: as in `MapPart`.
    """
    taps = kernel.residual_taps()
    if taps is None:
        return []
    near, inside = neighbours((1, places.shape[1]), (1, taps.shape[0]))
    keys = np.where(inside, places[:, near], -1).reshape(-1, len(near[0]))  # (groups * n, size)
    weights = ops.transpose(taps)[None, None, :, None]  # (1, 1, heads, 1, size)
    if mask is not None:
        weights = weights * ops.cast(ops.take(mask, keys.clip(0), axis=1), weights.dtype)[:, :, None, None]
    weights = ops.broadcast_to(weights, (batch, len(keys), *weights.shape[2:]))
    shape = (taps.shape[1], tokens, tokens)
    return [MapPart("convolution", lambda rows: {"weights": weights}, shape, places.reshape(-1, 1), keys, gate=gate)]
