"""Recipes, compiling, and the front door."""

from .build import build, describe
from .compile import compile
from .load import load
from .losses import Accuracy, Crossentropy, SigmoidCrossentropy, SmoothedCrossentropy
from .recipe import Recipe, recipe
from .sources import SOURCES

__all__ = [
    "Accuracy", "Crossentropy", "Recipe", "SOURCES", "SigmoidCrossentropy", "SmoothedCrossentropy", "build", "compile",
    "describe", "load", "recipe",
]  # fmt: skip
