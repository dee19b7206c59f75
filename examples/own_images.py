"""Images of your own: arrays in, any model of the zoo out, each epoch timed."""

import sys

import numpy as np

import keras_vix

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 5

# Stripes, upright or lying, on noise: uint8 images of 24 x 36 pixels with three channels.
rng = np.random.default_rng(0)
y = rng.integers(0, 2, 1200)
wave = 60 * np.sin(np.arange(36) + rng.uniform(0, 6, (1200, 1)))
x = np.where(y[:, None, None] == 1, wave[:, None, :], wave[:, :24, None])[..., None] + rng.normal(128, 40, (1200, 24, 36, 3))
x = np.clip(x, 0, 255).astype("uint8")

data = keras_vix.data.load((x[:1000], y[:1000], x[1000:], y[1000:]))
size = {"input_shape": data.facts.input_shape, "classes": data.facts.classes}
timing = keras_vix.callbacks.Timing()
model = keras_vix.build("nystromformer", **size, patch=4, m=9, dim=32, depth=2, position="sincos")
batches = keras_vix.data.batches(data.train, 50, shuffle=True)
model.fit(batches, validation_data=data.validation, epochs=epochs, callbacks=[timing], verbose=2)
print(model.evaluate(*data.test, return_dict=True, verbose=0))
print({name: value for name, value in timing.summary().items() if value is not None})
