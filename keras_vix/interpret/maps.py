"""Attention maps of every kernel and mixer, through the factors that they are the product of."""

import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from .. import checks
from ..mixers.maps import MapPart
from .places import Place, check_images, place_of, values, without_gradients

KINDS = ("row", "factors", "full")
LIMIT = 2**26  # numbers of a whole map, 256 MiB
CHUNK = 2**24  # numbers of an exact map that are made at a time
FRONT = 4  # tokens in front at most


def attention_maps(
    model: keras.Model,
    images: Any,
    layer: int | str = -1,
    kind: str = "row",
    query: int | str | None = None,
    limit: int = LIMIT,
    batch_size: int = 16,
) -> Any:
    """What the tokens of one block look at: the matrix that the values of each head are multiplied by, in inference.

    Every kernel here is linear in the values, so each has such a matrix, the approximations too: their implied map. That of exact
    attention, random features and windows has rows that sum to 1; those of Linformer and Nyströmformer need not, and may
    hold negative numbers; those of binary attention hold 0 and a learned step. Everything is float32 under every policy.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> images = keras_vix.data.load("digits").test.x[:3]
    >>> keras_vix.attention_maps(model, images).shape
    (3, 2, 65)
    >>> keras_vix.attention_maps(model, images, layer=0, kind="full").shape
    (3, 2, 65, 65)

    Args:
        model: of a preset, trained or not, or a functional model with attention layers of this package.
        images: `(images, height, width, channels)`, raw, as the model takes them.
        layer: a block by its number, from the end where it is negative, or by its layer's name; the blocks of a pool with class
            attention come last, `"pool/0"`, `"pool/1"`.
        kind: `row`: the map's row of one token, through the factors, without the whole map. `factors`: the matrices whose
            product the map is. `full`: the whole map.
        query: of `row`, the number of the token, from the end where it is negative, or `"mean"`, the mean over all tokens.
            Default: the class token, number 0, where the model has tokens in front; otherwise `"mean"`.
        limit: numbers that a whole map may hold, all images and heads together; also for the factor of exact attention, which
            is the map itself.
        batch_size: images at a time.

    Returns:
        `row`: `(images, heads, keys)`. `full`: `(images, heads, tokens, keys)`. Keys are the tokens, those in front first (see
        `on_grid`); with a `kv_stride` or `kv_reduction` those of a smaller grid; of class attention the class token, where it
        sees itself, and the others.

        `factors`: arrays by name, in the order of their product, `(images, heads, ..., ...)`:
        exact kernels `weights`; Performer `query` (features over their denominators) and `key`; Linformer `weights` and
        `projection`; Nyströmformer `query`, `inverse` and `key`. In windows they are `(images, windows, heads, ..., ...)`, and
        `queries` and `keys`, `(windows, tokens)`, say which token each one is, -1 for padding. Where a map is a sum, of
        windows at several rates, with their gates in the first factor, of tokens in front, or of the convolution of the values
        beside Nyströmformer's product, the names have the summand's in front, `rate2/weights`.

    Raises:
        TypeError: no model, or a kernel without `factors`.
        ValueError: no such layer, or one without attention; images that do not fit; a map that is larger than `limit`.
    """
    checks.choice("kind", kind, KINDS)
    checks.integer("limit", limit)
    place = place_of(model, layer)
    images = check_images(model, images, batch_size)
    number = query_of(place, query)
    answers = []
    for given in values(model, place.inputs, images, batch_size):
        parts = place.parts(*given)
        check_size(parts, kind, len(images), limit)
        if kind == "row":
            answers.append({"": row(parts, len(given[0]), number)})
        else:
            answers.append({"": whole(parts)} if kind == "full" else factors(parts))
    found = {
        name: np.concatenate([one[name] for one in answers]) if array.dtype.kind == "f" else array
        for name, array in answers[0].items()
    }
    return found if kind == "factors" else found[""]


def query_of(place: Place, query: int | str | None) -> int | None:
    """The number of the token whose row is wanted, or `None` for the mean."""
    if query is None:
        query = 0 if place.front else "mean"
    if query == "mean":
        return None
    tokens = 1 if place.block is not None else place.tokens
    if isinstance(query, str):
        raise ValueError(f"`query` must be a token's number, \"mean\" or None. Received: query={query!r}.")
    return checks.integer("query", query, -tokens, tokens - 1) % tokens


def check_size(parts: list[MapPart], kind: str, images: int, limit: int) -> None:
    """Refuse a map, or an exact kernel's factor, of more than `limit` numbers."""
    heads, tokens, keys = parts[0].shape
    size = images * heads * tokens * keys
    if size <= limit or kind == "row" or (kind == "factors" and not any(part.dense for part in parts)):
        return
    others = 'kind="row"' if any(part.dense for part in parts) else 'kind="row" or kind="factors"'
    raise ValueError(
        f"A map of at most limit={limit:,} numbers can be had whole. Received: kind={kind!r}, {images} images x {heads} heads x "
        f"{tokens} tokens x {keys} keys = {size:,}; use {others}, which stays small, fewer images, or a larger limit."
    )


