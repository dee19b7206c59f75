"""What a model costs, counted and not profiled: parameters and multiply-adds.

TensorFlow's own profiler counts 0 for an einsum, which would flatter every model that uses one.
"""

import math

import keras

from ..base import Layer
from ..parts import Residual

COUNTINGS = ("trainable", "tables", "modules", "declared", "statistics")


def trainable_parameters(model: keras.Model) -> int:
    """Scalars that training moves."""
    return sum(math.prod(w.shape) for w in model.trainable_weights)


def constant_parameters(model: keras.Model) -> int:
    """Numbers that a model holds and training by gradients does not move: random projections, running statistics."""
    return sum(math.prod(w.shape) for w in model.non_trainable_weights if keras.backend.is_float_dtype(w.dtype))


def published_parameters(model: keras.Model, counting: str) -> int:
    """The source's own way of counting.

    `trainable`: all of them. `tables`: with constants, such as the index and mask tables of windows and sines of positions.
    `declared`: with weights that the source makes and never uses. `modules`: kernels, biases and factors of
    dense layers, convolutions, layer and batch normalisations, without what stands alone: tokens in front, tables of positions,
    Linformer's projections, the factors of a channel normalisation (a summary that visits modules does not see them).
    `statistics`: all of them, and the running means and variances of batch normalisations.
    """
    tables = sum(layer.constants() for layer in _own(model)) if counting == "tables" else 0
    idle = sum(layer.declared() for layer in _own(model)) if counting == "declared" else 0
    alone = [w for layer in model._flatten_layers() if isinstance(layer, Layer) for w in layer.stand_alone()]
    unseen = sum(math.prod(w.shape) for w in alone) if counting == "modules" else 0
    running = [w for w in model.non_trainable_weights if "moving_" in w.path] if counting == "statistics" else []
    return trainable_parameters(model) + tables + idle - unseen + sum(math.prod(w.shape) for w in running)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-add operations of one image through the model: products only, neither sums nor element-wise functions."""
    return sum(layer.multiply_adds(_input_shape(layer)) for layer in _own(model))


def binary_multiply_adds(model: keras.Model) -> int:
    """Those among `multiply_adds` whose two factors are of two values each."""
    return sum(layer.binary_multiply_adds(_input_shape(layer)) for layer in _own(model))


def operations(model: keras.Model) -> int:
    """Operations of one image as binary networks publish them: binary ones / 64, and those of full precision.

    Of full precision are the other `multiply_adds` and the products with learned scales of the channels before a sum. Batch
    normalisations, activations, means and sums are not counted.

    Source: Le and Li 2023, arXiv:2306.16678; 64 binary operations for one: Rastegari et al. 2016, arXiv:1603.05279.
    """
    binary = binary_multiply_adds(model)
    scalings = sum(layer.scalings(_input_shape(layer)) for layer in _own(model))
    return multiply_adds(model) - binary + scalings + round(binary / 64)


def tokens(model: keras.Model) -> int:
    """Tokens that the first block sees, prefix included."""
    return next(_input_shape(layer)[0] for layer in _own(model) if isinstance(layer, Residual))


def _own(model):
    return [layer for layer in model.layers if isinstance(layer, Layer)]


def _input_shape(layer) -> tuple:
    return tuple(keras.tree.flatten(layer.input)[0].shape[1:])
