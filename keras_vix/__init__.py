"""Every efficient vision transformer, one `build()` away, measured honestly."""

from . import callbacks, data, interop, interpret, layers, train, tune
from ._version import __version__
from .bench.advise import advise
from .interop import export, load_pretrained, resize, swap_mixer
from .interpret import attention_maps, features
from .train import CheckpointError, build, describe, load
from .zoo import list_models

__all__ = [
    "CheckpointError", "__version__", "advise", "attention_maps", "build", "callbacks", "data", "describe",
    "export", "features", "interop", "interpret", "layers", "list_models", "load", "load_pretrained", "resize",
    "swap_mixer", "train", "tune",
]  # fmt: skip
