"""Weights from elsewhere: from another model of this package, or from public checkpoints."""

from .hub import checkpoints
from .pretrained import load_pretrained, restore
from .sources import read
from .transfer import Report, transfer

__all__ = ["Report", "checkpoints", "load_pretrained", "read", "restore", "transfer"]
