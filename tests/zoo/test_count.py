"""Multiply-adds against the compiler's own count: XLA says how many operations each model takes, on JAX."""

import importlib.util
import json
import math
import os
import subprocess
import sys

import pytest

SIDE, PATCH, DIM = 128, 8, 128
TOKENS = (SIDE // PATCH) ** 2
CASES = {
    "softmax": {},
    "performer": dict(kernel="performer", m=64),
    "performer relu": dict(kernel="performer", features="relu", m=64),
    "linformer": dict(kernel="linformer", m=64),
    "linformer none": dict(kernel="linformer", m=64, share="none"),
    "nystrom": dict(kernel="nystrom", m=64, convolution=33),
    "lsa": dict(kernel="lsa"),
    "talking_heads": dict(kernel="talking_heads"),
    "window": dict(mixer="window", window=8, shift=4),
    "window_1d": dict(mixer="window_1d", window=64, shift=32, wrap_rows=True),
    "atrous": dict(mixer="atrous", window=8, rates=[1, 2]),
    "fourier": dict(mixer="fourier"),
    "fourier products": dict(mixer="fourier", transform="products"),
    "token_mlp": dict(mixer="token_mlp"),
    "conv_attention": dict(mixer="conv_attention"),
    "levit": dict(mixer="levit"),
    "binary_attention": dict(mixer="binary_attention"),
}
SCRIPT = """
import json, sys
import jax
import numpy as np
from keras_vix.zoo import configure
from keras_vix.zoo.assemble import assemble
from keras_vix.zoo.count import multiply_adds

for name, options in json.load(sys.stdin).items():
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    model = assemble(configure("vit_ti16", dataset="imagenet", **options), "model")
    weights = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
    run = jax.jit(lambda a, b, x: model.stateless_call(a, b, x, training=False)[0])
    compiled = run.lower(*weights, np.zeros((1, *model.input_shape[1:]), "float32")).compile()
    found = compiled.cost_analysis()
    found = found[0] if isinstance(found, list) else found
    print("ROW", json.dumps([name, multiply_adds(model), found["flops"], "custom-call" in compiled.as_text()]), flush=True)
"""


@pytest.fixture(scope="module")
def counts():
    """`{case: (our multiply-adds, XLA's operations, whether it called a library)}`, from one process with JAX."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    sizes = dict(
        depth=1, prefix=0, pool="mean", input_shape=[SIDE, SIDE, 3], patch=PATCH, dim=DIM, num_heads=4, mlp_dim=DIM, classes=10
    )
    cases = {name: sizes | options for name, options in CASES.items()}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(cases), capture_output=True, text=True, timeout=230,
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [json.loads(line[4:]) for line in run.stdout.splitlines() if line.startswith("ROW ")]
    return {name: rest for name, *rest in rows}


# Operations that are no products, in millions: normalisations, softmax, activations, positions, means.
BETWEEN = {"binary_attention": (5, 20)}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_products_are_what_the_compiler_counts(case, counts):
    """Twice our count and few operations more. XLA's CPU compiler keeps products as such here, so it sees them all."""
    ours, flops, library = counts[case]
    assert not library
    if case == "fourier":  # XLA takes the product of the logarithms of both lengths, not their sum, of a 2-D transform
        ours -= round(2 * TOKENS * DIM * math.log2(TOKENS * DIM))
        flops -= 2 * 4 * TOKENS * DIM * math.log2(TOKENS) * math.log2(DIM)
    low, high = BETWEEN.get(case, (2, 8))
    assert low <= (flops - 2 * ours) / 1e6 <= high
