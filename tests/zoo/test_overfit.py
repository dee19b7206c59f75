"""A model of every kernel and every mixer learns 64 images by heart."""

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.kernels import KERNELS
from keras_vix.mixers import MIXERS

STEPS = 200
RANKS = {"performer": {"m": 16}, "linformer": {"m": 8}, "nystrom": {"m": 8}}
# Mixers that know no token in front.
BARE = {"prefix": 0, "pool": "mean"}
MIXED = {"conv_attention": BARE, "window": BARE, "window_1d": BARE | {"window": 16, "wrap_rows": True}}
CHOICES = {f"kernel:{name}": {"kernel": name, **RANKS.get(name, {})} for name in KERNELS} | {
    f"mixer:{name}": {"mixer": name, **MIXED.get(name, {})} for name in MIXERS
}


class Enough(keras.callbacks.Callback):
    """Ends training once 99 % are right."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = logs["accuracy"] >= 0.99


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("choice", CHOICES)
def test_64_images_by_heart(choice, seed):
    """At most 200 steps, in the first 20 of which the loss falls, for three seeds of three."""
    x, y, *_ = keras_vix.data.load("digits").train
    model = keras_vix.build(
        "vit", dataset="digits", dim=32, depth=2, num_heads=2, dropout=0.0, drop_path=0.0, seed=seed, **CHOICES[choice]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0), loss, metrics=["accuracy"])
    history = model.fit(x[:64], y[:64], batch_size=64, epochs=STEPS, callbacks=[Enough()], verbose=0).history
    assert history["accuracy"][-1] >= 0.99
    assert np.mean(history["loss"][:20][-5:]) < history["loss"][0]
