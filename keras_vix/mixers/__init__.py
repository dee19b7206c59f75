"""Mixers: which tokens talk, through which projections. To add one: a file, a line here, a line in `tests/rows.py`."""

from .attention import Attention
from .partition import ShiftedWindow
from .window import LocalAttention1D, LocalWindowAttention2D

MIXERS = {
    "attention": Attention,
    "window": LocalWindowAttention2D,
    "window_1d": LocalAttention1D,
}

__all__ = ["MIXERS", "Attention", "LocalAttention1D", "LocalWindowAttention2D", "ShiftedWindow"]
