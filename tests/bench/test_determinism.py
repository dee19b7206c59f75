"""Equal bits from equal units, in processes of their own."""

import keras
import numpy as np
import pytest
import repeats

from keras_vix.bench import determinism
from keras_vix.bench.unit import Unit

SIZES = {"depth": 1, "dropout": 0.1}
UNITS = (
    Unit("performer_softmax", epochs=1, limit=100, deterministic=True, overrides=SIZES | {"m": 8}),
    Unit("transformer_local", epochs=1, limit=100, deterministic=True, overrides={"drop_path": 0.2}),
)


@pytest.mark.long
def test_two_processes_give_the_same_weights_to_the_bit():
    first, second = (repeats.rows(UNITS) for _ in range(2))
    assert first == second and len(first) == 2
    assert first[0]["weights_sha256"] != first[1]["weights_sha256"] and len(first[0]["weights_sha256"]) == 64
    assert all(row["deterministic"] for row in first)


def test_the_digest_sees_every_weight_and_its_shape():
    def digest(kernel, bias=0.0):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.set_weights([kernel, np.full(1, bias)])
        return determinism.weights_sha256(model)

    kernel = np.arange(4.0).reshape(4, 1)
    other = np.nextafter(kernel.astype("float32"), np.float32(9))
    assert digest(kernel) == digest(kernel)
    assert len({digest(kernel), digest(other), digest(kernel, 1e-30)}) == 3


def test_xla_keeps_the_flags_it_was_given(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    determinism.on_jax()
    assert __import__("os").environ["XLA_FLAGS"].startswith("--xla_cpu_enable_fast_math=false --xla_gpu_")
