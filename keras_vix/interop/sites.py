"""Where the tokens of each layer stand, read off a model's graph, and the windows of those that have some."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from ..base import Layer, arguments
from ..mixers import AtrousAttention, LocalWindowAttention2D
from ..parts import FlattenPool, Prefix
from .transfer import FRONT


class Place(NamedTuple):
    """Where tokens stand: `(rows, columns)` of those that have a place, and how many others are in front of them."""

    grid: tuple[int, int]
    prefix: int


def sites(model: keras.Model) -> dict[int, Place]:
    """By the id of each layer of a graph, those of models in it too, where the first tokens that it is given stand."""
    found: dict[int, Place] = {}
    walk(model, {}, found)
    return found


def walk(model: keras.Model, places: dict[int, Place | None], found: dict[int, Place]) -> None:
    """Follow the tokens through a graph; `places` are known by the id of a tensor."""
    graph = getattr(model, "_functional", None) or model  # a Sequential holds its graph
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.arguments.keras_tensors:  # an input, whose place is known from outside
                continue
            layer, inputs = node.operation, [(x, places.get(id(x))) for x in node.arguments.keras_tensors]
            site = next((place for _, place in inputs if place), None)
            if isinstance(layer, keras.Model) and is_graph(layer):
                places.update({id(inner): place for inner, (_, place) in zip(layer.inputs, inputs)})
                walk(layer, places, found)
                outputs = [places.get(id(x)) for x in layer.outputs]
            else:
                outputs = [where(layer, inputs, y) for y in node.outputs]
                found.update({} if site is None else {id(layer): site})
            places.update({id(y): place for y, place in zip(node.outputs, outputs)})


def is_graph(model: keras.Model) -> bool:
    """Whether a model is a graph of layers, functional or a built stack of them."""
    return hasattr(model, "operations") or isinstance(model, keras.Sequential) and hasattr(model, "inputs")


def where(layer, inputs, out) -> Place | None:
    """Where the tokens of a layer's output stand; `None` if it has none, or it cannot be told.

    Args:
        layer: what was called.
        inputs: `(tensor, place)` of each of its inputs.
        out: the output.
    """
    if isinstance(layer, FlattenPool):
        return inputs[0][1]
    if len(out.shape) != 3 or out.shape[1] is None:
        return None
    tokens = out.shape[1]
    if hasattr(layer, "out_grid"):
        return Place(tuple(layer.out_grid), tokens - math.prod(layer.out_grid))
    for x, place in inputs:
        if len(x.shape) == 4 and None not in x.shape[1:3] and x.shape[1] * x.shape[2] == tokens:
            return Place(tuple(x.shape[1:3]), 0)
        few = -1 if place is None else tokens - math.prod(place.grid)
        if few == 0 or few > 0 and (few <= FRONT or few == place.prefix or isinstance(layer, Prefix)):
            return Place(place.grid, few)
    return None


def windows(layer: Any) -> Iterator[tuple[Any, tuple[int, int]]]:
    """The tables of window biases in a layer, and those in it, each with its window `(rows, columns)`."""
    if isinstance(layer, LocalWindowAttention2D) and layer.relative_bias and layer.mode == "block":
        yield layer.bias, layer.window
    elif isinstance(layer, AtrousAttention) and layer.relative_bias:
        yield from ((table, part.window) for table, part in zip(layer.biases, layer.partitions))
    elif isinstance(layer, Layer):
        for name in arguments(type(layer)):
            yield from windows(getattr(layer, name, None))
