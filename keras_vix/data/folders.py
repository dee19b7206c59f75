"""Images in folders of their classes, on disk or in a zip."""

from os import fsencode
from pathlib import Path
from posixpath import join

import numpy as np

from ..facts import DATASETS, Facts
from .arrays import sample_statistics, with_test
from .pictures import FILE_LIMIT, FORMATS, SUFFIXES, Pictures, header
from .splits import Split
from .trees import Tree

TRAIN, TESTS = "train", ("test", "val", "validation")
LOOKED_AT = 64  # classes whose first image tells the shape


class Files:
    """Images in the folders of a tree, read by their number.

    Args:
        tree: where the folders are.
        folders: their names.
        folder: number of each image's folder, (n,).
        name: each image's name in its folder as bytes, (n,): a million names take little more than their characters.
    """

    def __init__(self, tree: Tree, folders: list[str], folder: np.ndarray, name: np.ndarray) -> None:
        self.tree, self.folders, self.folder, self.name = tree, folders, folder, name

    def full(self, number: int) -> str:
        """The name of an image in the tree."""
        return join(self.folders[self.folder[number]], self.name[number].decode("utf-8", "surrogateescape"))

    def read(self, number: int, limit: int) -> bytes:
        """The content of one image's file."""
        return self.tree.read(self.full(number), limit)

    def where(self, number: int) -> str:
        """Its full name, for messages."""
        return self.tree.where(self.full(number))


def holds(tree: Tree) -> bool:
    """Whether images lie in folders of their classes, in `train` or at the top."""
    return any(_images(tree, join(top, name)) for top in (TRAIN, "") for name in tree.folders(top))


def read_folder(
    tree: Tree, size: tuple[int, int] | None, wanted: tuple[str, ...] | None = None
) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of `train/<class>/*` and `test`, `val` or `validation` beside it, or of `<class>/*` alone.

    Classes are numbered in the order of their names, and images follow theirs. Without a part to test, a fixed, stratified fifth
    serves. Nothing but the first image of some classes, and a sample for the pixel statistics, is opened.

    Args:
        tree: Where they are; it `holds` some.
        size: (height, width); None where all images have one shape.
        wanted: Only these classes, in this order.

    Raises:
        ValueError: A class without images, classes that do not agree, or images of several shapes without a size.
    """
    top = TRAIN if any(_images(tree, join(TRAIN, name)) for name in tree.folders(TRAIN)) else ""
    classes = _classes(tree, top, wanted)
    store, labels = _listed(tree, [join(top, name) for name in classes])
    _check_full(tree, top, classes, labels)
    shape, exact = _shape(store, labels, size)
    train = Split(Pictures(store, np.arange(len(labels)), shape, **_options(exact)), labels)
    test = _test(tree, classes, wanted, shape, exact) if top else None
    mean, std = sample_statistics(train.x)
    train, test = with_test(train, test)
    name = Path(tree.path).resolve().stem or "folder"
    name = f"{name}_folder" if name in DATASETS else name
    return train, test, Facts(name, shape, len(classes), mean, std, False, tuple(classes), f"folder {name}")


def _options(exact: bool) -> dict:
    return {"exact": exact, "formats": FORMATS, "limit": FILE_LIMIT}


def _classes(tree: Tree, top: str, wanted: tuple[str, ...] | None) -> list[str]:
    found = tree.folders(top)
    if wanted is None:
        return found
    missing = [name for name in wanted if name not in set(found)]
    if missing:
        raise ValueError(f"Each class needs its folder. Received: {tree.where(top)} without {missing[0]!r}; mend the list.")
    return list(wanted)


def _listed(tree: Tree, folders: list[str]) -> tuple[Files, np.ndarray]:
    """The images of the folders, and the number of each one's folder: its label."""
    names: list[bytes] = []
    labels: list[np.ndarray] = []
    for label, folder in enumerate(folders):
        found = _images(tree, folder)
        names += [fsencode(name) for name in found]
        labels.append(np.full(len(found), label, np.int32))
    numbers = np.concatenate(labels) if labels else np.empty(0, np.int32)
    return Files(tree, folders, numbers, np.array(names, np.bytes_)), numbers


def _images(tree: Tree, folder: str) -> list[str]:
    # Names with a dot in front are what file systems leave behind when they copy.
    return [name for name in tree.names(folder) if name.lower().endswith(SUFFIXES) and not name.startswith(".")]


def _check_full(tree: Tree, top: str, classes: list[str], labels: np.ndarray) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        where = tree.where(join(top, classes[empty[0]]))
        kinds = ", ".join(SUFFIXES)
        raise ValueError(f"Each class needs images ({kinds}). Received: {where} without any; add some, or remove the folder.")


def _test(tree: Tree, classes: list[str], wanted, shape: tuple[int, int, int], exact: bool) -> Split | None:
    """The first part to test that is in folders of classes; None without one."""
    for part in TESTS:
        found = [name for name in tree.folders(part) if _images(tree, join(part, name))]
        if not found:
            continue
        strange = sorted(set(found) - set(classes))
        if strange and wanted is None:
            where = tree.where(join(part, strange[0]))
            raise ValueError(f"Classes of one name in train and {part} are needed. Received: {where}, which train has not.")
        store, numbers = _listed(tree, [join(part, name) for name in classes])
        if not len(numbers):
            raise ValueError(f"Images to test of the chosen classes are needed. Received: {tree.where(part)} without any.")
        return Split(Pictures(store, np.arange(len(numbers)), shape, **_options(exact)), numbers)
    return None


def _shape(store: Files, labels: np.ndarray, size: tuple[int, int] | None) -> tuple[tuple[int, int, int], bool]:
    """(height, width, channels) to read images in, and whether each must have that height and width already."""
    _, first = np.unique(labels, return_index=True)
    some = first[np.linspace(0, len(first) - 1, min(LOOKED_AT, len(first))).astype(int)]
    seen = {header(store.read(number, FILE_LIMIT), store.where(number)) for number in some.tolist()}
    channels = max(shape[2] for shape in seen)
    if size:
        return (*size, channels), False
    sizes = {shape[:2] for shape in seen}
    if len(sizes) > 1:
        some = " and ".join(f"{height} x {width}" for height, width in sorted(sizes)[:2])
        where = repr(str(store.tree.path))
        raise ValueError(f"Images of one shape are needed. Received: {some} in {where}; give image_size=(height, width).")
    return (*sizes.pop(), channels), True
