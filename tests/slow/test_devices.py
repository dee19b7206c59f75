"""Two devices against one, in the cases that take long."""

import pytest

from tests.train.test_devices import apart, assert_equal


@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", ["exact", "dropout", "batch_norm"])
def test_on_jax_two_devices_are_one(case, tmp_path):
    assert_equal(apart("jax", case, tmp_path))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", ["dropout", "batch_norm"])
def test_on_tensorflow_dropout_and_batch_norm_differ_and_training_goes_on(case, tmp_path):
    """Every device draws the same numbers, and normalises by its own share of the batch."""
    found = apart("tensorflow", case, tmp_path)
    assert found["loss"] > 1e-4 and 0 < found["loss_2"] < 3
