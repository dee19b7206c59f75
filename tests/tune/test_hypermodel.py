"""The hypermodel, in tuners of Keras Tuner that know nothing of it."""

import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FailedTrialError, FatalError

import keras_vix
from keras_vix import tune
from tests.tune.small import SPACE, WORDS, digits


def made(space=None, **words):
    return tune.hypermodel("performer_softmax", space or SPACE, dataset="digits", **{**WORDS, **words})


def at(**values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    return hp


@pytest.fixture
def no_weights(monkeypatch):
    """Nothing may be built."""

    def refuse(*_, **__):
        raise AssertionError("a model with weights was made")

    monkeypatch.setitem(tune.hypermodel.__globals__, "build", refuse)


def test_it_builds_what_is_drawn():
    model = made().build(at(kernel="performer", m=4, learning_rate=5e-3))
    assert model.get_layer("stage0_block0_mixer").inner.kernel.m == 4
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-3)


def test_with_the_number_of_images_the_schedule_runs():
    model = made(images=64, schedule="cosine").build(at(kernel="softmax", learning_rate=5e-3))
    model.optimizer.iterations.assign(2)  # 64 images, batches of 32, one epoch
    assert float(model.optimizer.learning_rate) < 1e-6


@pytest.mark.parametrize(
    ("words", "values", "reason"),
    [
        ({"space": {"dim": [7, 8]}}, {"dim": 7}, "`dim` must be a multiple of `num_heads`"),
        ({"space": {"kernel": ["linformer", "softmax"], "m": [4, 64]}}, {"kernel": "linformer", "m": 64}, "1 <= m <= tokens"),
        ({"budget": {"parameters": 100}}, {"kernel": "softmax", "learning_rate": 1e-3}, "Over the budget: .* parameters of 100"),
        ({"budget": {"multiply_adds": 1000}}, {"kernel": "softmax", "learning_rate": 1e-3}, "multiply-adds of 1,000"),
    ],
)
def test_what_is_infeasible_fails_before_a_weight_exists(words, values, reason, no_weights):
    drop = {"dim"} if "dim" in words.get("space", {}) else set()
    own = {key: value for key, value in WORDS.items() if key not in drop}
    hypermodel = tune.hypermodel("performer_softmax", words.get("space", SPACE), dataset="digits", budget=words.get("budget"), **own)
    with pytest.raises(FailedTrialError, match=reason):
        hypermodel.build(at(**values))
    assert hypermodel.figures["status"] == "infeasible"


@pytest.mark.long
def test_latency_and_memory_are_measured_before_training():
    x = np.zeros((4, 8, 8, 1), "uint8")
    for budget, words in (({"latency_seconds": 1e-9}, "s for one image of 1e-09"), ({"memory_bytes": 10}, "bytes of 10")):
        hypermodel, hp = made(budget=budget), at(kernel="softmax", learning_rate=1e-3)
        model = hypermodel.build(hp)
        with pytest.raises(FailedTrialError, match=words):
            hypermodel.fit(hp, model, x, np.zeros(4, "int32"), verbose=0)
        assert int(model.optimizer.iterations) == 0
        assert hypermodel.figures[next(iter(budget))] > 0


@pytest.mark.long
def test_other_tuners_take_it(tmp_path):
    """Three trials of Keras Tuner's own random search; its table has the failure's reason and the counts."""
    hypermodel = tune.hypermodel("performer_softmax", {"dim": [7, 8, 16]}, dataset="digits",
                                 **{key: value for key, value in WORDS.items() if key != "dim"})  # fmt: skip
    tuner = keras_tuner.GridSearch(hypermodel, "val_accuracy", directory=tmp_path, project_name="own")
    data = digits()
    tuner.search(*data.train, validation_data=data.validation, epochs=1, verbose=0)
    table = tune.results(tuner)
    assert list(table["dim"]) == [7, 8, 16]
    assert list(table["status"]) == ["infeasible", "done", "done"]
    assert "`dim` must be a multiple" in table["reason"][0]
    counts = keras_vix.describe("performer_softmax", dataset="digits", **{**WORDS, "dim": 16})
    assert table["parameters"][2] == counts.trainable_parameters and table["multiply_adds"][2] == counts.multiply_adds
    assert tune.best(table)["dim"] in (8, 16)


@pytest.mark.long
def test_a_training_that_diverges_fails():
    hypermodel, hp = made(), at(kernel="softmax", learning_rate=1e-3)
    model = hypermodel.build(hp)
    x = np.full((4, 8, 8, 1), np.nan, "float32")
    with pytest.raises(FailedTrialError, match="`loss` was not a number in epoch 1"):
        hypermodel.fit(hp, model, x, np.zeros(4, "int32"), epochs=1, verbose=0)
    assert hypermodel.figures["status"] == "nan"


@pytest.mark.parametrize("kind", [FailedTrialError, FatalError])
def test_what_keras_tuner_understands_reaches_it_as_it_is(kind):
    error = kind("says a callback")

    class Model:
        def fit(self, *_, **__):
            raise error

    hypermodel, hp = made(), at(kernel="softmax", learning_rate=1e-3)
    with pytest.raises(kind) as caught:
        hypermodel.fit(hp, Model(), np.zeros((4, 8, 8, 1), "uint8"), np.zeros(4, "int32"))
    assert caught.value is error and hypermodel.figures == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"budget": {"speed": 1}}, "`budget` must be one of parameters, multiply_adds, latency_seconds, memory_bytes"),
        ({"budget": {"parameters": 0}}, "`parameters` must be above 0"),
        ({"budget": 5}, "`budget` must be a dictionary"),
        ({"images": 0}, "`images` must be at least 1"),
    ],
)
def test_wrong_calls(words, message):
    with pytest.raises((TypeError, ValueError), match=message):
        made(**words)
