"""Every efficient vision transformer, one `build()` away, measured honestly."""

from . import callbacks, data, interop, layers, train
from ._version import __version__
from .interop import load_pretrained, swap_mixer
from .train import CheckpointError, build, describe, load
from .zoo import list_models

__all__ = [
    "CheckpointError", "__version__", "build", "callbacks", "data", "describe", "interop", "layers", "list_models", "load",
    "load_pretrained", "swap_mixer", "train",
]  # fmt: skip
