"""Schedule, loss and metrics of sequence models."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.train import InverseSqrt, SequenceCrossentropy, TokenAccuracy, TokenCrossentropy

LABELS = np.array([[3, 1, 0, 0], [2, 4, 4, 1]])
RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((2, 4, 5)).astype("float32")


def number(x):
    return float(ops.convert_to_numpy(x))


def losses(smoothing):
    """Of every token, in float64: cross-entropy against the smoothed one-hot target."""
    z = LOGITS.astype("float64")
    log = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return -(((1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5) * log).sum(-1)


def test_the_schedule_is_that_of_the_paper():
    schedule = InverseSqrt((512 * 4000) ** -0.5, 4000)
    for done in (0, 1, 99, 3998, 3999, 4000, 10_000, 99_999):
        step = done + 1
        expected = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert number(schedule(done)) == pytest.approx(expected, rel=1e-5)
    again = InverseSqrt.from_config(schedule.get_config())
    assert number(again(17)) == number(schedule(17))
    for wrong in (dict(learning_rate=0.0), dict(learning_rate=1.0, warmup_steps=0)):
        with pytest.raises(ValueError):
            InverseSqrt(**wrong)


def test_the_recipe_is_that_of_the_paper():
    sizes = dict(vocabulary=11, source_length=3, target_length=3, dim=8, num_heads=2, depth=1)
    optimizer = keras_vix.build("transformer_base", **sizes).optimizer
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.98, 1e-9)
    peak = 1 / math.sqrt(8 * 4000)
    assert number(optimizer.learning_rate) == pytest.approx(peak / 4000, rel=1e-5)
    own = keras_vix.build("transformer_base", **sizes, learning_rate=1e-3, warmup_steps=10).optimizer
    assert number(own.learning_rate) == pytest.approx(1e-4, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_mean_over_tokens_that_are_no_padding(smoothing):
    expected = losses(smoothing)
    assert number(SequenceCrossentropy(smoothing)(LABELS, LOGITS)) == pytest.approx(expected[LABELS > 0].mean(), rel=1e-5)
    assert number(SequenceCrossentropy(smoothing, padding=None)(LABELS, LOGITS)) == pytest.approx(expected.mean(), rel=1e-5)
    assert number(SequenceCrossentropy(smoothing)(np.zeros_like(LABELS), LOGITS)) == 0.0


def test_padding_has_no_gradient():
    from ..laws import differentiate

    loss = SequenceCrossentropy(0.1)
    _, gradient = differentiate(lambda x: loss(LABELS, x), [LOGITS])
    assert not gradient[LABELS == 0].any() and np.abs(gradient[LABELS > 0]).min() > 0


def test_metrics_leave_padding_out():
    accuracy, entropy = TokenAccuracy(name="accuracy"), TokenCrossentropy(name="ce")
    hits = LOGITS.argmax(-1) == LABELS
    for metric, expected in ((accuracy, hits), (entropy, losses(0.0))):
        metric.update_state(LABELS[:1], LOGITS[:1])
        metric.update_state(LABELS[1:], LOGITS[1:])  # batches with unlike numbers of tokens
        assert number(metric.result()) == pytest.approx(expected[LABELS > 0].mean(), rel=1e-5)
        again = type(metric).from_config(metric.get_config())
        again.update_state(LABELS, LOGITS, sample_weight=np.array([0.0, 1.0]))
        assert number(again.result()) == pytest.approx(expected[1].mean(), rel=1e-5)
    everything = TokenCrossentropy(padding=None)
    everything.update_state(LABELS, LOGITS)
    assert number(everything.result()) == pytest.approx(losses(0.0).mean(), rel=1e-5)


def test_the_loss_comes_back_from_its_configuration():
    loss = SequenceCrossentropy(0.1, padding=2)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (again.label_smoothing, again.padding) == (0.1, 2)
