"""A process that does nothing but save is killed at many moments; the file is whole each time."""

import os

import pytest

from tests.train.test_checkpoint import killed_while_saving


@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.parametrize(("name", "moments"), [("a.keras", 20), ("a.weights.h5", 6)])
def test_kills_at_many_moments(name, moments, tmp_path):
    killed_while_saving(tmp_path / name, [0.0013 * moment**2 for moment in range(moments)])
