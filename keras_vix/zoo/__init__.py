"""The zoo: plain data, and the functions that turn a name into a record, a description or a model."""

from .assemble import assemble
from .config import Config
from .configure import configure, find
from .describe import Description, describe, list_models
from .presets import PRESETS

__all__ = ["PRESETS", "Config", "Description", "assemble", "configure", "describe", "find", "list_models"]
