"""Laws times rows, and rows against registries: a part without a row fails here."""

import pytest

from keras_vix.kernels import Softmax
from keras_vix.zoo.config import AXES

from . import laws
from .rows import DROPOUT, KERNEL_ROWS, ROWS


def rows(table, keep=lambda row: True):
    return pytest.mark.parametrize("row", [row for row in table if keep(row)], ids=lambda row: row.id)


def has_weights(row):
    return bool(laws.as_model(row.make(), laws.inputs(row)).trainable_weights)


def test_every_registered_part_has_a_row():
    registered = {(axis, name) for axis, table in AXES.items() for name, part in table.items() if part is not None}
    assert {(row.axis, row.name.split("/")[0]) for row in ROWS} == registered


@rows(ROWS)
def test_shapes_and_finite(row):
    laws.shapes_and_finite(row)


@rows(ROWS)
def test_config_is_constructor(row):
    laws.config_is_constructor(row)


@rows(ROWS)
def test_survives_a_file(row, tmp_path):
    laws.survives_a_file(row, tmp_path)


@rows(ROWS, has_weights)
def test_weights_move(row):
    laws.weights_move(row)


@rows(ROWS)
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


@rows(ROWS, lambda row: row.axis in ("kernel", "mixer"))
def test_finite_at_any_scale(row):
    laws.finite_at_any_scale(row)


@rows(KERNEL_ROWS, lambda row: row.exact_at is not None)
def test_equals_exact_attention(row):
    laws.equals_exact_attention(row, Softmax())


@rows(ROWS)
def test_compiled_equals_eager(row):
    laws.compiled_equals_eager(row)
