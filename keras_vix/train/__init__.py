"""Recipes, compiling, and the front door."""

from .build import build, describe
from .compile import compile
from .load import load
from .losses import Accuracy, Crossentropy, SigmoidCrossentropy, SmoothedCrossentropy
from .recipe import Recipe, recipe
from .sequence import InverseSqrt, SequenceCrossentropy, SequenceRecipe, TokenAccuracy, TokenCrossentropy
from .sources import SOURCES

__all__ = [
    "Accuracy", "Crossentropy", "InverseSqrt", "Recipe", "SOURCES", "SequenceCrossentropy", "SequenceRecipe",
    "SigmoidCrossentropy", "SmoothedCrossentropy", "TokenAccuracy", "TokenCrossentropy", "build", "compile", "describe", "load",
    "recipe",
]  # fmt: skip
