"""Fine-tuning after a swap: recipes, rates of new and old weights, frozen batches."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.interop import transfer
from keras_vix.interop.transfer import roles
from keras_vix.train import LayerwiseAdamW, Recipe, SmoothedCrossentropy, finetune
from keras_vix.train.recipe import STEADY

JIT = {"jit_compile": keras.config.backend() == "jax"}  # compiling takes longer than all the steps
SIZES = dict(dataset="digits", patch=2, dim=16, depth=2, num_heads=2, mlp_dim=32, compile=False)
MIXERS = "stage*_mixer/mixer/*"


def vit(**options):
    return keras_vix.build("vit_b16", **SIZES | options)


def swapped(kernel="linformer", m=4, **options):
    """A model with another kernel, with what became of the weights."""
    model = vit(seed=1, kernel=kernel, m=m, **options)
    return model, transfer(vit(), model)


def values(model):
    return {role: np.array(ops.convert_to_numpy(weight)) for role, weight in roles(model).items()}


def peak(model, step=None):
    rate = model.optimizer._learning_rate
    return float(ops.convert_to_numpy(rate if step is None else rate(step)))


def test_the_recipe_of_its_name():
    model, report = swapped()
    assert finetune(model, report.new, steps=300, **JIT) is model
    optimizer = model.optimizer
    assert isinstance(optimizer, LayerwiseAdamW) and optimizer.weight_decay == 0.05 and optimizer.epsilon == 1e-8
    assert isinstance(model.loss, SmoothedCrossentropy) and model.loss.label_smoothing == 0.1
    assert [peak(model, step) for step in (0, 25, 50, 300)] == pytest.approx([0, 5e-5, 1e-4, 0], abs=1e-9)
    rates = dict(optimizer.rates)
    assert {rates[role] for role in report.new} == {1.0} and {f for role, f in rates.items() if role not in report.new} == {0.1}
    assert set(optimizer.new) == set(report.new) and optimizer.frozen_steps == 0


def test_the_peak_follows_the_batch_and_is_lower_where_the_length_is_not_known():
    model = vit()
    assert peak(finetune(model, batch_size=256)) == pytest.approx(5e-5 * STEADY)
    assert peak(finetune(model, learning_rate=3e-4)) == pytest.approx(3e-4)
    assert peak(finetune(model, recipe=Recipe(learning_rate=2e-3, schedule="cosine"), weight_decay=0.2)) == pytest.approx(2e-3)
    assert model.optimizer.weight_decay == 0.2


def test_other_recipes():
    deit = finetune(vit(), recipe="deit_finetune", steps=90)
    assert peak(deit) == pytest.approx(5e-6) and deit.optimizer.weight_decay == 1e-8
    augreg = finetune(vit(), new="head/*", recipe="augreg_finetune", steps=90, frozen_steps=3)
    assert isinstance(augreg.optimizer, keras.optimizers.SGD) and augreg.optimizer.frozen_steps == 3
    assert dict(augreg.optimizer.rates)["head/logits/kernel"] == 1.0 and augreg.optimizer.global_clipnorm == 1.0


@pytest.mark.parametrize(
    "options, frozen",
    [({"frozen_steps": 7}, 7), ({"frozen_epochs": 2, "epochs": 10}, 20), ({"frozen_epochs": 0.5, "epochs": 10}, 5), ({}, 0)],
    ids=str,
)
def test_frozen_batches(options, frozen):
    assert finetune(vit(), new="head/*", steps=100, **options).optimizer.frozen_steps == frozen


@pytest.mark.parametrize("kernel", ["nystrom", "performer"])
def test_a_kernel_without_weights_of_its_own_is_new_in_its_projections(kernel):
    model, report = swapped(kernel)
    assert not [role for role in report.new if roles(model)[role].trainable]
    assert {factor for _, factor in finetune(model, report.new, steps=10).optimizer.rates} == {1.0}
    rates = dict(finetune(model, (*report.new, MIXERS), steps=10).optimizer.rates)
    assert all(factor == (1.0 if "_mixer/mixer/" in role else 0.1) for role, factor in rates.items())


def test_new_weights_learn_first_and_the_loss_falls():
    data = keras_vix.data.load("digits", limit=96)
    model, report = swapped()
    finetune(model, report.new, steps=12, frozen_steps=6, learning_rate=1e-2, batch_size=16, layer_decay=0.8, **JIT)
    before = values(model)
    first = model.fit(*data.train, batch_size=16, epochs=1, verbose=0).history["loss"][0]
    assert {role for role, value in values(model).items() if not np.array_equal(value, before[role])} == set(report.new)
    last = model.fit(*data.train, batch_size=16, epochs=1, verbose=0).history["loss"][0]
    assert last < first and not np.array_equal(values(model)["head/logits/kernel"], before["head/logits/kernel"])


def test_deeper_is_slower():
    rates = dict(finetune(vit(), layer_decay=0.5).optimizer.rates)
    kernels = [f"stage0_block{block}_mixer/mixer/query/kernel" for block in (1, 0)]
    assert [rates[name] for name in ("head/logits/kernel", *kernels, "position/table")] == [1.0, 0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"recipe": "finetun"}, ValueError, "Did you mean 'finetune'"),
        ({"lerning_rate": 1e-3}, ValueError, "Did you mean 'learning_rate'"),
        ({"recipe": Recipe(), "lerning_rate": 1e-3}, ValueError, "Did you mean 'learning_rate'"),
        ({"new": "kernel/e"}, ValueError, "'kernel/e'"),
        ({"steps": 0}, ValueError, "steps=0"),
        ({"frozen_steps": 3}, ValueError, "new=()"),
        ({"new": "head/*", "frozen_steps": 10, "steps": 10}, ValueError, "10 of steps=10"),
        ({"new": "head/*", "frozen_epochs": 1}, ValueError, "needs `steps`"),
        ({"new": "head/*", "frozen_epochs": 30, "steps": 60}, ValueError, "frozen_epochs=30"),
        ({"new": "head/*", "frozen_epochs": 1, "frozen_steps": 1, "steps": 60}, ValueError, "frozen_steps=1, frozen_epochs=1"),
    ],
    ids=str,
)
def test_wrong_calls_leave_the_model_as_it_was(options, error, words):
    model = vit()
    with pytest.raises(error) as caught:
        finetune(model, **options)
    assert words in str(caught.value) and not model.compiled


def test_what_is_no_model():
    with pytest.raises(TypeError, match="model=str"):
        finetune("vit")
