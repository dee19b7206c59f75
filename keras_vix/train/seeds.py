"""One seed for everything random in a process."""

import random
import sys

import keras
import numpy as np


def set_seed(seed: int) -> None:
    """Seed Python's and NumPy's generators and the backend's, as `keras.utils.set_random_seed` does.

    Where TensorFlow is installed but neither the backend nor imported, Keras' own call imports it, which takes several seconds;
    here it stays away. In a fresh process layers and initialisers draw the same either way: they follow Python's generator.
    """
    if keras.config.backend() == "tensorflow" or "tensorflow" in sys.modules:
        keras.utils.set_random_seed(seed)
        return
    random.seed(seed)
    np.random.seed(seed)
    if keras.config.backend() == "torch":
        import torch

        torch.manual_seed(seed)
