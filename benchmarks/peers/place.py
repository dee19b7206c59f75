"""The setting in which every contender is measured, and what a contender hands to its framework."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Window side for each grid; a contender of the group `windows` is told its tokens and finds its grid here.
GRIDS = {16: (4, 2), 64: (8, 4), 256: (16, 4), 1024: (32, 4), 3136: (56, 7)}


class Place(NamedTuple):
    """Sizes that all contenders share: inputs are `(batch, tokens, dim)`, float32."""

    tokens: int
    batch: int = 8
    dim: int = 128
    heads: int = 4
    key_dim: int = 32
    rank: int = 64  # random features, projected tokens or landmarks
    classes: int = 10
    depth: int = 4
    mlp_dim: int = 256
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the input."""
        return self.batch, self.tokens, self.dim

    @property
    def window(self) -> tuple[int, int]:
        """Side of the token grid and of its windows.

        Raises:
            ValueError: no grid is laid down for this number of tokens.
        """
        if self.tokens not in GRIDS:
            raise ValueError(f"Windows need a known grid. Received: tokens={self.tokens}; known: {sorted(GRIDS)}.")
        return GRIDS[self.tokens]

    @property
    def side(self) -> int:
        """Side of the image whose pixels are the tokens of a whole model."""
        return round(self.tokens**0.5)


class Part(NamedTuple):
    """A contender as its own framework has it.

    Args:
        layer: built, so that its weights exist; maps `(batch, tokens, dim)` to the same.
        copies: how often the call takes the input: 2 for `layer(query, value)`.
        multiply_adds: of one sample, where they are counted; they give the floor.
    """

    layer: Any
    copies: int = 1
    multiply_adds: int | None = None


class Job(NamedTuple):
    """One step, ready to be timed.

    Args:
        step: runs one step, waits until the device has finished, and drops the result.
        parameters: trainable scalars.
        multiply_adds: of one forward pass of the whole batch, or None.
        moved_bytes: inputs, outputs and weights that a step cannot avoid to read or write.
    """

    step: Callable[[], None]
    parameters: int
    multiply_adds: int | None
    moved_bytes: int


def tensors(place: Place) -> tuple[np.ndarray, np.ndarray]:
    """The fixed random input and the fixed random cotangent, both `(batch, tokens, dim)` float32."""
    random = np.random.default_rng(place.seed)
    return tuple(random.standard_normal(place.shape, dtype=np.float32) for _ in range(2))


def images(place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Random images `(batch, side, side, 3)`, pixels 0 to 255, and labels."""
    random = np.random.default_rng(place.seed)
    pixels = random.integers(0, 256, (place.batch, place.side, place.side, 3)).astype(np.float32)
    return pixels, random.integers(0, place.classes, place.batch).astype(np.int32)


def layer_job(step: Callable[[], None], part: Part, sizes: list[int], place: Place, mode: str) -> Job:
    """The record of a layer's step; `sizes` are the numbers of entries of its trainable weights."""
    parameters, entries = sum(sizes), place.batch * place.tokens * place.dim
    counted = None if part.multiply_adds is None else part.multiply_adds * place.batch
    # forward: x and weights in, y out; backward as well: the cotangent in, a gradient of x and of each weight out
    moved = 4 * (2 * entries + parameters if mode == "forward" else 3 * entries + 2 * parameters)
    return Job(step, parameters, counted, moved)
