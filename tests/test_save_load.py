"""A file written by one process is read by another that did nothing but `import keras_vix`: the outputs are equal, bit for bit."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.train import recipe

WRITE = """
import sys, numpy as np, keras, keras_vix
from keras_vix import layers
x = np.random.default_rng(0).standard_normal((4, 16, 8)).astype("float32")
tokens = keras.Input((16, 8))
y = tokens
for layer in (
    layers.PerformerAttention(2, num_features=6, seed=3, rope=layers.RotaryEmbedding(axes=2, grid=(4, 4))),
    layers.PerformerAttention(2, num_features=6),
    layers.LinformerAttention(2, proj_dim=4),
    layers.NystromAttention(2, num_landmarks=4),
    layers.LocalWindowAttention2D(2, grid=(4, 4), window=2, shift=1, conv_size=3),
    layers.LocalAttention1D(2, grid=(4, 4), window=3, mode="sliding"),
    layers.Residual(layers.MLP(8), drop_path=0.1, scale=0.1),
):
    y = layer(y)
cut = layers.ShiftedWindow((4, 4), 2, 1)(keras.layers.Reshape((4, 4, 8))(y))
model = keras.Model(tokens, cut)
model.save(sys.argv[1])
np.save(sys.argv[2], model.predict(x, verbose=0))
"""

READ = """
import sys, numpy as np, keras_vix, keras
model = keras.saving.load_model(sys.argv[1])
x = np.random.default_rng(0).standard_normal((4, 16, 8)).astype("float32")
assert np.array_equal(model.predict(x, verbose=0), np.load(sys.argv[2])), "outputs differ"
print("equal")
"""


@pytest.mark.long
def test_outputs_are_equal_in_another_process(tmp_path):
    files = [str(tmp_path / name) for name in ("layers.keras", "outputs.npy")]
    for code in (WRITE, READ):
        done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("equal")


def test_a_model_saved_before_training_loads_whole(tmp_path):
    model = keras_vix.build("performer_exp", dataset="digits")
    model.save(tmp_path / "new.keras")
    again = keras_vix.load(tmp_path / "new.keras")
    data = keras_vix.data.load("digits", limit=100)
    losses = [m.evaluate(*data.test, verbose=0, return_dict=True) for m in (model, again)]
    assert losses[0] == losses[1] and set(losses[0]) == {"loss", "accuracy", "ce"}


@pytest.mark.parametrize("name, error, words", [("none.keras", FileNotFoundError, "none.keras"), ("model.h5", ValueError, ".keras")])
def test_wrong_files(name, error, words, tmp_path):
    if error is ValueError:
        (tmp_path / name).write_bytes(b"something")
    with pytest.raises(error, match=words):
        keras_vix.load(tmp_path / name)


def test_a_file_with_code_is_refused(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match="unsafe"):
        keras_vix.load(tmp_path / "code.keras")


class Opaque(keras.layers.Layer):
    """A layer whose config has another's as one text, into which nobody looks before it is read."""

    def __init__(self, text, **kwargs):
        super().__init__(**kwargs)
        self.text = text

    @classmethod
    def from_config(cls, config):
        layer = cls(**config)
        layer.inner = keras.saving.deserialize_keras_object(json.loads(layer.text))
        return layer

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config(), "text": self.text}


def test_code_is_refused_where_only_keras_sees_it(tmp_path):
    def saved(inner):
        inputs = keras.Input((4,))
        keras.Model(inputs, Opaque(json.dumps(keras.saving.serialize_keras_object(inner)))(inputs)).save(tmp_path / "opaque.keras")
        return keras_vix.load(tmp_path / "opaque.keras", custom_objects={"Opaque": Opaque})

    assert isinstance(saved(keras.layers.ReLU()).layers[1].inner, keras.layers.ReLU)
    with pytest.raises(ValueError, match="safe_mode=False"):
        saved(keras.layers.Lambda(lambda x: x + 1))


def test_smoothing_has_a_floor_and_ce_has_not():
    rule = recipe("transformer_local", profile="reference")
    loss = keras_vix.train.SmoothedCrossentropy(rule.label_smoothing)
    logits = np.full((1, 10), -1.0, "float32")
    logits[0, 3] = np.log(0.91 / 0.01) - 1.0
    best = float(loss(np.array([3]), logits))
    assert abs(best - 0.5003) <= 1e-3
    sure = np.full((1, 10), -50.0, "float32")
    sure[0, 3] = 50.0
    assert float(loss(np.array([[3]]), sure)) > best
    assert float(keras_vix.train.SmoothedCrossentropy()(np.array([3]), sure)) <= 1e-6
