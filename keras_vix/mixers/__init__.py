"""Mixers: which tokens talk, through which projections. To add one: a file, a line here, a line in `tests/rows.py`."""

from .atrous import AtrousAttention
from .attention import Attention
from .binary import BinaryAttention
from .conv import ConvAttention
from .fourier import FourierMixing
from .levit import LeViTAttention
from .partition import ShiftedWindow
from .token_mlp import TokenMLP
from .window import LocalAttention1D, LocalWindowAttention2D

MIXERS = {
    "attention": Attention,
    "binary_attention": BinaryAttention,
    "conv_attention": ConvAttention,
    "levit": LeViTAttention,
    "window": LocalWindowAttention2D,
    "window_1d": LocalAttention1D,
    "atrous": AtrousAttention,
    "fourier": FourierMixing,
    "token_mlp": TokenMLP,
}

__all__ = [
    "MIXERS",
    "AtrousAttention", "Attention", "BinaryAttention", "ConvAttention", "FourierMixing", "LeViTAttention", "LocalAttention1D",
    "LocalWindowAttention2D", "ShiftedWindow", "TokenMLP",
]  # fmt: skip
