"""The law of maps: what the factors of a kernel multiply to is what the kernel does to the values."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Kernel, Linformer, Nystrom, Performer, Softmax

from ..laws import BATCH, disturb, inputs, run
from ..rows import KERNEL_ROWS, QKV

every_kernel = pytest.mark.parametrize("row", KERNEL_ROWS, ids=lambda row: row.id)


def built(row, q, k):
    kernel = row.make()
    kernel.build(q.shape, k.shape, k.shape)
    disturb(kernel)
    return kernel


def multiplied(factors):
    return functools.reduce(np.matmul, [ops.convert_to_numpy(one) for one in factors.values()])


def by_identity(kernel, q, k, **options):
    """The map by feeding one-hot values, as many at a time as a head is wide; without what a kernel adds to its product."""
    keys, width = k.shape[-2:]
    product = getattr(kernel, "attended", kernel)
    columns = []
    for start in range(0, keys, width):
        v = np.zeros((*k.shape[:-1], width), "float32")
        v[..., np.arange(start, start + width), np.arange(width)] = 1.0
        columns.append(ops.convert_to_numpy(product(*map(ops.convert_to_tensor, (q, k, v)), **options)))
    return np.concatenate(columns, axis=-1)


def close(found, expected):
    assert found.shape == expected.shape and found.dtype == "float32"
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def some_mask():
    mask = np.ones((BATCH, 1, QKV[1]), bool)
    mask[0, 0, 13:] = mask[1, 0, 2] = mask[1, 0, 8:12] = False
    return ops.convert_to_tensor(mask)


@every_kernel
@pytest.mark.parametrize("options", [{}, {"mask": True}], ids=["all", "masked"])
def test_the_product_of_the_factors_is_the_kernel(row, options):
    q, k, _ = inputs(row)
    kernel = built(row, q, k)
    options = {"mask": some_mask()} if options else {}
    expected = by_identity(kernel, q, k, **options)
    found = multiplied(kernel.factors(ops.convert_to_tensor(q), ops.convert_to_tensor(k), **options))
    close(found, expected)
    if options:
        gone = np.broadcast_to(~ops.convert_to_numpy(options["mask"])[:, :, None], found.shape)
        assert not found[gone].any()
    if row.claim("exact"):
        assert np.abs(found.sum(-1) - 1.0).max() <= 1e-5


@every_kernel
def test_some_rows_are_those_of_the_whole(row):
    q, k, _ = inputs(row)
    kernel = built(row, q, k)
    q, k = map(ops.convert_to_tensor, (q, k))
    whole = multiplied(kernel.factors(q, k, mask=some_mask()))
    for rows in (slice(0, 1), slice(5, 9), slice(15, 16), slice(3, None)):
        close(multiplied(kernel.factors(q, k, mask=some_mask(), rows=rows)), whole[..., rows, :])


@pytest.mark.parametrize("row", [row for row in KERNEL_ROWS if row.claim("cross")], ids=lambda row: row.id)
def test_queries_and_keys_may_differ_in_number(row):
    q, k, _ = inputs(row)
    q = q[..., :6, :]
    kernel = built(row, q, k)
    close(multiplied(kernel.factors(*map(ops.convert_to_tensor, (q, k)))), by_identity(kernel, q, k))


@pytest.mark.parametrize("row", [row for row in KERNEL_ROWS if row.claim("exact")], ids=lambda row: row.id)
def test_rows_sum_to_one_at_any_scale(row):
    for scale in (0.01, 8.0, 100.0):
        q, k, _ = inputs(row, scale=scale)
        kernel = built(row, q, k)
        found = multiplied(kernel.factors(*map(ops.convert_to_tensor, (q, k))))
        assert np.abs(found.sum(-1) - 1.0).max() <= 1e-5, scale


@pytest.mark.parametrize("name", ["softmax", "lsa", "talking_heads"])
def test_a_bias_joins_the_scores(name):
    row = next(row for row in KERNEL_ROWS if row.name == name)
    q, k, _ = inputs(row)
    kernel = built(row, q, k)
    bias = ops.convert_to_tensor(np.random.default_rng(1).standard_normal((1, *QKV[:2], QKV[1])).astype("float32"))
    q, k = map(ops.convert_to_tensor, (q, k))
    whole = multiplied(kernel.factors(q, k, bias=bias))
    close(whole, by_identity(kernel, ops.convert_to_numpy(q), ops.convert_to_numpy(k), bias=bias))
    close(multiplied(kernel.factors(q, k, bias=bias, rows=slice(4, 7))), whole[..., 4:7, :])
    assert np.abs(whole - multiplied(kernel.factors(q, k))).max() > 1e-2


@pytest.mark.parametrize(
    "kernel, shapes",
    [
        (Softmax(), {"weights": (200, 200)}),
        (Performer(m=8, seed=1), {"query": (200, 8), "key": (8, 200)}),
        (Performer(m=8, seed=1, features="hyperbolic"), {"query": (200, 16), "key": (16, 200)}),
        (Linformer(m=8), {"weights": (200, 8), "projection": (8, 200)}),
        (Nystrom(m=8), {"query": (200, 8), "inverse": (8, 8), "key": (8, 200)}),
    ],
    ids=["softmax", "performer", "hyperbolic", "linformer", "nystrom"],
)
def test_the_factors_are_linear_in_the_tokens_unless_the_kernel_is_dense(kernel, shapes):
    q, k = np.random.default_rng(0).standard_normal((2, 1, 2, 200, 4)).astype("float32")
    kernel.build(q.shape, k.shape, k.shape)
    found = kernel.factors(*map(ops.convert_to_tensor, (q, k)))
    assert {name: tuple(one.shape[-2:]) for name, one in found.items()} == shapes
    assert kernel.dense == ("weights" in shapes and len(shapes) == 1)


@every_kernel
def test_factors_are_float32_for_16_bit_inputs(row):
    q, k, _ = inputs(row)
    kernel = row.make(dtype="mixed_float16")
    kernel.build(q.shape, k.shape, k.shape)
    narrow = [ops.cast(x, "float16") for x in (q, k)]
    exact = multiplied(kernel.factors(*(ops.cast(x, "float32") for x in narrow)))
    close(multiplied(kernel.factors(*narrow)), exact)


def test_a_kernel_that_is_nobody_s_has_to_say_what_its_factors_are():
    class Mine(Kernel):
        def call(self, q, k, v, mask=None):
            return v

    with pytest.raises(TypeError, match="method `factors`. Received: kernel=Mine"):
        Mine().factors(None, None)


def test_dropped_weights_are_those_of_the_factors():
    """With a rate that drops next to nothing, training goes by the same weights as the map."""
    q, k, v = (keras.random.normal((2, 2, 6, 4), seed=i) for i in range(3))
    kernel = Softmax(dropout=1e-6)
    kernel.build(q.shape, k.shape, v.shape)
    expected = multiplied(kernel.factors(q, k)) @ ops.convert_to_numpy(v)
    assert np.abs(run(kernel, q, k, v, training=True) - expected).max() <= 1e-4
