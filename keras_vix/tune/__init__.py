"""Searching: spaces of models, for any tuner of Keras Tuner, and a search that can be stopped, shared and read."""

from .budget import BUDGETS
from .hypermodel import hypermodel
from .plot import plot
from .ready import space
from .results import Results, best, results
from .search import TUNERS, search
from .records import Choice, Float, Int

__all__ = ["BUDGETS", "TUNERS", "Choice", "Float", "Int", "Results", "best", "hypermodel", "plot", "results", "search", "space"]
