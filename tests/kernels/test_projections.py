"""Projections are the same numbers on every backend and with every NumPy: their checksums are written here."""

import hashlib

import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.kernels import Linformer, Performer
from keras_vix.layers import T2TEmbedding

SHAPES = [(None, 2, 24, 8)] * 3


def digest(weight, places=None):
    """SHA-256 of the first eight numbers: of their bytes, or, where LAPACK had a hand in them, of `places` decimals."""
    first = np.asarray(ops.convert_to_numpy(weight), "<f4").ravel()[:8]
    kept = first if places is None else np.rint(first.astype("float64") * 10**places).astype("<i4")
    return hashlib.sha256(kept.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    "options, places, expected",
    [
        ({"seed": 5}, 4, "2199ff0e4b59c026"),
        ({"seed": 3, "features": "hyperbolic"}, 4, "76dee98f545007f2"),
        ({"seed": 0, "features": "relu"}, 4, "7e220b3a16adea51"),
        ({"seed": 0, "length": "sqrt"}, 4, "12f732502bb6a8ae"),
        ({"seed": 0, "projection": "iid"}, None, "20035739d65b6cbf"),
        ({"seed": 1, "projection": "iid", "features": "hyperbolic"}, None, "c45efc05dc956349"),
    ],
)
def test_performer(options, places, expected):
    kernel = Performer(16, **options)
    kernel.build(*SHAPES)
    assert digest(kernel.w, places) == expected


def test_the_first_redraw():
    kernel = Performer(16, projection="iid", seed=5)
    kernel.build(*SHAPES)
    kernel.redraw()
    assert digest(kernel.w) == "c41123e58b695cac"


@pytest.mark.parametrize("start, m, expected", [("pool", 7, "3b7d4898c18ce270"), ("identity", 24, "66b7057e198043f4")])
def test_linformer(start, m, expected):
    kernel = Linformer(m, start=start)
    kernel.build(*SHAPES)
    assert digest(kernel.e) == digest(kernel.f) == expected


def test_the_seed_of_a_model_is_that_of_each_block():
    model = keras_vix.build("performer_softmax", dataset="digits", projection="iid", seed=3)
    found = [digest(weight) for weight in model.non_trainable_weights if weight.path.endswith("projection")]
    assert found == ["12d70c4d44955ba0", "ea7cdb169b0d6820"]


def test_soft_splits():
    layer = T2TEmbedding(dim=8, split=(5, 3, 3), strides=(2, 1, 2), token_width=6, token_kernel="performer", token_features=4, seed=1)
    layer.build((None, 8, 8, 3))
    found = [digest(weight, 4) for weight in layer.non_trainable_weights if weight.path.endswith("projection")]
    assert found == ["c1446d2c76f812d9", "450d2bf8594b591b"]
