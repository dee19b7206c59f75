"""A trained vision transformer gets an attention that is linear in the tokens, and learns to use it."""

import sys

import keras_vix

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 18
data = keras_vix.data.load("digits")
steps = -(-len(data.train.y) // 64)


def accuracy(model):
    return model.evaluate(*data.test, return_dict=True, verbose=0)["accuracy"]


model = keras_vix.build("transformer_global", dataset="digits", steps=epochs * steps)
model.fit(*data.train, batch_size=64, epochs=epochs, verbose=0)
print(f"exact attention: accuracy {accuracy(model):.4f}")

swapped, report = keras_vix.swap_mixer(model, "nystrom", m=16)
print(report)
print(f"Nyström with 16 landmarks in its place: accuracy {accuracy(swapped):.4f}")

# The new mixers learn, each for itself, what the old ones make of the same tokens; no label is needed.
keras_vix.train.distill_attention(swapped, model, data.train.x, epochs=1, batch_size=64, verbose=0)
print(f"after an epoch of distillation: accuracy {accuracy(swapped):.4f}")

keras_vix.train.finetune(swapped, steps=2 * steps, batch_size=64, learning_rate=1e-3)
swapped.fit(*data.train, batch_size=64, epochs=2, verbose=0)
print(f"after two epochs of fine-tuning: accuracy {accuracy(swapped):.4f}")
