"""The classification losses and metrics; each takes labels as integers or as rows of shares."""

import keras
from keras import ops

from .. import checks
from ..base import register


def rows(y_true, y_pred):
    """Labels as rows `(batch, classes)` in the logits' dtype: integers `(batch,)` or `(batch, 1)` one-hot, rows as they are.

    Raises:
        ValueError: rows of another length than the logits'.
    """
    classes = y_pred.shape[-1]
    if len(y_true.shape) == 2 and y_true.shape[-1] not in (1, None):
        if y_true.shape[-1] != classes:
            raise ValueError(
                "Labels must be integers `(batch,)` or rows `(batch, classes)` as long as the logits. "
                f"Received: labels of shape {tuple(y_true.shape)}, logits of shape {tuple(y_pred.shape)}."
            )
        return ops.cast(y_true, y_pred.dtype)
    return ops.one_hot(ops.reshape(ops.cast(y_true, "int32"), (-1,)), classes, dtype=y_pred.dtype)


@register
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits against labels, part of the target spread over all classes, in nats.

    Labels are integers, or rows of shares as Mixup and CutMix make them. Smoothing a mixture equals mixing smoothed labels.

    With smoothing `s` and `c` classes it cannot fall below the entropy of the smoothed target: 0.5003 for `s = 0.1`, `c = 10`.
    The metric `ce` of a compiled model is the same without smoothing, so that models remain comparable.

    >>> loss = keras_vix.train.SmoothedCrossentropy(label_smoothing=0.1)
    >>> logits = np.log([[0.91] + [0.01] * 9])
    >>> round(float(loss(np.array([0]), logits)), 4)
    0.5003

    Args:
        label_smoothing: `s`, in [0, 1).

    Source: Szegedy et al. 2015, arXiv:1512.00567, section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = checks.rate("label_smoothing", label_smoothing)

    def call(self, y_true, y_pred):
        """Labels `(batch,)`, `(batch, 1)` or `(batch, classes)` and `(batch, classes)` logits to `(batch,)` losses."""
        return keras.losses.categorical_crossentropy(
            rows(y_true, y_pred), y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@register
class SigmoidCrossentropy(keras.losses.Loss):
    """One yes-or-no question a class: the sum over classes of the binary cross-entropies of logits, in nats.

    It starts at `classes * ln 2` unless the head's bias starts far below 0.

    >>> loss = keras_vix.train.SigmoidCrossentropy()
    >>> round(float(loss(np.array([3, 7]), np.zeros((2, 10), "float32"))), 3)
    6.931

    Source: Steiner et al. 2021, arXiv:2106.10270; Beyer et al. 2020, arXiv:2006.07159.
    """

    def __init__(self, name: str = "sigmoid_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Labels `(batch,)`, `(batch, 1)` or `(batch, classes)` and `(batch, classes)` logits to `(batch,)` losses."""
        # -y log s(z) - (1 - y) log s(-z) = log(1 + e^z) - y z
        return ops.sum(ops.softplus(y_pred) - rows(y_true, y_pred) * y_pred, axis=-1)


def hits(y_true, y_pred):
    """1 where the largest logit is that of the label, or of the largest share of a mixed one."""
    return ops.cast(ops.argmax(rows(y_true, y_pred), axis=-1) == ops.argmax(y_pred, axis=-1), "float32")


def surprise(y_true, y_pred):
    """Cross-entropy in nats, an image."""
    return keras.losses.categorical_crossentropy(rows(y_true, y_pred), y_pred, from_logits=True)


@register
class Accuracy(keras.metrics.MeanMetricWrapper):
    """Share of images whose largest logit is that of the label; of a mixed label its largest share counts.

    Unlike Keras' `"accuracy"` it may meet rows of shares in training and integers in validation.

    >>> accuracy = keras_vix.train.Accuracy()
    >>> accuracy.update_state(np.array([0, 1]), np.array([[2, 1], [2, 1]], "float32"))
    >>> float(accuracy.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype=None):
        super().__init__(hits, name=name, dtype=dtype)
        self._direction = "up"

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


@register
class Crossentropy(keras.metrics.MeanMetricWrapper):
    """Cross-entropy of logits without label smoothing, in nats, against integers or rows of shares.

    >>> ce = keras_vix.train.Crossentropy()
    >>> ce.update_state(np.array([3, 7]), np.zeros((2, 10), "float32"))
    >>> round(float(ce.result()), 3)
    2.303
    """

    def __init__(self, name: str = "ce", dtype=None):
        super().__init__(surprise, name=name, dtype=dtype)
        self._direction = "down"

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}
