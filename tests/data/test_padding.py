"""Images of several sizes in one batch."""

import numpy as np
import pytest

from keras_vix.data import pad


def test_a_batch_of_several_sizes():
    batch = pad([np.zeros((2, 3, 1), "uint8"), np.full((4, 1, 1), 255, "uint8")], (4, 3))
    assert batch.dtype == "float32" and batch.shape == (2, 4, 3, 1)
    assert (batch[0, :2] == 0).all() and (batch[0, 2:] == -1).all() and (batch[1, :, :1] == 255).all() and (batch[1, :, 1:] == -1).all()


@pytest.mark.parametrize(
    "call, words",
    [
        (([], 4), "Received: none"),
        (([np.zeros((2, 2))], 4), "shape (2, 2)"),
        (([np.zeros((2, 2, 3)), np.zeros((2, 2, 1))], 4), "(height, width, 3)"),
        (([np.zeros((2, 5, 3))], 4), "shape (2, 5, 3)"),
        (([np.full((2, 2, 3), -0.5)], 4), "a pixel of -0.5"),
        (([np.full((2, 2, 3), np.nan)], 4), "a pixel of nan"),
        (([np.zeros((2, 2, 3))], 0), "size=0"),
    ],
)
def test_wrong_batches(call, words):
    with pytest.raises(ValueError) as caught:
        pad(*call)
    assert words in str(caught.value)
