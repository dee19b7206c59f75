"""Weights from elsewhere: from another model of this package, from public checkpoints, and into one with another attention."""

from .hub import checkpoints
from .pretrained import load_pretrained, restore
from .sizes import resize
from .sources import read
from .swap import swap_mixer
from .transfer import Report, transfer

__all__ = ["Report", "checkpoints", "load_pretrained", "read", "resize", "restore", "swap_mixer", "transfer"]
