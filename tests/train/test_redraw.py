"""Redrawing random features: when, which, and that a run which stops and goes on draws the same."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.callbacks import Redraw
from keras_vix.kernels import Performer
from keras_vix.layers import Attention, PerformerAttention
from keras_vix.ops.features import gaussian

WIDTH, M, SEED = 4, 6, 3
STEPS, BATCH = 4, 4  # steps in an epoch, samples in a step


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Sixteen sequences of five tokens, and targets."""
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal((STEPS * BATCH, 5, 8)).astype("float32") for _ in range(2))


def tiny(optimizer: object = None, **options: object) -> keras.Model:
    """One attention layer with random features: `(batch, 5, 8) -> (batch, 5, 8)`, compiled."""
    tokens = keras.Input((5, 8))
    model = keras.Model(tokens, PerformerAttention(2, num_features=M, seed=SEED, name="random")(tokens))
    options = {"jit_compile": keras.config.backend() == "jax"} | options  # compiling takes longer than all the steps
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), "mse", **options)
    return model


def kernel_of(model: keras.Model) -> Performer:
    return model.get_layer("random").kernel


def projection(model: keras.Model) -> np.ndarray:
    return ops.convert_to_numpy(kernel_of(model).w)


def drawn(model: keras.Model) -> int:
    return int(ops.convert_to_numpy(kernel_of(model).draws))


def number(count: int) -> np.ndarray:
    """The projection after `count` draws, made without the layer."""
    return gaussian(M, WIDTH, seed=[SEED, count] if count else SEED)


