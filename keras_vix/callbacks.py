"""The public shelf of callbacks: `keras_vix.callbacks.AtomicModelCheckpoint`, `Redraw`, `Timing`, `Watch`."""

from .train.checkpoint import AtomicModelCheckpoint
from .train.redraw import Redraw
from .train.timing import Timing
from .train.watch import TrainingWarning, Watch

__all__ = ["AtomicModelCheckpoint", "Redraw", "Timing", "TrainingWarning", "Watch"]
