"""A model made anew, layer by layer, of the layers' own configurations: with other layers in some places, or for other images."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from ..base import Layer, arguments
from ..kernels import Linformer
from ..mixers import Attention
from ..mixers.attention import takes
from ..parts import Residual, TokenProjection
from .resample import grid_of
from .sites import Place, is_graph, where


class Rebuild:
    """One making of a model out of another, which stays as it is; no weight is copied.

    Layers keep their names, policies and arguments. Arguments `grid`, also those of layers inside others, follow the number of
    tokens; everything else that depends on a shape is built for the new one.

    Args:
        changes: by `id` of a layer, a function `(config, place, tokens)` that makes another layer for its place; `config` is the
            layer's own, its grid and the layers in it already new, `place` where its tokens stand, or `None` if that cannot be
            told, `tokens` their number, or `None`.

    After `model`, `made` holds each layer or operation of the old graphs with its successor.
    """

    def __init__(self, changes: Mapping[int, Callable[..., keras.layers.Layer]]):
        self.changes = changes
        self.made: dict[int, tuple[Any, Any]] = {}
        self.places: dict[int, tuple[Any, Place | None]] = {}  # tensors are kept, or another might get their id
        self.projections: dict[tuple, Any] = {}
        self.taken: set[str] = set()

    def model(self, model: keras.Model, inputs) -> keras.Model:
        """The new model, not compiled, on new `inputs`, a flat list."""
        if isinstance(model, keras.Sequential):
            return self._stack(model, inputs[0])
        outside = self.projections, self.taken
        self.projections, self.taken = {}, {layer.name for layer in model.layers}
        bare = keras.Model(model.input, model.output, name=model.name)  # not compiled, and so its clone is not
        packed = keras.tree.pack_sequence_as(model.input, inputs)
        made = keras.models.clone_model(bare, packed, clone_function=lambda layer: layer, call_function=self._call)
        self.projections, self.taken = outside
        return made

    def _stack(self, model, x):
        made = keras.Sequential([x], name=model.name)
        place = self._place([x])
        for layer in model.layers:
            made.add(self._new(layer, [x]))
            y = made.outputs[0]
            place = where(made.layers[-1], [(x, place)], y)
            self.places[id(y)], x = (y, place), y
        return made

    def _call(self, layer, *args, **kwargs):
        """What the new graph has in the place of `layer(*args, **kwargs)`."""
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        new = self._new(layer, tensors)
        out = new(*args, **self._projected(new, args, kwargs))
        outputs = keras.tree.flatten(out)
        if isinstance(new, keras.Model):
            found = [self._place([x]) for x in new.outputs]
        else:
            found = [where(new, [(x, self._place([x])) for x in tensors], y) for y in outputs]
        self.places.update({id(y): (y, place) for y, place in zip(outputs, found)})
        return out

    def _new(self, layer, tensors):
        """The successor of a layer or an operation, one however often it is called."""
        if id(layer) not in self.made:
            self.made[id(layer)] = layer, self._make(layer, tensors)
        return self.made[id(layer)][1]

    def _make(self, layer, tensors):
        if isinstance(layer, keras.Model) and is_graph(layer):
            inputs = [again(old, x.shape) for old, x in zip(layer.inputs, tensors)]
            self.places.update({id(new): (new, self._place([x])) for new, x in zip(inputs, tensors)})
            return self.model(layer, inputs)
        if not isinstance(layer, keras.layers.Layer):
            return type(layer).from_config(layer.get_config())
        tokens = next((x.shape[1] for x in tensors if len(x.shape) == 3), None)
        return self._layer(layer, self._place(tensors), tokens)

    def _layer(self, layer, place, tokens):
        config = layer.get_config()
        if isinstance(layer, Layer):
            for name in arguments(type(layer)):
                inner = getattr(layer, name, None)
                if isinstance(inner, keras.layers.Layer):
                    config[name] = self._layer(inner, place, tokens)
            if tokens is not None and config.get("grid") is not None:
                config["grid"] = regrid(layer, config, place, tokens)
        change = self.changes.get(id(layer))
        return type(layer).from_config(config) if change is None else change(config, place, tokens)

    def _place(self, tensors) -> Place | None:
        """Where the first of these tensors that holds tokens has them."""
        return next((self.places[id(x)][1] for x in tensors if self.places.get(id(x), (x, None))[1]), None)

    def _projected(self, new, args, kwargs):
        """The keywords of a call with the projection that layers share, if the new layer takes one, and without otherwise."""
        mixer = new.inner if isinstance(new, Residual) else new
        if not isinstance(mixer, Attention):
            return kwargs
        given = kwargs.get("projection")
        rest = {name: value for name, value in kwargs.items() if name != "projection"}
        kernel = mixer.kernel
        if not isinstance(kernel, Linformer):
            return kwargs if takes(kernel, "projection") else rest
        if kernel.share != "layer":
            return rest
        keys = [x for x in args if isinstance(x, keras.KerasTensor) and len(x.shape) == 3][-1]
        if given is None or tuple(given.shape) != (kernel.m, keys.shape[1]):
            sizes = kernel.m, keys.shape[1], kernel.start
            if sizes not in self.projections:
                name = next(word for word in names("projection") if word not in self.taken)
                self.taken.add(name)
                layer = TokenProjection(kernel.m, kernel.start, name=name, dtype=mixer.dtype_policy)
                self.projections[sizes] = layer(keys)
            given = self.projections[sizes]
        return {**rest, "projection": given}


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a graph in the order of its calls, those of models in it too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model) and is_graph(layer):
            yield from leaves(layer)
        else:
            yield layer


def again(tensor, shape):
    """A new input like another, of a shape that begins with the batch."""
    return keras.Input(batch_shape=tuple(shape), dtype=tensor.dtype, name=tensor._keras_history.operation.name)


def regrid(layer, config, place: Place | None, tokens: int) -> tuple[int, int]:
    """The grid of a layer for another number of tokens: that of its input, or one of the old shape.

    Raises:
        ValueError: neither is there.
    """
    grid, prefix = tuple(config["grid"]), config.get("prefix") or 0
    if math.prod(grid) + prefix == tokens:
        return grid
    found = place.grid if place and math.prod(place.grid) + prefix == tokens else grid_of(max(tokens - prefix, 1), grid)
    if found is None:
        raise ValueError(
            f"{layer.name!r} needs the grid of its tokens. Received: tokens={tokens}, prefix={prefix}, of no grid like {grid}; "
            "put a Tokens layer between the map and its tokens."
        )
    return tuple(found)


def names(word: str) -> Iterator[str]:
    """`word`, `word_1`, `word_2` and so on."""
    yield word
    number = 0
    while True:
        number += 1
        yield f"{word}_{number}"
