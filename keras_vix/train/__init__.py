"""Recipes, compiling, and the front door."""

from .build import build, describe
from .checkpoint import CheckpointError
from .compile import compile
from .distill import Distiller, distill
from .load import load
from .losses import Accuracy, Crossentropy, SigmoidCrossentropy, SmoothedCrossentropy
from .recipe import Recipe, recipe
from .sequence import InverseSqrt, SequenceCrossentropy, SequenceRecipe, TokenAccuracy, TokenCrossentropy
from .sources import SOURCES

__all__ = [
    "Accuracy", "CheckpointError", "Crossentropy", "Distiller", "InverseSqrt", "Recipe", "SOURCES", "SequenceCrossentropy",
    "SequenceRecipe", "SigmoidCrossentropy", "SmoothedCrossentropy", "TokenAccuracy", "TokenCrossentropy", "build", "compile",
    "describe", "distill", "load", "recipe",
]  # fmt: skip
