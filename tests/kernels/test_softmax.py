"""Exact attention against a loop."""

import numpy as np
import pytest

from keras_vix.kernels import Softmax

from ..laws import run
from ..reference import loop, softmax_attention


@pytest.fixture
def qkv():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, 3, 7, 4)).astype("float32") for _ in range(3)]


def test_equals_a_loop(qkv):
    assert np.abs(run(Softmax(), *qkv) - loop(softmax_attention, *qkv)).max() <= 1e-6


def test_a_mask_removes_keys(qkv):
    keep = np.array([1, 0, 1, 1, 0, 1, 1], bool)
    expected = loop(lambda q, k, v: softmax_attention(q, k, v, keep), *qkv)
    assert np.abs(run(Softmax(), *qkv, mask=keep[None, None]) - expected).max() <= 1e-6


def test_a_bias_is_added_to_the_scores(qkv):
    q, k, v = qkv
    forbid = np.where(np.eye(7, dtype=bool), 0.0, -1e9).astype("float32")
    assert np.abs(run(Softmax(), q, k, v, bias=forbid[None, None]) - v).max() <= 1e-6
