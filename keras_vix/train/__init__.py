"""Recipes, compiling, and the front door."""

from .build import build, describe
from .checkpoint import CheckpointError
from .compile import compile
from .distill import Distiller, distill
from .distill_attention import AttentionDistiller, distill_attention
from .finetune import finetune
from .load import load
from .losses import Accuracy, Crossentropy, SigmoidCrossentropy, SmoothedCrossentropy
from .rates import LayerwiseAdamW, layer_rates
from .recipe import Recipe, recipe
from .sequence import InverseSqrt, SequenceCrossentropy, SequenceRecipe, TokenAccuracy, TokenCrossentropy
from .sources import SOURCES

__all__ = [
    "Accuracy", "AttentionDistiller", "CheckpointError", "Crossentropy", "Distiller", "InverseSqrt", "LayerwiseAdamW", "Recipe",
    "SOURCES", "SequenceCrossentropy", "SequenceRecipe", "SigmoidCrossentropy", "SmoothedCrossentropy", "TokenAccuracy",
    "TokenCrossentropy", "build", "compile", "describe", "distill", "distill_attention", "finetune", "layer_rates", "load",
    "recipe",
]  # fmt: skip