def row(parts: list[MapPart], batch: int, query: int | None) -> np.ndarray:
    """The map's row of one token, or their mean: `(batch, heads, keys)`."""
    tokens = parts[0].shape[1]
    share = np.full((batch, 1, tokens), 1 / tokens, "float32")
    if query is not None:
        share = np.zeros_like(share)
        share[..., query] = 1.0
    return weigh(parts, share)


def weigh(parts: list[MapPart], share: np.ndarray) -> np.ndarray:
    """Sums of the map's rows, each times its token's share: `(batch, heads or 1, tokens) -> (batch, heads, keys)`."""
    return sum(_weigh(part, share) for part in parts)


def _weigh(part: MapPart, share):
    if part.queries is None:
        return sum(product([share[:, :, None, rows], *evaluate(part, rows).values()])[:, :, 0] for rows in slices(part, share))
    given = np.moveaxis(padded(share)[..., part.queries], 1, 2)[..., None, :]  # (batch, groups, heads or 1, 1, n)
    seen = product([given, *evaluate(part).values()])[..., 0, :]  # (batch, groups, heads, keys)
    total = np.zeros((part.shape[2] + 1, len(seen), seen.shape[2]), "float32")  # what falls on padding goes to the last one
    np.add.at(total, part.keys, seen.transpose(1, 3, 0, 2))
    return np.moveaxis(total[:-1], 0, -1)


def slices(part: MapPart, share: np.ndarray) -> Iterator[slice]:
    """The queries that have a share, all at once, or so many at a time that a dense map stays small."""
    used = np.flatnonzero(share.any(axis=(0, 1)))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    step = max(1, CHUNK // (len(share) * part.shape[0] * part.shape[2])) if part.dense else last - first
    for start in range(first, last, step):
        yield slice(start, min(start + step, last))


def whole(parts: list[MapPart]) -> np.ndarray:
    """The map: `(batch, heads, tokens, keys)`."""
    return sum(_whole(part) for part in parts)


def _whole(part: MapPart):
    made = product(list(evaluate(part).values()))
    if part.queries is None:
        return made
    tokens, keys = part.shape[1:]
    made = np.moveaxis(made, 1, 2)  # (batch, heads, groups, n, keys)
    total = np.zeros((*made.shape[:2], tokens + 1, keys + 1), "float32")
    total[:, :, part.queries[:, :, None], part.keys[:, None, :]] = made  # each pair of tokens is in one group at most
    return np.ascontiguousarray(total[:, :, :-1, :-1])


def factors(parts: list[MapPart]) -> dict[str, np.ndarray]:
    """The arrays of all parts by name."""
    found = {}
    for part in parts:
        lead = f"{part.name}/" if len(parts) > 1 else ""
        found |= {lead + name: array for name, array in evaluate(part).items()}
        if part.queries is not None:
            found |= {lead + "queries": part.queries, lead + "keys": part.keys}
    return found


def evaluate(part: MapPart, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """The matrices of a part as float32 arrays with all their axes, the gate in the first one."""
    with without_gradients():
        made = {name: ops.convert_to_numpy(ops.cast(one, "float32")) for name, one in part.make(rows).items()}
    first = next(iter(made))
    lead = made[first].shape[:-2]
    if part.gate is not None:
        gate = padded(ops.convert_to_numpy(ops.cast(part.gate, "float32")))[:, part.queries]  # (batch, groups, n)
        made[first] = made[first] * gate[:, :, None, :, None]
    return {name: np.broadcast_to(one, (*lead, *one.shape[-2:])) for name, one in made.items()}


def padded(x: np.ndarray) -> np.ndarray:
    """A 0 behind the last axis, where the index -1 of padding finds it."""
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)])


def product(matrices: list[np.ndarray]) -> np.ndarray:
    """Of all of them, from the left."""
    return functools.reduce(np.matmul, matrices)


def on_grid(model: keras.Model, maps: Any, layer: int | str = -1) -> np.ndarray:
    """The keys on their grid, without the tokens in front: `(..., keys) -> (..., rows, columns)`.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> rows = keras_vix.attention_maps(model, keras_vix.data.load("digits").test.x[:3])
    >>> rows.shape, keras_vix.interpret.on_grid(model, rows).shape
    ((3, 2, 65), (3, 2, 8, 8))

    Args:
        model, layer: as for `attention_maps`.
        maps: rows of it, or what `rollout` gives.

    Raises:
        ValueError: the model has no grid, or another number of tokens.
    """
    place, maps = place_of(model, layer), np.asarray(maps)
    if place.key_grid is None:
        raise ValueError(f"A model that makes tokens of a grid is needed. Received: model={model.name!r}, which has none.")
    rows, columns = place.key_grid
    front = maps.shape[-1] - rows * columns
    if not 0 <= front <= FRONT:
        raise ValueError(f"`maps` must have {rows} x {columns} keys, or a few more in front. Received: shape {maps.shape}.")
    return maps[..., front:].reshape(*maps.shape[:-1], rows, columns)
