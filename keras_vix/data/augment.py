"""Random changes of training images: policies as data, one warp for a whole batch, NumPy only."""

from dataclasses import dataclass, fields

import numpy as np

from .. import checks
from ..facts import Facts

CHUNK = 2**15  # pixels warped at once: the working set stays in the processor's cache


@dataclass(frozen=True)
class Policy:
    """How much a training image may change; every amount is drawn evenly from both sides of no change.

    Args:
        flip: Mirror left and right in half of the images.
        rotate: Largest turn, as a fraction of a whole turn (as Keras' RandomRotation counts).
        zoom: Largest change of scale, the same in height and width.
        shift: Largest move in each direction, as a fraction of the side, interpolated between pixels.
        jump: The same in whole pixels without interpolation: padding and cropping, in one step.

    Pixels moved in from outside repeat the nearest edge pixel.
    """

    flip: bool = False
    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    jump: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.flip, bool):
            raise TypeError(f"flip must be True or False. Received: flip={self.flip!r}; give a bool.")
        for field in fields(self)[1:]:
            checks.rate(field.name, getattr(self, field.name))

    @property
    def warps(self) -> bool:
        """Whether any change needs interpolation."""
        return bool(self.rotate or self.zoom or self.shift)

    @property
    def moves(self) -> bool:
        """Whether any change rearranges whole pixels."""
        return bool(self.flip or self.jump)


POLICIES: dict[str, Policy] = {
    "none": Policy(),
    "digits": Policy(rotate=0.02, zoom=0.1, shift=1 / 16),  # half a pixel of 8
    "flip": Policy(flip=True),
    "mnist": Policy(rotate=0.02, zoom=0.1),
    "fashion": Policy(flip=True, jump=1 / 14),  # 2 pixels of 28
    "cifar": Policy(flip=True, jump=1 / 8),  # 4 pixels of 32
    "reference_cifar": Policy(flip=True, rotate=0.02, zoom=0.2),
}

BY_DATASET: dict[str, str] = {
    "digits": "digits",
    "mnist": "mnist",
    "fashion_mnist": "fashion",
    "cifar10": "cifar",
    "cifar100": "cifar",
}


def policy_for(facts: Facts) -> str:
    """The name of the policy that suits a data set; an unlisted one is flipped only where its facts allow."""
    return BY_DATASET.get(facts.name, "cifar" if facts.flip else "mnist")


def find_policy(policy: str | Policy) -> Policy:
    """A policy by name, or itself.

    Raises:
        TypeError: Neither a name nor a Policy.
        ValueError: An unknown name.
    """
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str):
        raise TypeError(f"augment must be a policy name or a Policy. Received: augment={policy!r}; use 'none'.")
    if policy not in POLICIES:
        raise ValueError(
            f"augment must name a policy. Received: augment={policy!r}.{checks.near(policy, POLICIES)}"
        )
    return POLICIES[policy]


def apply(x: np.ndarray, policy: Policy, rng: np.random.Generator) -> np.ndarray:
    """Images (n, h, w, c), each changed at random: a new array of the same shape, float32, on the same scale."""
    if policy.moves:
        x = move(x, *draw_moves(policy, rng, x.shape))
    if policy.warps:
        x = warp(x, draw_warps(policy, rng, x.shape))
    return x.astype(np.float32)


def draw_moves(
    policy: Policy, rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(flips, bool; rows and columns to move by, whole pixels), each of shape (n,)."""
    n, height, width, _ = shape
    up, left = round(policy.jump * height), round(policy.jump * width)
    flips = rng.random(n) < 0.5 * policy.flip
    return flips, rng.integers(-up, up, n, endpoint=True), rng.integers(-left, left, n, endpoint=True)


def move(x: np.ndarray, flips: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Images mirrored where `flips`, then moved by whole pixels; the dtype stays, edge pixels repeat."""
    n, height, width, channels = x.shape
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)  # (n, h): the row each pixel comes from
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)
    columns = np.where(flips[:, None], width - 1 - columns, columns)
    index = (np.arange(n)[:, None] * height + rows)[:, :, None] * width + columns[:, None, :]
    return x.reshape(-1, channels).take(index, axis=0, mode="clip")


def draw_warps(policy: Policy, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One affine map an image, (n, 2, 3): see `warp`."""
    n, height, width, _ = shape
    turn, scale, down, right = rng.uniform(-1.0, 1.0, (4, n))
    angle, scale = 2 * np.pi * policy.rotate * turn, 1 + policy.zoom * scale
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    rows = [cosine, -sine, policy.shift * height * down]
    columns = [sine, cosine, policy.shift * width * right]
    return np.stack([np.stack(rows, axis=-1), np.stack(columns, axis=-1)], axis=1)


def warp(x: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Bilinear affine warp of images (n, h, w, c), uint8 or float; float32 out, edge pixels repeat.

    Args:
        x: The images.
        maps: (n, 2, 3). Pixel (row, column) of the result, counted from the image centre, is taken from
            `map @ (row, column, 1)` of the source, counted likewise. The map [[1, 0, 0], [0, 1, 0]] returns the
            image bit for bit.
    """
    out = np.empty(x.shape, np.float32)
    step = max(1, CHUNK // (x.shape[1] * x.shape[2]))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        out[part] = _warp_chunk(x[part], maps[part])
    return out


def _warp_chunk(x: np.ndarray, maps: np.ndarray) -> np.ndarray:
    n, height, width, channels = x.shape
    rows, columns = _sources(maps[:, 0], height - 1, (height, width)), _sources(maps[:, 1], width - 1, (height, width))
    top, left = rows.astype(np.intp), columns.astype(np.intp)  # truncation is floor: nothing is negative
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    # One more row and column, so that the neighbour below and to the right always exists; its weight is 0 there.
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge").astype(np.float32)
    line = width + 1
    index = (np.arange(n)[:, None, None] * (height + 1) + top) * line + left
    flat = padded.reshape(-1, channels)
    upper = _between(flat, index, right)
    lower = _between(flat[line:], index, right)
    lower -= upper
    lower *= down
    upper += lower
    return upper


def _sources(row: np.ndarray, last: int, size: tuple[int, int]) -> np.ndarray:
    """One source coordinate of every pixel, (n, h, w), float32, held inside 0..last. `row` is (n, 3)."""
    row = row.astype(np.float32)
    # Counted from the centre; halves are exact in float32, so the identity stays exact.
    i, j = (np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2) for side in size)
    start = row[:, 0, None] * i + (row[:, 2, None] + np.float32(last / 2))
    coordinate = start[:, :, None] + (row[:, 1, None] * j)[:, None, :]
    return np.clip(coordinate, 0, last, out=coordinate)


def _between(flat: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`flat[index]` moved the share `weight` of the way towards its right neighbour."""
    near = flat.take(index, axis=0, mode="clip")  # "clip" spares NumPy a buffered copy; no index is outside
    far = flat[1:].take(index, axis=0, mode="clip")
    far -= near
    far *= weight
    near += far
    return near
