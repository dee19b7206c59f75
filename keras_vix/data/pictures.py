"""Encoded images as one array that is decoded only where it is asked for."""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import Protocol, Self

import numpy as np

from .resize import resize

LIMIT = 2**20  # bytes of one file of equal images
FILE_LIMIT = 2**26  # bytes of one file of any image
PIXELS = 2**26  # of one image before it is made smaller
THREADS = 4
BLOCK = 256  # images decoded before they are resized together
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# What Pillow reads without another program and without a language of its own in the file.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm")


class Store(Protocol):
    """Where encoded images come from: a `Tree` by their names, or `Records` by their numbers."""

    def read(self, name: str, limit: int) -> bytes: ...

    def where(self, name: str) -> str: ...


class Lazy(ABC):
    """Images (n, height, width, channels), uint8, 0..255, that are read only when they are asked for.

    Choosing some, `images[chosen]`, reads nothing; `np.asarray(images)` reads them all. So a `Split` may hold them in the
    place of its array, and `batches` reads one batch at a time.

    Args:
        names: what stands for each image, (n,).
        image: (height, width, channels) of each.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, names: np.ndarray, image: tuple[int, int, int]) -> None:
        self.names, self.image = names, tuple(image)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, height, width, channels) of what is read."""
        return len(self), *self.image

    @property
    def nbytes(self) -> int:
        """Bytes of the images once they are read."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, chosen: np.ndarray | slice | int) -> "Lazy | np.ndarray":
        if isinstance(chosen, (int, np.integer)):
            return self.read_all(self.names[chosen : chosen + 1 or None], 1)[0]
        return self._with(self.names[chosen])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self.read()  # NumPy itself sees to another dtype

    def read(self, threads: int = THREADS) -> np.ndarray:
        """All images, in their order.

        Raises:
            ImportError: Pillow is needed and not installed.
            ValueError: an image cannot be read; the message says which and why.
        """
        return self.read_all(self.names, threads)

    @abstractmethod
    def sized(self, size: tuple[int, int]) -> Self:
        """The same images, resized to (height, width)."""

    @abstractmethod
    def read_all(self, names: np.ndarray, threads: int) -> np.ndarray:
        """The images of some names."""

    @abstractmethod
    def _with(self, names: np.ndarray) -> Self: ...


class Pictures(Lazy):
    """Encoded images in the files of a tree, or in records.

    Args:
        tree: Where they are.
        names: Their names in the tree, (n,).
        shape: (height, width, channels) with 1, 3 or 4 channels. Grey is repeated to three.
        exact: Whether each must have this height and width. If not, the largest part of that aspect is cut from the middle of
            each and resized, bilinear and antialiased.
        formats: What is accepted, in the words of Pillow.
        limit: Bytes of one encoded image.
        size: (height, width) to resize images of one shape to; None leaves them.
    """

    def __init__(
        self,
        tree: Store,
        names: np.ndarray,
        shape: tuple[int, int, int],
        *,
        exact: bool = True,
        formats: tuple[str, ...] = ("JPEG",),
        limit: int = LIMIT,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(names, shape if size is None else (*size, shape[2]))
        self.tree, self._shape, self._size = tree, tuple(shape), size
        self._exact, self._formats, self._limit = exact, formats, limit

    def sized(self, size: tuple[int, int]) -> "Pictures":
        if size == self.image[:2]:
            return self
        if self._exact:
            return self._like(self.names, self._shape, size)
        return self._like(self.names, (*size, self._shape[2]), None)

    def read_all(self, names: np.ndarray, threads: int) -> np.ndarray:
        pillow = _pillow()
        x = np.empty((len(names), *self.image), np.uint8)

        def fill(start: int) -> None:
            part = slice(start, start + step)
            block = np.empty((len(names[part]), *self._shape), np.uint8) if self._size else x[part]
            for place, name in zip(block, names[part].tolist()):
                content = self.tree.read(name, self._limit)
                place[...] = decode(pillow, content, self._shape, partial(self.tree.where, name), self._formats, self._exact)
            if self._size:
                x[part] = resize(block, self._size)

        step = max(1, min(BLOCK, -(-len(names) // threads)))
        starts = range(0, len(names), step)
        if threads == 1:
            for start in starts:
                fill(start)
            return x
        with ThreadPoolExecutor(threads, thread_name_prefix="keras_vix_decode") as pool:
            for _ in pool.map(fill, starts):  # the first error, in the order of the names, comes out here
                pass
        return x

    def _with(self, names: np.ndarray) -> "Pictures":
        return self._like(names, self._shape, self._size)

    def _like(self, names: np.ndarray, shape: tuple[int, int, int], size: tuple[int, int] | None) -> "Pictures":
        options = {"exact": self._exact, "formats": self._formats, "limit": self._limit}
        return Pictures(self.tree, names, shape, size=size, **options)


class Stored(Lazy):
    """Images of an array that lies on disk, memory-mapped: only the rows asked for are read.

    Args:
        array: (n, height, width, channels), uint8.
        names: numbers of the rows, or None for all.
    """

    def __init__(self, array: np.ndarray, names: np.ndarray | None = None) -> None:
        super().__init__(np.arange(len(array)) if names is None else names, array.shape[1:])
        self.array = array

    def sized(self, size: tuple[int, int]) -> "Stored":
        if size != self.image[:2]:
            raise ValueError(f"Stored images have one size. Received: size={size} for {self.image}; cache that size.")
        return self

    def read_all(self, names: np.ndarray, threads: int) -> np.ndarray:
        return np.array(self.array[names])

    def _with(self, names: np.ndarray) -> "Stored":
        return Stored(self.array, names)


def decode(
    pillow: ModuleType,
    content: bytes,
    shape: tuple[int, int, int],
    where: Callable[[], str],
    formats: tuple[str, ...] = ("JPEG",),
    exact: bool = True,
) -> np.ndarray:
    """One image as (height, width, channels), uint8. Its size is read from the header before any pixel is decoded.

    Raises:
        ValueError: No whole image of these formats, or another size; the message says `where`.
    """
    height, width, channels = shape
    damage = (OSError, ValueError, SyntaxError, pillow.DecompressionBombError, pillow.DecompressionBombWarning)
    what = "JPEG image" if formats == ("JPEG",) else "image"
    try:
        with pillow.open(io.BytesIO(content), formats=formats) as image:
            size = image.size
            fault = _fault(image, (width, height), exact)
            pixels = None if fault else np.asarray(_fitted(pillow, image, (width, height), MODES[channels]))
    except pillow.UnidentifiedImageError as error:
        kinds = "" if formats == ("JPEG",) else f" ({', '.join(formats)})"
        words = f"{'An' if kinds else 'A'} {what}{kinds} is needed"
        raise ValueError(f"{words}. Received: {where()}, which is none; put the right file there.") from error
    except damage as error:
        raise ValueError(f"A whole {what} is needed. Received: {where()} ({error}); copy it anew.") from error
    if fault:
        raise ValueError(f"{fault} is needed. Received: {where()} of {size[0]} x {size[1]}.")
    return pixels.reshape(shape)


def _fault(image, size: tuple[int, int], exact: bool) -> str:
    """What an image whose header was read ought to be and is not; empty if all is well."""
    if exact and image.size != size:
        return f"An image of {size[0]} x {size[1]} pixels"
    if image.size[0] * image.size[1] > PIXELS:
        return f"An image of at most {PIXELS:,} pixels"
    if image.mode.startswith(("I", "F")):
        return "An image of 8 bits a channel"
    return ""


def _fitted(pillow: ModuleType, image, size: tuple[int, int], mode: str):
    """The largest part of the aspect of `size`, cut from the middle, resized and converted."""
    image = image if image.mode == mode else image.convert(mode)
    if image.size == size:
        return image
    scale = min(image.size[0] / size[0], image.size[1] / size[1])
    part = [side * scale for side in size]
    left, top = ((whole - cut) / 2 for whole, cut in zip(image.size, part))
    return image.resize(size, pillow.Resampling.BILINEAR, box=(left, top, left + part[0], top + part[1]))


def header(content: bytes, where: str) -> tuple[int, int, int]:
    """(height, width, channels) of an encoded image, from its header alone; 1 channel for grey, else 3.

    Raises:
        ValueError: no image.
    """
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.size[1], image.size[0], 1 if image.mode in ("1", "L") else 3
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        kinds = ", ".join(FORMATS)
        raise ValueError(f"An image ({kinds}) is needed. Received: {where} ({error}); put the right file there.") from error


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"Pillow is needed to decode images. Received: {error}; pip install pillow.") from error
    return Image
