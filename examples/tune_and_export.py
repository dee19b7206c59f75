"""How many features? The best of a search goes to LiteRT and ONNX, and 100 images get the same answers there.

Needs the extras `litert` and `onnx`.
"""

import sys

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

import keras_vix
from keras_vix import tune

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
data = keras_vix.data.load("digits")
found = tune.search("performer_softmax", data, {"m": [8, 16, 32]}, tuner="grid", epochs=epochs, directory="search")
print(found.table[["m", "score", "seconds", "multiply_adds"]])

model = found.model()
print(f"m={found.best()['m']}, test accuracy {model.evaluate(*data.test, return_dict=True, verbose=0)['accuracy']:.4f}")
for path in ("best.tflite", "best.onnx"):
    print(keras_vix.export(model, path))

images = data.test.x[:100].astype("float32")  # raw pixels: a model normalises them itself
ours = model.predict(images, verbose=0)
runner = Interpreter("best.tflite").get_signature_runner()
(name,) = runner.get_input_details()
(lite,) = runner(**{name: images}).values()
(onnx,) = onnxruntime.InferenceSession("best.onnx").run(None, {"image": images})
for what, theirs in (("LiteRT", lite), ("ONNX", onnx)):
    same = (theirs.argmax(-1) == ours.argmax(-1)).mean()
    print(f"{what}: {same:.0%} of 100 predictions the same, logits within {np.abs(theirs - ours).max():.1e}")
