"""Kernels: how one head's product is computed. To add one: a file, a line here, a line in `tests/rows.py`."""

from .base import Kernel
from .linformer import Linformer
from .nystrom import Nystrom
from .performer import Performer
from .softmax import Softmax

KERNELS = {
    "softmax": Softmax,
    "performer": Performer,
    "linformer": Linformer,
    "nystrom": Nystrom,
}

__all__ = ["KERNELS", "Kernel", "Linformer", "Nystrom", "Performer", "Softmax"]
