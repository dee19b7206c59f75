"""The public shelf of callbacks: `keras_vix.callbacks.Timing`."""

from .train.timing import Timing

__all__ = ["Timing"]
