"""Recipes, compiling, and the front door."""

from .build import build, describe
from .compile import compile
from .distill import Distiller, distill
from .load import load
from .losses import SmoothedCrossentropy
from .recipe import Recipe, recipe

__all__ = ["Distiller", "Recipe", "SmoothedCrossentropy", "build", "compile", "describe", "distill", "load", "recipe"]
