"""How the encoder-decoder Transformer is trained: schedule, loss and metrics that know of padding, and compiling."""

import dataclasses
import math

import keras
from keras import ops

from .. import checks
from ..base import register
from ..zoo.sequence import SequenceConfig
from .compile import scaled


@register
class InverseSqrt(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly over `warmup_steps` to `learning_rate` and then falls with the square root of the step.

    >>> rate = keras_vix.train.InverseSqrt(1e-3, warmup_steps=100)
    >>> [round(float(rate(step)), 6) for step in (49, 99, 399)]
    [0.0005, 0.001, 0.0005]

    Args:
        learning_rate: the peak. With `(dim * warmup_steps) ** -0.5` it is the schedule of the original Transformer,
            `dim ** -0.5 * min(step ** -0.5, step * warmup_steps ** -1.5)`, the first step being step 1.
        warmup_steps: at least 1.

    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 3.
    """

    def __init__(self, learning_rate: float, warmup_steps: int = 4000):
        super().__init__()
        self.learning_rate = checks.number("learning_rate", learning_rate, 1e-12, 100.0)
        self.warmup_steps = checks.integer("warmup_steps", warmup_steps)

    def __call__(self, step):
        done = (ops.cast(step, "float32") + 1.0) / self.warmup_steps
        return self.learning_rate * ops.minimum(done, ops.rsqrt(done))

    def get_config(self):
        return {"learning_rate": self.learning_rate, "warmup_steps": self.warmup_steps}


@register
class SequenceCrossentropy(keras.losses.Loss):
    """Cross-entropy of the logits of every token against its number, part of the target spread over all, in nats.

    Its mean is over the tokens of the batch that are no padding.

    >>> loss = keras_vix.train.SequenceCrossentropy(label_smoothing=0.1)
    >>> round(float(loss(np.array([[5, 7, 0, 0]]), np.zeros((1, 4, 10), "float32"))), 3)
    2.303

    Args:
        label_smoothing: the part, in [0, 1).
        padding: the number that stands for no token, or `None` if all count.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.4; Szegedy et al. 2015, arXiv:1512.00567, section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, padding: int | None = 0, name: str = "sequence_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = checks.rate("label_smoothing", label_smoothing)
        self.padding = padding if padding is None else checks.integer("padding", padding, 0)

    def call(self, y_true, y_pred):
        """`(batch, n)` numbers and `(batch, n, vocabulary)` logits to `(batch, n)` losses, 0 for padding."""
        labels = ops.cast(y_true, "int32")
        losses = crossentropy(labels, y_pred, self.label_smoothing)
        if self.padding is None:
            return losses
        counts = ops.cast(ops.not_equal(labels, self.padding), losses.dtype)
        return losses * counts / ops.maximum(ops.mean(counts), 1e-9)  # Keras takes the mean over padding too

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "padding": self.padding}


def crossentropy(labels, logits, label_smoothing: float = 0.0):
    """Losses `(...)` in nats from labels `(...)` and logits `(..., vocabulary)`, without a one-hot array of that size."""
    picked = ops.squeeze(ops.take_along_axis(logits, ops.expand_dims(labels, -1), axis=-1), -1)
    expected = (1 - label_smoothing) * picked + label_smoothing * ops.mean(logits, axis=-1)
    return ops.logsumexp(logits, axis=-1) - expected


class TokenMean(keras.metrics.Mean):
    """The mean of `measure(labels, logits)` over all tokens that are no padding.

    Args:
        padding: the number that stands for no token, or `None` if all count.
    """

    def __init__(self, padding: int | None = 0, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = ops.cast(y_true, "int32")
        counts = ops.ones_like(labels) if self.padding is None else ops.not_equal(labels, self.padding)
        counts = ops.cast(counts, "float32")
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype="float32")
            counts = counts * (ops.expand_dims(sample_weight, -1) if len(sample_weight.shape) == 1 else sample_weight)
        return super().update_state(self.measure(labels, y_pred), sample_weight=counts)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


