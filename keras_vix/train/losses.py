"""The classification loss."""

import keras
from keras import ops

from .. import checks
from ..base import register


@register
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits against labels, part of the target spread over all classes, in nats.

    Labels are integers, or rows `(batch, classes)` that sum to 1, such as mixed ones.

    With smoothing `s` and `c` classes it cannot fall below the entropy of the smoothed target: 0.5003 for `s = 0.1`, `c = 10`.
    The metric `ce` of a compiled model is the same without smoothing, so that models remain comparable.

    Args:
        label_smoothing: `s`, in [0, 1).

    Source: Szegedy et al. 2015, arXiv:1512.00567, section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = checks.rate("label_smoothing", label_smoothing)

    def call(self, y_true, y_pred):
        """`(batch,)`, `(batch, 1)` or `(batch, classes)` labels and `(batch, classes)` logits to `(batch,)` losses."""
        targets = ops.cast(rows(y_true, y_pred.shape[-1]), y_pred.dtype)
        return keras.losses.categorical_crossentropy(
            targets, y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def rows(labels, classes: int):
    """Labels as rows `(batch, classes)`, float32: integers `(batch,)` or `(batch, 1)` one-hot, rows as they are."""
    if len(labels.shape) == 2 and labels.shape[-1] == classes:
        return ops.cast(labels, "float32")
    return ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), classes, dtype="float32")
