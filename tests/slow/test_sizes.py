"""Every preset at another image size."""

import pytest

from keras_vix.zoo import PRESETS

from ..interop.test_sizes import fits


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset(name):
    fits(name)
