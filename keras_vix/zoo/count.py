"""What a model costs, counted and not profiled: parameters and multiply-adds.

TensorFlow's own profiler counts 0 for an einsum, which would flatter every model that uses one.
"""

import math

import keras

from ..base import Layer
from ..parts import Residual

COUNTINGS = ("trainable", "tables", "modules", "declared")


def trainable_parameters(model: keras.Model) -> int:
    """Scalars that training moves."""
    return sum(math.prod(w.shape) for w in model.trainable_weights)


def published_parameters(model: keras.Model, counting: str) -> int:
    """The source's own way of counting.

    `trainable`: all of them. `tables`: with constants, such as the index and mask tables of windows and sines of positions.
    `declared`: with weights that the source makes and never uses. `modules`: kernels, biases and factors of
    dense layers, convolutions, layer and batch normalisations, without what stands alone: tokens in front, tables of positions,
    Linformer's projections, the factors of a channel normalisation (a summary that visits modules does not see them).
    """
    tables = sum(layer.constants() for layer in _own(model)) if counting == "tables" else 0
    idle = sum(layer.declared() for layer in _own(model)) if counting == "declared" else 0
    alone = [w for layer in model._flatten_layers() if isinstance(layer, Layer) for w in layer.stand_alone()]
    unseen = sum(math.prod(w.shape) for w in alone) if counting == "modules" else 0
    return trainable_parameters(model) + tables + idle - unseen


def multiply_adds(model: keras.Model) -> int:
    """Multiply-add operations of one image through the model: products only, neither sums nor element-wise functions."""
    return sum(layer.multiply_adds(_input_shape(layer)) for layer in _own(model))


def tokens(model: keras.Model) -> int:
    """Tokens that the first block sees, prefix included."""
    return next(_input_shape(layer)[0] for layer in _own(model) if isinstance(layer, Residual))


def _own(model):
    return [layer for layer in model.layers if isinstance(layer, Layer)]


def _input_shape(layer) -> tuple:
    return tuple(keras.tree.flatten(layer.input)[0].shape[1:])
