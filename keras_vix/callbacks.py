"""The public shelf of callbacks: `keras_vix.callbacks.Timing`, `keras_vix.callbacks.Redraw`."""

from .train.redraw import Redraw
from .train.timing import Timing

__all__ = ["Redraw", "Timing"]
