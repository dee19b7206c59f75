"""Trains on one device and on two, in one process of its own: `python devices_program.py CASE`; prints how far they are apart."""

import json
import os
import sys

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
if BACKEND == "jax":
    import jax

    jax.config.update("jax_num_cpu_devices", 2)
else:
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_vix  # noqa: E402
from keras_vix.callbacks import AtomicModelCheckpoint, Redraw  # noqa: E402
from keras_vix.data import Split, batches, load  # noqa: E402
from keras_vix.train import devices  # noqa: E402

ADAM = dict(depth=1, dim=16, mlp_dim=16, num_heads=2, dropout=0.0, learning_rate=0.01)
CASES = {
    "exact": dict(preset="performer_softmax", m=8, clip_norm=0.05, ema=0.9, **ADAM),
    "dropout": dict(preset="transformer_global", **ADAM | {"dropout": 0.5}),
    "batch_norm": dict(preset="levit", compile=True, learning_rate=0.001),
}


def run(number: int, preset: str, **options) -> dict:
    """Curves, test figures and outputs after two epochs on digits; the last batches are smaller, and odd in evaluation."""
    keras.utils.set_random_seed(0)
    data = load("digits", limit=100)
    options |= {"jit_compile": BACKEND == "jax"}
    train, test = Split(data.train.x[:54], data.train.y[:54]), Split(data.test.x[:37], data.test.y[:37])
    with devices.parallel(number, batch_size=16):
        model = keras_vix.build(preset, dataset="digits", **options)
        callbacks = [Redraw(2)] if preset.startswith("performer") else []
        callbacks += [AtomicModelCheckpoint(f"{sys.argv[2]}/{number}.keras")]
        figures = dict(model.fit(
            devices.cut(batches(train, 16, seed=0)), validation_data=devices.padded(batches(test, 16)), epochs=2,
            shuffle=False, verbose=0, callbacks=callbacks,
        ).history)  # fmt: skip
        figures["outputs"] = model.predict(devices.padded(batches(test, 16)), verbose=0)[: len(test.y)].tolist()
    again = keras_vix.load(f"{sys.argv[2]}/{number}.keras")  # outside, on one device
    figures["file"] = again.predict(test.x, verbose=0).tolist()
    return figures


one, two = (run(number, **CASES[sys.argv[1]]) for number in (1, 2))
apart = {key: float(np.abs(np.array(one[key]) - np.array(two[key])).max()) for key in one}
print(json.dumps(apart | {"loss_1": one["loss"][-1], "loss_2": two["loss"][-1]}))
