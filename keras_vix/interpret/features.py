"""Intermediate feature maps."""

import numbers
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from .. import checks
from .maps import FRONT
from .places import Place, check_images, grids, places, values

STAGE = re.compile(r"stage(\d+)_")
WORDS = ("stages", "all")


def features(
    model: keras.Model,
    images: Any,
    at: int | str | Sequence[int | str] = "stages",
    batch_size: int = 32,
    prefix: bool = False,
) -> Any:
    """What the images have become at some layers, in inference: feature maps by name.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> images = keras_vix.data.load("digits").test.x[:3]
    >>> {name: found.shape for name, found in keras_vix.features(model, images, at="all").items()}
    {'stage0_block0': (3, 8, 8, 16), 'stage0_block1': (3, 8, 8, 16)}

    Args:
        model: of a preset, trained or not, or a functional model with attention layers of this package.
        images: `(images, height, width, channels)`, raw, as the model takes them.
        at: the number of a block, from the end where it is negative, for what leaves it, its feed-forward part included; the name
            of any layer of the model; a list of these; `"stages"`, what leaves each stage; `"all"`, what leaves each block.
            No final normalisation is in it; `at="norm"` is behind that.
        batch_size: images at a time; only the results of all of them are kept.
        prefix: whether to return the tokens in front as well.

    Returns:
        Arrays in float32 by name: `(images, rows, columns, dim)` of tokens on a grid, whose tokens in front are left out, and of
        maps; whatever else a layer gives, such as the vectors of a pool, as it is. With `prefix` a pair: these, and by the
        same names `(images, tokens in front, dim)`.

    Raises:
        TypeError: no model.
        ValueError: no such block or layer, or images that do not fit.
    """
    found = places(model)
    images = check_images(model, images, batch_size)
    if not isinstance(prefix, bool):
        raise TypeError(f"`prefix` must be True or False. Received: prefix={prefix!r}.")
    layers = chosen(model, found, at)
    where = grids(model)
    parts: list[list[np.ndarray]] = [[] for _ in layers]
    for batch in values(model, [layer.output for layer in layers.values()], images, batch_size):
        for kept, one in zip(parts, batch):
            kept.append(np.asarray(one, "float32"))
    maps, front = {}, {}
    for (name, layer), kept in zip(layers.items(), parts):
        maps[name], front[name] = apart(np.concatenate(kept), where[layer.name][1])
    return (maps, front) if prefix else maps


def chosen(model: keras.Model, found: list[Place], at: Any) -> dict[str, keras.layers.Layer]:
    """The layers by the names under which they come back."""
    ends, stages = block_ends(model, found), stage_ends(model)
    if isinstance(at, str) and at == "all":
        return ends
    if isinstance(at, str) and at == "stages":
        return stages or dict(list(ends.items())[-1:])
    layers = {}
    for one in [at] if isinstance(at, (str, numbers.Integral)) else at:
        if isinstance(one, str):
            layers[one] = layer_of(model, one, {**ends, **stages})
        else:
            name = list(ends)[checks.integer("at", one, -len(ends), len(ends) - 1)]
            layers[name] = ends[name]
    if not layers:
        raise ValueError(f"`at` must name one layer at least. Received: at={at!r}.")
    return layers


def block_ends(model: keras.Model, found: list[Place]) -> dict[str, keras.layers.Layer]:
    """The last layer of each block: the feed-forward part behind its mixer, where there is one. Class attention reads only."""
    by_name = {layer.name: layer for layer in model.layers}
    ends = {}
    for place in found:
        if place.block is None:
            name = place.name.removesuffix("_mixer")
            ends[name] = by_name.get(f"{name}_ffn", place.layer)
    return ends


def stage_ends(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The last layer of each stage."""
    return {f"stage{match[1]}": layer for layer in model.layers if (match := STAGE.match(layer.name))}


def layer_of(model: keras.Model, name: str, ends: dict) -> keras.layers.Layer:
    """The layer of that name, or the last one of the block or stage of that name."""
    layers = {layer.name: layer for layer in model.layers} | ends
    if name not in layers:
        known = [*WORDS, *layers]
        near = checks.near(name, known)
        raise ValueError(f"`at` must be a block, a layer, \"stages\" or \"all\". Received: at={name!r}.{near}")
    return layers[name]


def apart(x: np.ndarray, grid: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    """Tokens on their grid, and those in front; anything else as it is, and nothing."""
    front = -1 if x.ndim != 3 or grid is None else x.shape[1] - grid[0] * grid[1]
    if not 0 <= front <= FRONT:
        return x, x.reshape(len(x), -1)[:, :0]
    return x[:, front:].reshape(len(x), *grid, -1), x[:, :front]
