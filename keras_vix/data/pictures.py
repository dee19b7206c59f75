"""JPEG files as one array of images that is decoded only when it is asked for."""

import io
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np

from .trees import Tree

LIMIT = 2**20  # bytes of one file
THREADS = 4
MODES = {1: "L", 3: "RGB"}


class Pictures:
    """Images (n, *shape), uint8, 0..255, of which only the names are known until `np.asarray` decodes them.

    Choosing some of them, `pictures[chosen]`, opens no file; so a `Split` may hold them in the place of its array.

    Args:
        tree: Where the files are.
        names: Their names in the tree, (n,).
        shape: (height, width, channels) that each must have, with 1 or 3 channels. Grey is repeated to three.
    """

    def __init__(self, tree: Tree, names: np.ndarray, shape: tuple[int, int, int]) -> None:
        self.tree, self.names, self.shape = tree, names, shape

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: np.ndarray) -> "Pictures":
        return Pictures(self.tree, self.names[chosen], self.shape)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All images decoded, in the order of the names.

        Raises:
            ImportError: Pillow is not installed.
            ValueError: A file is no whole JPEG, or of another size.
        """
        pillow = _pillow()
        x = np.empty((len(self), *self.shape), np.uint8)

        def fill(index: int) -> None:
            name = str(self.names[index])
            x[index] = decode(pillow, self.tree.read(name, LIMIT), self.shape, self.tree.where(name))

        with ThreadPoolExecutor(THREADS, thread_name_prefix="keras_vix_decode") as pool:
            for _ in pool.map(fill, range(len(self))):  # the first error, in the order of the names, comes out here
                pass
        return x  # NumPy itself sees to another dtype


def decode(pillow: ModuleType, content: bytes, shape: tuple[int, int, int], where: str) -> np.ndarray:
    """One JPEG as (height, width, channels), uint8. Its size is read from the header before any pixel is decoded.

    Raises:
        ValueError: No whole JPEG, or another size; the message says `where`.
    """
    height, width, channels = shape
    damage = (OSError, ValueError, pillow.DecompressionBombError, pillow.DecompressionBombWarning)
    try:
        with pillow.open(io.BytesIO(content), formats=("JPEG",)) as image:
            size = image.size
            pixels = np.asarray(image.convert(MODES[channels])) if size == (width, height) else None
    except pillow.UnidentifiedImageError as error:
        raise ValueError(f"A JPEG image is needed. Received: {where}, which is none; put the right file there.") from error
    except damage as error:
        raise ValueError(f"A whole JPEG image is needed. Received: {where} ({error}); copy it anew.") from error
    if pixels is None:
        raise ValueError(f"An image of {width} x {height} pixels is needed. Received: {where} of {size[0]} x {size[1]}.")
    return pixels.reshape(shape)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"Pillow is needed to decode JPEG images. Received: {error}; pip install pillow.") from error
    return Image
