"""Laws times rows, and rows against registries: a part without a row fails here."""

import keras
import pytest

from keras_vix.kernels import Softmax
from keras_vix.zoo.config import AXES

from . import laws
from .presets import sampled
from .rows import DROPOUT, KERNEL_ROWS, ROWS


def rows(table, keep=lambda row: True):
    return pytest.mark.parametrize("row", [row for row in table if keep(row)], ids=lambda row: row.id)


# The first row of each part, which `make test` puts through the laws that take long; its variants wait for `make test-long`.
FIRST = {(row.axis, row.name.split("/")[0]): row.id for row in reversed(ROWS)}.values()


def long_rows(table, keep=lambda row: True):
    return pytest.mark.parametrize("row", sampled([row for row in table if keep(row)], lambda row: row.id, FIRST), ids=lambda row: row.id)


def has_weights(row):
    return bool(laws.as_model(row.make(), laws.inputs(row)).trainable_weights)


def test_every_registered_part_has_a_row():
    registered = {(axis, name) for axis, table in AXES.items() for name, part in table.items() if part is not None}
    assert {(row.axis, row.name.split("/")[0]) for row in ROWS if row.axis in AXES} == registered


@rows(ROWS)
def test_shapes_and_finite(row):
    laws.shapes_and_finite(row)


@rows(ROWS)
def test_takes_doubles(row):
    laws.takes_doubles(row)


@rows(ROWS)
def test_config_is_constructor(row):
    laws.config_is_constructor(row)


@long_rows(ROWS)
def test_survives_a_file(row, tmp_path):
    laws.survives_a_file(row, tmp_path)


@long_rows(ROWS, has_weights)
def test_weights_move(row):
    laws.weights_move(row)


@rows([next(row for row in ROWS if row.axis == axis and row.name.split("/")[0] == name) for axis in ("kernel", "mixer") for name in AXES[axis]])
def test_float16_moves_weights(row):
    laws.float16_moves_weights(row)


@rows(ROWS, lambda row: not row.claim("jumps"))
def test_gradient_is_the_slope(row):
    laws.gradient_is_the_slope(row)


@rows(KERNEL_ROWS, lambda row: row.claim("sharp"))
def test_stays_sharp(row):
    laws.stays_sharp(row, Softmax())


@rows(ROWS)
def test_no_number_shows(row):
    laws.no_number_shows(row)


@long_rows(ROWS)
def test_keeps_its_precision(row, tmp_path):
    laws.keeps_its_precision(row, tmp_path)


@rows(ROWS)
def test_inference_is_deterministic(row):
    laws.inference_is_deterministic(row)


@rows(DROPOUT)
def test_dropout_drops(row):
    laws.dropout_drops(row)


@rows(ROWS, lambda row: row.axis in ("kernel", "mixer", "ffn"))
def test_permutes(row):
    laws.permutes(row)


@rows(ROWS, lambda row: row.claim("exact"))
def test_constants_stay(row):
    laws.constants_stay(row)


@rows(ROWS, lambda row: row.axis == "mixer" and row.options.get("use_bias", True) and row.claim("values"))
def test_constants_pass_mixers(row):
    laws.constants_pass_mixers(row)


@rows(ROWS, lambda row: row.claim("exact"))
def test_constants_stay_in_low_precision(row):
    laws.constants_stay_in_low_precision(row)


@rows(KERNEL_ROWS)
def test_low_precision_is_close(row):
    laws.low_precision_is_close(row)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@rows(KERNEL_ROWS)
def test_finite_at_any_length(row, policy):
    laws.finite_at_any_length(row, policy)


@rows(ROWS, lambda row: row.axis in ("kernel", "mixer") and "convolution" not in row.options and not row.claim("placed"))
def test_equal_tokens_stay_equal(row):
    laws.equal_tokens_stay_equal(row)


@rows(KERNEL_ROWS, lambda row: row.claim("exact"))
def test_masked_equals_shortened(row):
    laws.masked_equals_shortened(row)


@rows(ROWS, lambda row: row.claim("masks"))
def test_masked_is_absent(row):
    laws.masked_is_absent(row)


@rows(ROWS, lambda row: row.claim("cross"))
def test_queries_are_independent(row):
    laws.queries_are_independent(row)


@rows(KERNEL_ROWS)
def test_nothing_left_is_zero(row):
    laws.nothing_left_is_zero(row)


@rows(ROWS)
def test_samples_are_independent(row):
    laws.samples_are_independent(row)


@rows(ROWS)
def test_batch_permutes(row):
    laws.batch_permutes(row)


@long_rows(ROWS, lambda row: row.axis in ("kernel", "mixer"))
def test_finite_at_any_scale(row):
    laws.finite_at_any_scale(row)


@rows(KERNEL_ROWS, lambda row: row.exact_at is not None)
def test_equals_exact_attention(row):
    laws.equals_exact_attention(row, Softmax())


@pytest.mark.long
@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch has no XLA, and runs eagerly otherwise")
@long_rows(ROWS)
def test_compiled_equals_eager(row):
    laws.compiled_equals_eager(row)
