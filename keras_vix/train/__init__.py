"""Recipes, compiling, and the front door."""

from .build import build, describe
from .compile import compile
from .load import load
from .losses import SmoothedCrossentropy
from .recipe import Recipe, recipe
from .sequence import InverseSqrt, SequenceCrossentropy, SequenceRecipe, TokenAccuracy, TokenCrossentropy

__all__ = [
    "InverseSqrt", "Recipe", "SequenceCrossentropy", "SequenceRecipe", "SmoothedCrossentropy", "TokenAccuracy",
    "TokenCrossentropy", "build", "compile", "describe", "load", "recipe",
]  # fmt: skip
