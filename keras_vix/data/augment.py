"""Random changes of training images in NumPy: one warp for a whole batch, and a kit of tools for what layers do too."""

import numpy as np

from .operations import GREY, operate
from .policies import Policy
from .regions import crops, erase
from .schemes import SLOTS, draw

CHUNK = 2**15  # pixels warped at once: the working set stays in the processor's cache


def apply(x: np.ndarray, policy: Policy, rng: np.random.Generator, mean=0.5, std=0.25) -> np.ndarray:
    """Images (n, h, w, c), each changed at random: a new array of the same shape, float32, on the same scale.

    `mean` and `std` of the data's channels, on the 0..1 scale, colour what is erased and what `deit` moves in. Mixing is apart.
    """
    if policy.moves:
        x = move(x, *draw_moves(policy, rng, x.shape), policy.black)
    if policy.warps:
        x = warp(x, draw_warps(policy, rng, x.shape))
    x = x.astype(np.float32)
    kit = NumpyKit(rng)
    if policy.crop:
        x = warp(x, crops(kit, len(x), x.shape[1:3], policy.crop))
    return disturb(kit, x, policy, np.asarray(mean, np.float32), np.asarray(std, np.float32))


def disturb(kit, x, policy: Policy, mean, std):
    """Operations and erasing, of arrays or tensors."""
    if policy.operations != "none":
        codes, amounts = draw(kit, policy.operations, policy.magnitude, kit.xp.shape(x)[0])
        fill = 255 * mean if policy.operations == "deit" else GREY
        for slot in range(SLOTS):
            x = operate(kit, x, codes[:, slot], amounts[:, slot], fill)
    return erase(kit, x, policy, mean, std) if policy.erase else x


def draw_moves(
    policy: Policy, rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(flips, bool; rows and columns to move by, whole pixels), each of shape (n,)."""
    n, height, width, _ = shape
    up, left = round(policy.jump * height), round(policy.jump * width)
    flips = rng.random(n) < 0.5 * policy.flip
    return flips, rng.integers(-up, up, n, endpoint=True), rng.integers(-left, left, n, endpoint=True)


def move(x: np.ndarray, flips: np.ndarray, down: np.ndarray, right: np.ndarray, black: bool = False) -> np.ndarray:
    """Images mirrored where `flips`, then moved by whole pixels; the dtype stays, and edge pixels repeat unless `black`."""
    n, height, width, channels = x.shape
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)  # (n, h): the row each pixel comes from
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)
    columns = np.where(flips[:, None], width - 1 - columns, columns)
    index = (np.arange(n)[:, None] * height + rows)[:, :, None] * width + columns[:, None, :]
    moved = x.reshape(-1, channels).take(index, axis=0, mode="clip")
    if black:
        outside = [np.arange(side) - by[:, None] for side, by in ((height, down), (width, right))]
        rows, columns = ((at < 0) | (at >= side) for at, side in zip(outside, (height, width)))
        moved[rows[:, :, None] | columns[:, None, :]] = 0
    return moved


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


class NumpyKit:
    """Arrays and draws of NumPy, for `keras_vix.data.batches`.

    Args:
        rng: where all draws come from.
    """

    xp = np

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def uniform(self, shape):
        """Even draws from 0 to 1, float32."""
        return self.rng.random(shape, np.float32)

    def normal(self, shape):
        """Standard normal draws, float32."""
        return self.rng.standard_normal(shape, np.float32)

    def beta(self, alpha: float):
        """One draw of Beta(alpha, alpha)."""
        return np.float32(self.rng.beta(alpha, alpha))

    def cast(self, x, dtype: str):
        """`x` with another dtype."""
        return np.asarray(x, dtype)

    def count(self, labels, size: int):
        """How often each of 0..size-1 occurs, float32."""
        return np.bincount(labels, minlength=size).astype(np.float32)

    def only(self, mask, change, x, *rows):
        """`x` with the images of `mask` changed in place by `change(self, images, *their rows)`; the others cost nothing."""
        chosen = np.flatnonzero(mask)
        if chosen.size:
            x[chosen] = change(self, x[chosen], *(row[chosen] for row in rows))
        return x

    def warp(self, x, maps):
        """Bilinear warp, edge pixels repeat: see `warp`."""
        return warp(x, maps)
