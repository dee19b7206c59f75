"""Recipes, compiling, and the front door."""

from .build import build, describe
from .compile import compile
from .load import load
from .losses import SmoothedCrossentropy
from .recipe import Recipe, recipe

__all__ = ["Recipe", "SmoothedCrossentropy", "build", "compile", "describe", "load", "recipe"]
