"""Weights from elsewhere: from another model of this package, and into one with another attention."""

from .swap import swap_mixer
from .transfer import Report, transfer

__all__ = ["Report", "swap_mixer", "transfer"]
