"""Kernels: how one head's product is computed. To add one: a file, a line here, a line in `tests/rows.py`."""

from .base import Kernel
from .linformer import Linformer
from .mixed import LSA, TalkingHeads
from .nystrom import Nystrom
from .performer import Performer
from .softmax import Softmax

KERNELS = {
    "softmax": Softmax,
    "performer": Performer,
    "linformer": Linformer,
    "nystrom": Nystrom,
    "lsa": LSA,
    "talking_heads": TalkingHeads,
}

__all__ = ["KERNELS", "LSA", "Kernel", "Linformer", "Nystrom", "Performer", "Softmax", "TalkingHeads"]
