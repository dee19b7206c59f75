"""The layer that augments."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.data import POLICIES, Augment, Policy, augment, batches
from keras_vix.data.layer import KerasKit, after, moved
from tests.presets import sampled


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.fixture
def pair():
    x = np.random.default_rng(0).integers(0, 256, (6, 12, 10, 3)).astype(np.float32)
    return {"images": x, "labels": np.arange(6) % 3}


@pytest.mark.parametrize("name", ["cifar", "medium2", "small"])
def test_pixels_and_shares(pair, name):
    out = Augment(name, classes=3, seed=1)(dict(pair), training=True)
    x, y = numpy(out["images"]), numpy(out["labels"])
    assert x.shape == pair["images"].shape and x.min() >= 0 and x.max() <= 255 and not np.array_equal(x, pair["images"])
    if POLICIES[name].mixes:
        assert y.shape == (6, 3)
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    else:
        np.testing.assert_array_equal(y, pair["labels"])


def test_seeds_and_inference(pair):
    one, same, other = (numpy(Augment("inception", seed=s)(pair["images"], training=True)) for s in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert np.array_equal(numpy(Augment("inception")(pair["images"])), pair["images"])
    assert np.array_equal(numpy(Augment("none")(pair["images"], training=True)), pair["images"])


def test_jumps_are_whole_pixels_with_black_from_outside():
    x = np.random.default_rng(0).integers(1, 256, (40, 8, 8, 1)).astype(np.float32)
    out = numpy(moved(KerasKit(keras.random.SeedGenerator(2)), keras.ops.convert_to_tensor(x), Policy(jump=0.25, black=True)))
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for image, wide in zip(out, padded):
        places = [(i, j) for i in range(5) for j in range(5) if np.allclose(wide[i : i + 8, j : j + 8], image, atol=0.01)]
        assert len(places) == 1
        seen |= set(places)
    assert len(seen) > 15 and {i for i, _ in seen} == set(range(5))


def test_maps_join_as_warps_do():
    x = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 1)).astype(np.float32)
    turn, shift = np.float32([[[0, -1, 0], [1, 0, 0]]]), np.float32([[[1, 0, 2], [0, 1, -1]]])
    joined = numpy(after(keras.ops.convert_to_tensor(turn), keras.ops.convert_to_tensor(shift)))
    np.testing.assert_allclose(augment.warp(x, joined)[:, 2:6, 2:7], augment.warp(augment.warp(x, turn), shift)[:, 2:6, 2:7], atol=1e-3)


def test_it_needs_classes_for_integer_labels(pair):
    with pytest.raises(ValueError, match="classes=None"):
        Augment("medium2")(pair, training=True)
    with pytest.raises(ValueError, match="Did you mean 'medium2'"):
        Augment("medium")


@pytest.mark.long
def test_a_model_with_it_trains_and_returns_from_its_file(tmp_path):
    data = keras_vix.data.load("digits", limit=40)
    images = keras.Input((8, 8, 1))
    logits = keras_vix.build("performer_relu", dataset="digits", depth=1, compile=False)(Augment(POLICIES["light1"], seed=0)(images))
    model = keras.Model(images, logits)
    model.compile("sgd", keras_vix.train.SmoothedCrossentropy(0.1))
    assert np.isfinite(model.fit(*data.train, batch_size=16, verbose=0).history["loss"]).all()
    model.save(tmp_path / "model.keras")
    again = keras_vix.load(tmp_path / "model.keras")
    layer = next(layer for layer in again.layers if isinstance(layer, Augment))
    assert layer.policy == POLICIES["light1"]
    np.testing.assert_allclose(*(m.predict(data.test.x, verbose=0) for m in (model, again)), atol=1e-5)


@pytest.mark.parametrize("name", sampled(["light2", "deit", "small"], sample=["light2"]))
def test_a_model_trains_on_mixed_batches_and_validates_on_integers(name):
    data = keras_vix.data.load("digits", limit=60)
    model = keras_vix.build("performer_relu", dataset="digits", depth=1, augment=name, label_smoothing=0.1)
    training = batches(data.train, 16, shuffle=True, augment=name, facts=data.facts)
    history = model.fit(training, validation_data=batches(data.validation, 16), epochs=1, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert {"accuracy", "ce", "val_accuracy", "val_ce"} <= set(history)
    labels = model.predict(data.validation.x, verbose=0).argmax(1)
    assert history["val_accuracy"][-1] == pytest.approx((labels == data.validation.y).mean())


@pytest.mark.long
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="tf.data needs TensorFlow's tensors")
def test_in_a_pipeline(pair):
    import tensorflow as tf

    layer = Augment("deit", classes=3, seed=0)
    source = tf.data.Dataset.from_tensor_slices(pair).batch(4).map(lambda batch: layer(batch, training=True))
    assert [batch["labels"].shape.as_list() for batch in source] == [[4, 3], [2, 3]]
