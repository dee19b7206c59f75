"""A search that a test can afford: 54 images of 8 x 8, one narrow block."""

from keras_vix import data, tune

MODEL = dict(embed="patch", patch=4, dim=8, depth=1, num_heads=2, mlp_dim=8)
SPACE = dict(kernel=["softmax", "performer"], m=[2, 4], learning_rate=tune.Float(1e-3, 1e-2, log=True))
WORDS = dict(epochs=1, batch_size=32, **MODEL)


def digits():
    return data.load("digits", limit=60)