@register
class TokenAccuracy(TokenMean):
    """The share of tokens, padding left out, whose logit is the largest.

    >>> accuracy = keras_vix.train.TokenAccuracy()
    >>> accuracy.update_state(np.array([[1, 2, 0, 0]]), np.eye(3, dtype="float32")[None, [1, 1, 1, 1]])
    >>> float(accuracy.result())
    0.5
    """

    def measure(self, labels, logits):
        return ops.cast(ops.equal(labels, ops.cast(ops.argmax(logits, axis=-1), "int32")), "float32")


@register
class TokenCrossentropy(TokenMean):
    """The mean cross-entropy of tokens without smoothing, padding left out, in nats.

    >>> ce = keras_vix.train.TokenCrossentropy()
    >>> ce.update_state(np.array([[1, 2, 0, 0]]), np.zeros((1, 4, 10), "float32"))
    >>> round(float(ce.result()), 3)
    2.303
    """

    def measure(self, labels, logits):
        return crossentropy(labels, logits)


@dataclasses.dataclass(frozen=True)
class SequenceRecipe:
    """How a sequence model is trained.

    >>> recipe = keras_vix.train.SequenceRecipe(warmup_steps=1000)
    >>> recipe.label_smoothing, recipe.beta_2
    (0.1, 0.98)

    Args:
        learning_rate: the peak of the schedule, or `None` for that of the paper, `(dim * warmup_steps) ** -0.5`.
        warmup_steps: steps in which the rate rises.
        label_smoothing: share of the target spread over the vocabulary, in [0, 1).
        beta_2, optimizer_epsilon: of Adam, whose first beta is 0.9.
        clip_norm: largest global norm of the gradient, or `None`.
        jit_compile: Keras' word, `auto`, True or False.

    Source: Vaswani et al. 2017, arXiv:1706.03762, sections 5.3 and 5.4.
    """

    learning_rate: float | None = None
    warmup_steps: int = 4000
    label_smoothing: float = 0.1
    beta_2: float = 0.98
    optimizer_epsilon: float = 1e-9
    clip_norm: float | None = None
    jit_compile: bool | str = "auto"

    def __post_init__(self):
        if self.learning_rate is not None:
            checks.number("learning_rate", self.learning_rate, 1e-12, 100.0)
        checks.integer("warmup_steps", self.warmup_steps)
        checks.rate("label_smoothing", self.label_smoothing)
        checks.rate("beta_2", self.beta_2)
        checks.number("optimizer_epsilon", self.optimizer_epsilon, 1e-16, 1.0)
        if self.clip_norm is not None:
            checks.number("clip_norm", self.clip_norm, 1e-12, 1e6)
        if not (isinstance(self.jit_compile, bool) or self.jit_compile == "auto"):
            raise TypeError(f"`jit_compile` must be True, False or 'auto'. Received: jit_compile={self.jit_compile!r}.")


SEQUENCE_NAMES = tuple(field.name for field in dataclasses.fields(SequenceRecipe))


def compile_sequence(model: keras.Model, config: SequenceConfig, recipe: SequenceRecipe) -> keras.Model:
    """Compile `model`, made of `config`, after `recipe` and return it; metrics `accuracy` and `ce`, of tokens without padding."""
    padding = 0 if config.mask_zero else None
    peak = recipe.learning_rate or 1 / math.sqrt(config.dim * recipe.warmup_steps)
    optimizer = keras.optimizers.Adam(
        InverseSqrt(peak, recipe.warmup_steps),
        beta_2=recipe.beta_2,
        epsilon=recipe.optimizer_epsilon,
        global_clipnorm=recipe.clip_norm,
    )
    model.compile(
        scaled(model, optimizer),
        loss=SequenceCrossentropy(recipe.label_smoothing, padding),
        metrics=[TokenAccuracy(padding, name="accuracy"), TokenCrossentropy(padding, name="ce")],
        jit_compile=recipe.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)  # or a file saved before training would not load whole
    return model
