"""A textbook FAVOR+ in TensorFlow, written from the paper's formulas.

It stands in for the TensorFlow code of the paper's authors, which no package index carries: separate projections to
`(batch, n, heads, width)`, einsum throughout, the published stabiliser (the maximum is taken off, an epsilon added).

Source: Choromanski et al. 2020, arXiv:2009.14794, lemma 1, equation 5, section 2.4 and appendix B.2.
"""

import keras
import numpy as np
import tensorflow as tf

from ..place import Part, Place


def orthogonal(features: int, width: int, seed: int) -> np.ndarray:
    """Rows of Gaussian length, orthogonal within blocks of `width`: `(features, width)`."""
    random = np.random.default_rng(seed)
    blocks = [np.linalg.qr(random.standard_normal((width, width)))[0].T for _ in range(-(-features // width))]
    lengths = np.linalg.norm(random.standard_normal((features, width)), axis=1, keepdims=True)
    return (lengths * np.concatenate(blocks)[:features]).astype("float32")


class Favor(keras.layers.Layer):
    """Attention through random features, `(batch, n, dim) -> same`; `softmax` or `relu` features."""

    def __init__(self, place: Place, features: str):
        super().__init__()
        self.features, self.width = features, place.key_dim
        self.rows = orthogonal(place.rank, place.key_dim, place.seed)
        heads = (None, place.heads, place.key_dim)
        self.query, self.key, self.value = (
            keras.layers.EinsumDense("bnd,dhw->bnhw", heads, bias_axes="hw", name=name)
            for name in ("query", "key", "value")
        )
        self.out = keras.layers.EinsumDense("bnhw,hwd->bnd", (None, place.dim), bias_axes="d", name="out")
        self.inner = (None, *heads)

    def build(self, shape):
        for projection in (self.query, self.key, self.value):
            projection.build(shape)
        self.out.build(self.inner)
        self.built = True

    def call(self, x):
        query, key = (self.map(f(x), axes) for f, axes in ((self.query, (-1,)), (self.key, (1, -1))))
        context = tf.einsum("bnhm,bnhw->bhmw", key, self.value(x))
        total = tf.einsum("bnhm,bhm->bnh", query, tf.reduce_sum(key, axis=1))
        mixed = tf.einsum("bnhm,bhmw->bnhw", query, context) / total[..., None]
        return self.out(mixed)

    def map(self, x, axes):
        """Features of queries or keys: `(batch, n, heads, width) -> (batch, n, heads, m)`."""
        if self.features == "relu":
            return tf.nn.relu(tf.einsum("bnhw,mw->bnhm", x, self.rows)) + 1e-3
        x = x * self.width**-0.25
        projected = tf.einsum("bnhw,mw->bnhm", x, self.rows)
        half = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True) / 2
        largest = tf.reduce_max(projected, axis=axes, keepdims=True)
        return len(self.rows) ** -0.5 * (tf.exp(projected - half - largest) + 1e-6)


def favor(place: Place, features: str) -> Part:
    """The textbook layer with its weights."""
    layer = Favor(place, features)
    layer.build(place.shape)
    return Part(layer)
