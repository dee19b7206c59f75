"""The public shelf of callbacks: `keras_vix.callbacks.AtomicModelCheckpoint`, `Redraw`, `Timing`."""

from .train.checkpoint import AtomicModelCheckpoint
from .train.redraw import Redraw
from .train.timing import Timing

__all__ = ["AtomicModelCheckpoint", "Redraw", "Timing"]
