"""Weights that depend on the number of tokens or a window's size, resampled: positions, offsets, projections, heads."""

import math

import numpy as np

CUBIC = -0.75  # the slope of the cubic kernel at 1 with which published models were fine-tuned (that of PyTorch's `bicubic`)


def resize_positions(table, old, new, prefix: int | None = None, kept: int | None = None) -> np.ndarray:
    """A position table for another grid: bicubic on the grid, rows of the tokens in front untouched.

    Args:
        table: `(prefix + rows * columns, dim)`.
        old, new: `(rows, columns)` of the grids, oblong ones too.
        prefix: rows in front; default what the grid leaves over.
        kept: of these, how many the result has, the first; default all.

    Returns:
        `(kept + rows * columns, dim)`, float32.

    Raises:
        ValueError: the table does not have the rows of the old grid.

    Source: Touvron et al. 2020, arXiv:2012.12877, section 3 (bicubic, which keeps the norm of the vectors where bilinear does
    not); the coordinates are those of pixel centres, the cubic kernel that of `torch.nn.functional.interpolate`.
    """
    table = np.asarray(table, "float32")
    front = len(table) - math.prod(old) if prefix is None else prefix
    if front < 0 or len(table) != front + math.prod(old):
        received = f"{len(table)} rows, grid={tuple(old)}, prefix={prefix}"
        raise ValueError(f"A position table has a row for each token. Received: {received}.")
    grid = resize_grid(table[front:].reshape(*old, -1), new)
    return np.concatenate([table[: front if kept is None else kept], grid.reshape(math.prod(new), -1)])


def resize_offsets(table, old, new) -> np.ndarray:
    """A table of learned biases for another window: `((2 h - 1) (2 w - 1), heads)` of offsets, row by row, bicubic.

    Args:
        table: for the old window.
        old, new: `(rows, columns)` of the windows.

    Source: Liu et al. 2021, arXiv:2103.14030, section 4.1 (bicubic interpolation to another window size).
    """
    old, new = (tuple(2 * side - 1 for side in window) for window in (old, new))
    table = np.asarray(table, "float32")
    return resize_grid(table.reshape(*old, -1), new).reshape(math.prod(new), -1)


def resize_projection(projection, old, new) -> np.ndarray:
    """A Linformer projection for another grid: `(..., m, prefix + rows * columns)`, columns of the tokens in front untouched.

    The new tokens count as if averaged over the cells of the old grid, by shares of area: each row keeps the sum of its weights
    exactly, and one that takes the mean of a region still does.
    """
    projection = np.asarray(projection, "float32")
    front = projection.shape[-1] - math.prod(old)
    if front < 0:
        received = f"{projection.shape[-1]} columns, grid={tuple(old)}"
        raise ValueError(f"A projection has a column for each token. Received: {received}.")
    rows = projection[..., front:].reshape(-1, *old)
    moved = np.einsum("xrc,ri,cj->xij", rows, shares(old[0], new[0]), shares(old[1], new[1]))
    moved = moved.reshape(*projection.shape[:-1], -1).astype("float32")
    return np.concatenate([projection[..., :front], moved], axis=-1)


def resize_side_by_side(kernel, old, new, prefix: int = 0) -> np.ndarray | None:
    """The matrix behind tokens side by side, for another grid: `((prefix + rows * columns) * dim, units)`; `None` if it is of no
    such grid.

    By shares of area as `resize_projection`: a map that is the same everywhere gives the same values as before.
    """
    kernel = np.asarray(kernel, "float32")
    rows, units = kernel.shape
    tokens = prefix + math.prod(old)
    if rows % tokens:
        return None
    by_token = np.moveaxis(kernel.reshape(tokens, -1, units), 0, -1)
    return np.moveaxis(resize_projection(by_token, old, new), -1, 0).reshape(-1, units)


def shares(old: int, new: int) -> np.ndarray:
    """Which share of each of `old` cells in a row lies in each of `new` ones over the same length: `(old, new)`."""
    low, high = np.arange(old)[:, None] / old, np.arange(1, old + 1)[:, None] / old
    return np.clip(np.minimum(high, np.arange(1, new + 1) / new) - np.maximum(low, np.arange(new) / new), 0, None) * old


def resize_grid(grid: np.ndarray, new) -> np.ndarray:
    """Bicubic resampling of `(rows, columns, channels)` to other rows and columns; the same sizes are the same bits."""
    for axis, size in enumerate(new):
        if grid.shape[axis] != size:
            grid = np.moveaxis(np.tensordot(weights(grid.shape[axis], size), grid, (1, axis)), 0, axis)
    return grid.astype("float32")


def weights(old: int, new: int) -> np.ndarray:
    """What each of `new` places takes of each of `old` ones, `(new, old)`; beyond the border the last place is repeated."""
    found = np.zeros((new, old))
    for place in range(new):
        centre = (place + 0.5) * old / new - 0.5
        first = math.floor(centre)
        for tap in range(first - 1, first + 3):
            found[place, min(max(tap, 0), old - 1)] += cubic(abs(centre - tap))
    return found


def cubic(distance: float, a: float = CUBIC) -> float:
    """The cubic convolution kernel of Keys 1981 at a distance."""
    if distance <= 1:
        return ((a + 2) * distance - (a + 3)) * distance**2 + 1
    return a * (((distance - 5) * distance + 8) * distance - 4) if distance < 2 else 0.0


def grid_of(tokens: int, like) -> tuple[int, int] | None:
    """The grid of so many tokens in the shape of another, `(7, 14)` of 98 like `(14, 28)`; `None` if there is none."""
    rows = round(math.sqrt(tokens * like[0] / like[1]))
    if rows < 1 or tokens % rows or rows * like[1] != tokens // rows * like[0]:
        return None
    return rows, tokens // rows