class Watch(keras.callbacks.Callback):
    """Notes the number of draws during each training step, and at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.epochs: list[int] = []

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if keras.config.backend() == "jax":
            self.model.jax_state_sync()
        self.steps.append(drawn(self.model))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        assert np.array_equal(projection(self.model), number(drawn(self.model)))
        self.epochs.append(drawn(self.model))


def fit(model: keras.Model, every: object, epochs: int = 3, **options: object) -> Watch:
    watch = Watch()
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0} | options
    model.fit(*numbers(), epochs=epochs, callbacks=[Redraw(every), watch], **options)
    return watch


@pytest.mark.parametrize(
    "every, steps",
    [
        (3, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]),
        (4, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        ("epoch", [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        (12, [0] * 12),
    ],
)
def test_draws_come_at_the_interval_and_in_the_order_of_the_seed(every, steps):
    model = tiny()
    assert np.array_equal(projection(model), number(0))
    watch = fit(model, every)
    assert watch.steps == steps and watch.epochs == steps[STEPS - 1 :: STEPS]
    assert np.array_equal(projection(model), number(steps[-1]))


@pytest.mark.long
def test_the_step_uses_the_new_projection():
    """One step with a rate of 1 from equal weights: the loss is that of the projection that was drawn for it."""
    model = tiny(keras.optimizers.SGD(0.0))
    x, y = numbers()
    losses = []
    for epoch in range(3):
        losses.append(model.evaluate(x, y, batch_size=BATCH, verbose=0))
        kernel_of(model).redraw()
    history = tiny(keras.optimizers.SGD(0.0))
    history.set_weights(model.get_weights())
    kernel_of(history).w.assign(number(0))
    kernel_of(history).draws.assign(0)
    found = history.fit(x, y, epochs=3, batch_size=BATCH, verbose=0, callbacks=[Redraw("epoch")]).history["loss"]
    assert np.allclose(found, losses, rtol=1e-5) and np.ptp(losses) > 1e-4


@pytest.mark.parametrize("jit_compile", [True, False])
def test_compiled_steps_see_it(jit_compile):
    if jit_compile and keras.config.backend() == "torch":
        pytest.skip("torch has no XLA")
    model = tiny(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    x, y = numbers()
    losses = model.fit(x, y, epochs=3, batch_size=BATCH, verbose=0, callbacks=[Redraw("epoch")]).history["loss"]
    assert drawn(model) == 2 and len({round(loss, 4) for loss in losses}) == 3


@pytest.mark.long
def test_only_training_draws():
    model = tiny()
    x, y = numbers()
    fit(model, 1, epochs=1, validation_data=(x, y))
    assert drawn(model) == STEPS - 1
    redraw = Redraw(1)
    losses = [model.evaluate(x, y, verbose=0, callbacks=[redraw]) for _ in range(2)]
    outputs = [model.predict(x, verbose=0, callbacks=[redraw]) for _ in range(2)]
    model(x, training=True)
    assert losses[0] == losses[1] and np.array_equal(*outputs)
    assert drawn(model) == STEPS - 1 and np.array_equal(projection(model), number(STEPS - 1))


@pytest.mark.parametrize("every", [3, "epoch"])
def test_a_run_that_stops_and_goes_on_is_the_run_that_did_not_stop(every, tmp_path):
    first, start = tiny(), tiny()
    start.set_weights(first.get_weights())
    fit(first, every, epochs=4)
    fit(start, every, epochs=2)
    start.save(tmp_path / "half.keras")
    again = keras.saving.load_model(tmp_path / "half.keras")
    assert drawn(again) == drawn(start) and np.array_equal(projection(again), projection(start))
    fit(again, every, epochs=4, initial_epoch=2)
    assert drawn(again) == drawn(first) > 0
    for one, other in zip(first.get_weights(), again.get_weights()):
        assert np.array_equal(one, other)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Keras runs one step a call on torch")
@pytest.mark.parametrize(
    "every, draws", [(1, [1, 2, 3, 4]), (3, [0, 1, 2, 2]), (4, [0, 0, 1, 1]), (5, [0, 0, 1, 1]), (8, [0] * 4)]
)
def test_several_steps_a_call_draw_when_a_multiple_is_crossed(every, draws):
    """Epochs of four steps are calls of three steps and one; two epochs."""
    watch = fit(tiny(steps_per_execution=3), every, epochs=2)
    assert watch.steps == draws


def test_accumulated_gradients_count_as_steps():
    watch = fit(tiny(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)), 3)
    assert watch.steps == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_mixed_precision_keeps_the_projection_whole():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny()
    fit(model, 2, epochs=2)
    assert kernel_of(model).w.dtype == "float32" and drawn(model) > 0
    assert np.array_equal(projection(model), number(drawn(model)))


@pytest.mark.parametrize("projection_kind, length", [("orthogonal", "chi"), ("orthogonal", "sqrt"), ("iid", "chi")])
def test_a_redrawn_projection_is_of_the_same_kind_and_is_not_trained(projection_kind, length):
    kernel = Performer(11, seed=5, projection=projection_kind, length=length)
    kernel.build((None, 2, 7, 4), (None, 2, 7, 4), (None, 2, 7, 4))
    before = ops.convert_to_numpy(kernel.w)
    kernel.redraw()
    w = ops.convert_to_numpy(kernel.w)
    assert not np.isclose(w, before).any() and not kernel.trainable_weights
    for block in (w[:4], w[4:8], w[8:]):
        product = block @ block.T
        off = np.abs(product - np.diag(np.diag(product))).max()
        assert (off <= 1e-4) == (projection_kind == "orthogonal")
    assert np.allclose(np.linalg.norm(w, axis=1), 2.0, rtol=1e-5) == (length == "sqrt")


def test_kernels_of_one_model_draw_apart_and_deterministic_ones_do_not():
    tokens = keras.Input((5, 8))
    layers = [Attention(2, kernel=Performer(M, seed=seed)) for seed in (1, 2)]
    y = tokens
    for layer in (*layers, Attention(2, kernel=Performer(None, "elu"))):
        y = layer(y)
    model = keras.Model(tokens, y)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(*numbers(), epochs=2, callbacks=[Redraw("epoch")], verbose=0)
    one, two = (ops.convert_to_numpy(layer.kernel.w) for layer in layers)
    assert not np.allclose(one, two)
    assert all(int(ops.convert_to_numpy(layer.kernel.draws)) == 1 for layer in layers)


@pytest.mark.parametrize(
    "every, error, words",
    [
        (0, ValueError, "every=0"),
        (2.5, TypeError, "every=2.5"),
        (True, TypeError, "every=True"),
        ("batch", ValueError, "epoch"),
    ],
)
def test_wrong_arguments(every, error, words):
    with pytest.raises(error, match=words):
        Redraw(every)


@pytest.mark.parametrize("kernel", [None, Performer(None, "elu")])
def test_a_model_without_a_projection_is_refused_before_training(kernel):
    tokens = keras.Input((5, 8))
    model = keras.Model(tokens, Attention(2, kernel=kernel)(tokens))
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="Performer kernel with m.*Received: model="):
        model.fit(*numbers(), callbacks=[Redraw()], verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


@pytest.mark.parametrize("kernel, words", [(Performer(None, "elu"), "m=None"), (Performer(4), "built=False")])
def test_a_kernel_without_a_projection_cannot_redraw(kernel, words):
    if kernel.m is None:
        kernel.build((None, 2, 7, 4), (None, 2, 7, 4), (None, 2, 7, 4))
    with pytest.raises(ValueError, match=words):
        kernel.redraw()


@pytest.mark.long
def test_the_same_on_jax():
    """This file again, with JAX under Keras."""
    if keras.config.backend() == "jax" or importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed, or these tests run on it already")
    chosen = "(interval or stops) and 3"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__, "-k", chosen]
    jax = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, env=jax, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-3000:]
