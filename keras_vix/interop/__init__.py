"""Weights from elsewhere, from another model of this package, from public checkpoints, into one with another attention; and
models for elsewhere, as files that other runtimes serve."""

from .export import export
from .exported import Exported, ExportError
from .hub import checkpoints
from .pretrained import load_pretrained, restore
from .sizes import resize
from .sources import read
from .swap import swap_mixer
from .transfer import Report, transfer

__all__ = [
    "ExportError", "Exported", "Report", "checkpoints", "export", "load_pretrained", "read", "resize", "restore", "swap_mixer",
    "transfer",
]  # fmt: skip
