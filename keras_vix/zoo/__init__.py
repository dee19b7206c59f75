"""The zoo: plain data, and the functions that turn a name into a record, a description or a model."""

from .assemble import assemble
from .config import Config
from .configure import configure, find
from .decoding import decode
from .describe import Description, describe, list_models
from .presets import PRESETS
from .sequence import SEQUENCES, SequenceConfig, assemble_sequence, configure_sequence

__all__ = [
    "PRESETS", "SEQUENCES", "Config", "Description", "SequenceConfig", "assemble", "assemble_sequence", "configure",
    "configure_sequence", "decode", "describe", "find", "list_models",
]  # fmt: skip
