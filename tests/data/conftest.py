"""Small sets, and the real ones where this machine has them."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_vix.data import load

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "tfds"


@pytest.fixture
def arrays():
    """Forty training and ten test images, 6 x 5 x 3, of five equal classes; one pixel tells an image's number."""
    x = np.full((50, 6, 5, 3), 200, np.uint8)
    x[:, 0, 0, 0] = np.arange(50)
    y = (np.arange(50) % 5).astype(np.int64)
    return x[:40], y[:40], x[40:], y[40:]


def real(name):
    """A prepared set, or a skip that says what is missing."""
    folder = Path(os.environ.get("TFDS_DATA_DIR") or BESIDE)
    if not (folder / name).is_dir():
        pytest.skip(f"{name} is not prepared in {folder}; set TFDS_DATA_DIR to a folder that has it")
    pytest.importorskip("tensorflow_datasets")
    return load(name, data_dir=folder, download=False)


@pytest.fixture(scope="session")
def mnist():
    return real("mnist")


@pytest.fixture(scope="session")
def cifar10():
    return real("cifar10")
