"""A training that fails says so, and why."""

import math
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from ..zoo.roles import named
from .rates import Layerwise, factor
from .redraw import steps_done

NEAR = 0.01  # of ln(classes): a loss this close to it, or above, knows nothing yet
PATIENCE = 2  # epochs and
STEPS = 50  # steps of no knowledge before it is said
NAMED = 3  # weights that a sentence calls by name


class TrainingWarning(UserWarning):
    """A training that does not do what it seems to do."""


class Watch(keras.callbacks.Callback):
    """A callback that says when a training fails, and the likely cause, in place of a flat or an empty curve.

    At the end of each epoch it looks for

    - a loss that is not a number: the weights tell whether training diverged or an image or label is to blame; `fit` ends;
    - frozen weights: matrices that the first epoch left as they were, bit for bit, apart from those that a rate of 0 or
      `frozen_steps` keeps so. Under `mixed_float16` this is how it looks when every step is skipped because a gradient overflows;
    - a training loss at ln(classes), that of guessing, after 2 epochs and 50 steps whose rate does not rise any more.

    Each is warned of once, as a `TrainingWarning`, and kept in `watch.findings`, a list of sentences. Nothing runs in a step, so
    that it costs two passes over the weights.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> watch = keras_vix.callbacks.Watch(warn=False)
    >>> history = model.fit(np.full((8, 8, 8, 1), np.nan), np.arange(8), epochs=5, callbacks=[watch], verbose=0)
    >>> len(history.epoch), watch.findings[0][:36]
    (1, 'The loss was not a number in epoch 1')

    Args:
        stop: whether a loss that is not a number ends `fit`.
        warn: whether findings are warned of, or only kept.
    """

    def __init__(self, stop: bool = True, warn: bool = True):
        super().__init__()
        for name, value in (("stop", stop), ("warn", warn)):
            if not isinstance(value, bool):
                raise TypeError(f"`{name}` must be True or False. Received: {name}={value!r}.")
        self.stop, self.warn = stop, warn
        self.findings: list[str] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Remember the weights."""
        self.findings, self._said, self._flat = [], set(), 0
        self._rate = rate_of(self.model)
        self._before = prints(self.model)
        self._begun = steps_done(self.model.optimizer)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the losses, and after the first epoch at the weights."""
        model, logs = self.model, logs or {}
        loss = logs.get("loss")
        if loss is not None and not math.isfinite(loss):
            self._say("nan", f"The loss was not a number in epoch {epoch + 1}. {why_no_number(model)}")
            model.stop_training = model.stop_training or self.stop
            return
        if self._before is not None:
            frozen, self._before = stayed(model, self._before), None
            if frozen:
                self._say("frozen", f"{told(frozen)} did not change in the first epoch. {why_frozen(model)}")
        self._look_for_guessing(epoch, logs)

    def _look_for_guessing(self, epoch: int, logs: Mapping[str, float]) -> None:
        known, classes = logs.get("ce", logs.get("loss") if "accuracy" in logs else None), self.model.output_shape[-1]
        if known is None or not isinstance(classes, int) or classes < 2:
            return
        before, self._rate = self._rate, rate_of(self.model)
        warming = self._rate > before  # a rate that still rises may yet teach something
        self._flat = self._flat + 1 if known >= (1 - NEAR) * math.log(classes) and not warming else 0
        if self._flat >= PATIENCE and steps_done(self.model.optimizer) - self._begun >= STEPS:
            self._say(
                "flat",
                f"After epoch {epoch + 1} the training loss is {known:.4f}; that of guessing among {classes} classes is "
                f"{math.log(classes):.4f}. {why_flat(self.model)}",
            )

    def _say(self, kind: str, sentence: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self.findings.append(sentence)
            if self.warn:
                warnings.warn(sentence, TrainingWarning, stacklevel=2)


def prints(model: keras.Model) -> dict[str, int]:
    """A checksum of each trainable matrix, by its role."""
    return {role: zlib.crc32(bits(w)) for role, w in named(model.trainable_variables).items() if len(w.shape) > 1}


def bits(weight: Any) -> np.ndarray:
    """The bytes of a weight."""
    return np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).reshape(-1).view(np.uint8)


def stayed(model: keras.Model, before: Mapping[str, int]) -> list[str]:
    """The trainable matrices that are as they were, but for those that are meant to be."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    now = prints(model)
    same = [role for role, mark in before.items() if now.get(role) == mark]
    if not isinstance(optimizer, Layerwise):
        return same
    if steps_done(optimizer) <= optimizer.frozen_steps:
        return []
    return [role for role in same if factor(role, optimizer.rates) > 0]


def told(roles: list[str]) -> str:
    """Weights in words, a few of them by name."""
    if len(roles) == 1:
        return f"The weight {roles[0]}"
    more = f" and {len(roles) - NAMED} more" if len(roles) > NAMED else ""
    return f"{len(roles)} weights ({', '.join(roles[:NAMED])}{more})"


def rate_of(model: keras.Model) -> float:
    """The learning rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def collapsed(model: keras.Model) -> bool:
    """Whether the scale of a `mixed_float16` loss has fallen below 1, as it does when gradients overflow step after step."""
    scale = getattr(model.optimizer, "dynamic_scale", None)
    return scale is not None and float(keras.ops.convert_to_numpy(scale)) < 1


SKIPPED = (
    "Under mixed_float16 a step whose gradients overflow is skipped, and the scale of the loss has fallen below 1: step after "
    "step was. Use mixed_bfloat16, or look for a part that computes sums or exponentials in float16"
)


def why_no_number(model: keras.Model) -> str:
    """What most likely makes a loss that is not a number, by the state of the weights."""
    if collapsed(model):
        return f"{SKIPPED}, or for an image that is not a number."
    weights = named(model.trainable_variables)
    broken = [role for role, w in weights.items() if not np.isfinite(keras.ops.convert_to_numpy(w).astype("float64")).all()]
    if not broken:
        return "All weights are finite: an image or label that is not a number, or out of range, is to blame. Look at the data."
    clip = getattr(getattr(model.optimizer, "inner_optimizer", model.optimizer), "global_clipnorm", None)
    advice = "" if clip else ", or give clip_norm=1.0"
    state = f"{told(broken)} {'is' if len(broken) == 1 else 'are'} not finite"
    cause = "training diverged, or an image that is not a number spoiled it"
    return f"{state}: {cause}. Look at the data; lower the learning rate{advice}."


def why_frozen(model: keras.Model) -> str:
    """What most likely keeps weights as they are."""
    if collapsed(model):
        return f"{SKIPPED}."
    if rate_of(model) == 0:
        return "The learning rate is 0."
    return "No gradient reaches them, or one too small for their dtype."


def why_flat(model: keras.Model) -> str:
    """What most likely keeps a model at guessing."""
    rate = rate_of(model)
    causes = [
        f"a learning rate that is too high or too low (now {rate:.2g}; a tenth and ten times that tell which)",
        "labels that do not belong to the images",
    ]
    if any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers):
        causes.append("images that are scaled already, where the model expects pixels from 0 to 255")
    return f"Likely causes: {'; '.join(causes)}."
