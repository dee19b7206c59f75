"""Where in a model tokens see each other, and what comes in there."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from .. import checks
from ..mixers import MIXERS
from ..mixers.maps import MapPart
from ..parts import ClassAttentionPool, Prefix, Residual, Tokens

# The first of these that a mixer has is by how much its keys' grid is smaller than that of its queries.
STRIDES = ("kv_stride", "kv_reduction")


@dataclasses.dataclass(frozen=True)
class Place:
    """A layer in which tokens see each other.

    Args:
        name: that of the layer, with a number behind a slash where it holds several such blocks.
        layer: of the model.
        mixer: the layer in it that mixes the tokens.
        front: tokens in front of the grid.
        grid: `(rows, columns)` of the others, `None` where the model has none.
        block: of a pool with class attention, which of its blocks.
    """

    name: str
    layer: keras.layers.Layer
    mixer: keras.layers.Layer
    front: int
    grid: tuple[int, int] | None
    block: int | None = None

    @property
    def inputs(self) -> list:
        """The layer's inputs in the model."""
        return keras.tree.flatten(self.layer.input)

    @property
    def tokens(self) -> int:
        """How many tokens come in; of a class token that reads them, those that it reads."""
        return self.inputs[0].shape[1]

    @property
    def key_grid(self) -> tuple[int, int] | None:
        """The grid of the keys."""
        step = next((getattr(self.mixer, name) for name in STRIDES if hasattr(self.mixer, name)), 1)
        return None if self.grid is None else tuple(-(-side // step) for side in self.grid)

    def parts(self, *values: Any) -> list[MapPart]:
        """What the map is made of, where `values` are those of the inputs."""
        given = [keras.ops.convert_to_tensor(np.asarray(one, "float32")) for one in values]
        masks = [keras.backend.standardize_dtype(tensor.dtype) == "bool" for tensor in self.inputs]
        seen = {"mask": mask for mask, yes in zip(given, masks) if yes}
        x, *more = (one for one, yes in zip(given, masks) if not yes)
        with without_gradients():
            if self.block is not None:
                return self.layer.map_parts(x, self.block, **seen)
            if not isinstance(self.layer, Residual):
                return self.mixer.map_parts(x, *more, **seen)
            entering = self.layer.entering(x)
            if self._shares_projection:
                return self.mixer.map_parts(entering, projection=more[0], **seen)
            return self.mixer.map_parts(entering, *more, **seen)

    @property
    def _shares_projection(self) -> bool:
        return getattr(getattr(self.mixer, "kernel", None), "share", None) == "layer"


def places(model: keras.Model) -> list[Place]:
    """All of a model's, from the images on.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: it has none, or more than one input.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model. Received: model={type(model).__name__}.")
    found, where = [], grids(model)
    for layer in model.layers:
        front, grid = where[layer.name]
        inner = layer.inner if isinstance(layer, Residual) else layer
        if isinstance(layer, ClassAttentionPool):
            found += [Place(f"{layer.name}/{i}", layer, one.attention, 1, grid, i) for i, one in enumerate(layer.blocks)]
        elif isinstance(inner, tuple(MIXERS.values())) or hasattr(inner, "map_parts"):
            found.append(Place(layer.name, layer, inner, front, grid))
    inputs = getattr(model, "inputs", None) or []
    if not found or len(inputs) != 1:
        raise ValueError(
            "model must be a functional model of one input with attention layers of this package among its own. "
            f"Received: model={model.name!r}, {len(found)} such layers, {len(inputs)} inputs."
        )
    return found


def grids(model: keras.Model) -> dict[str, tuple[int, tuple[int, int] | None]]:
    """By the name of each layer, how many tokens are in front behind it, and `(rows, columns)` of the others."""
    front, grid, found = 0, None, {}
    for layer in model.layers:
        if isinstance(layer, Tokens):
            grid = tuple(layer.input.shape[1:3])
        elif isinstance(layer, Prefix):
            front += layer.count
        elif hasattr(layer, "out_grid"):
            grid = tuple(layer.out_grid)
        found[layer.name] = front, grid
    return found


def place_of(model: keras.Model, layer: int | str) -> Place:
    """The one of that number, from the end where it is negative, or of that layer's name, the last one of several.

    Raises:
        TypeError, ValueError: there is none, or it has no attention; as `places`.
    """
    found = places(model)
    if isinstance(layer, str):
        named = [place for place in found if layer in (place.name, place.layer.name)]
        if not named:
            names = [place.name for place in found]
            raise ValueError(f"`layer` must be a block's number or name. Received: layer={layer!r}.{checks.near(layer, names)}")
        place = named[-1]
    else:
        place = found[checks.integer("layer", layer, -len(found), len(found) - 1)]
    if not hasattr(place.mixer, "map_parts"):
        kind = type(place.mixer).__name__
        raise ValueError(
            f"`layer` must have attention. Received: layer={layer!r}, whose {kind} mixes tokens without any; "
            "`features` gives what leaves it."
        )
    return place


def check_images(model: keras.Model, images: Any, batch_size: int) -> Any:
    """`images` as an array of the shape that the model takes."""
    checks.integer("batch_size", batch_size)
    images, shape = np.asarray(images), tuple(model.inputs[0].shape)
    fits = images.ndim == len(shape) and all(want in (None, side) for want, side in zip(shape[1:], images.shape[1:]))
    if not fits or not len(images):
        wanted = ", ".join(["images", *("any" if side is None else str(side) for side in shape[1:])])
        raise ValueError(f"`images` must be ({wanted}), raw, as the model takes them. Received: shape {images.shape}.")
    return images


def values(model: keras.Model, tensors: Any, images: Any, batch_size: int) -> Iterator[Any]:
    """The values of a structure of the model's tensors in inference, batch after batch, as NumPy arrays."""
    inner = keras.Model(model.inputs[0], keras.tree.flatten(tensors))
    jax = keras.config.backend() == "jax"  # a graph is worth its making there; elsewhere these few passes are quicker without
    inner.compile(run_eagerly=not jax, jit_compile=jax)
    for start in range(0, len(images), batch_size):
        found = inner.predict_on_batch(np.asarray(images[start : start + batch_size], "float32"))
        yield keras.tree.pack_sequence_as(tensors, keras.tree.flatten(found))  # a list of one comes back bare


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Torch keeps what a gradient would need unless it is told; nothing to do for the others."""
    if keras.config.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield
