"""Every mixer and kernel compiled by XLA."""

import pytest

from ..zoo.test_jit import KERNELS, MIXERS, TORCH, compiled_is_the_same


@pytest.mark.skipif(TORCH, reason="torch has no XLA")
@pytest.mark.parametrize("axis, name", [*(("kernel", name) for name in KERNELS), *(("mixer", name) for name in MIXERS)])
def test_compiled_is_the_same(axis, name):
    compiled_is_the_same(axis, name)
