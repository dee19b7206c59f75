"""Tiny ImageNet in the layout of its original zip: `wnids.txt`, `train/<id>/images`, `val/images`."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from posixpath import join

import numpy as np

from ..facts import DATASETS, Facts
from .pictures import Pictures
from .splits import Split
from .trees import Tree, open_tree, plain

NAME = "tiny_imagenet"
FOLDER = "tiny-imagenet-200"
IDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"
SUFFIX = ".JPEG"


def places(folder: Path) -> tuple[Path, Path, Path]:
    """Where the set may lie in a folder of data sets: extracted, as its zip, or as that folder itself."""
    return folder / FOLDER, folder / f"{FOLDER}.zip", folder / IDS


def find(folder: Path) -> Path | None:
    """The folder or zip of the set in, or at, a folder of data sets; None when there is neither."""
    inner, archive, ids = places(folder)
    if inner.is_dir():
        return inner
    if archive.is_file():
        return archive
    return folder if ids.is_file() or (folder.name == FOLDER and folder.is_dir()) else None


def read_tiny_imagenet(path: str | PathLike) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of a folder or zip: 64 x 64 x 3, not decoded yet; the validation images are the test part.

    The number of a class is the place of its id in `wnids.txt`, which may hold fewer classes than the original's
    200; folders of other ids are left alone. Classes are named after `words.txt` where it is there and knows them,
    else after their ids. Pixel statistics are those of the whole original set.

    Raises:
        FileNotFoundError: Nothing of that name.
        ValueError: Another layout; the message names the file.

    Source:
        Stanford CS231n, 2015. Its `test` folder has no labels and is not read.
    """
    tree = open_tree(Path(path))
    top = _top(tree)
    ids = _ids(tree, join(top, IDS))
    shape = DATASETS[NAME].input_shape
    train, test = (
        Split(Pictures(tree, np.array(names), shape), np.array(labels, np.int32))
        for names, labels in (_train(tree, top, ids), _test(tree, top, ids))
    )
    facts = replace(DATASETS[NAME], classes=len(ids), class_names=_class_names(tree, top, ids))
    return train, test, facts


def _top(tree: Tree) -> str:
    """Where in the tree `wnids.txt` lies: at its top, or in the folder that the original zip has there."""
    for top in ("", FOLDER):
        if IDS in tree.names(top):
            return top
    raise ValueError(
        f"{IDS} is needed, beside train/ and val/ as in the zip of Tiny ImageNet; or images in folders of their classes. "
        f"Received: {str(tree.path)!r}, which holds neither that, nor {FOLDER}/{IDS}; give a folder or zip of such a layout."
    )


def _ids(tree: Tree, name: str) -> list[str]:
    ids: dict[str, int] = {}
    for number, line in enumerate(tree.lines(name), 1):
        if not plain(line) or line in ids:
            fault = f"which line {ids[line]} holds already" if line in ids else "which is no name of a folder"
            here = f"line {number} of {tree.where(name)}"
            raise ValueError(f"Each line must be the id of one class. Received: {here}: {line!r}, {fault}; mend that line.")
        ids[line] = number
    if not ids:
        raise ValueError(f"At least one class is needed. Received: {tree.where(name)}, which is empty.")
    return list(ids)


def _train(tree: Tree, top: str, ids: list[str]) -> tuple[list[str], list[int]]:
    """Names and labels, class by class."""
    names, labels = [], []
    for label, wnid in enumerate(ids):
        folder = join(top, "train", wnid, "images")
        found = _images(tree, folder)
        if not found:
            raise ValueError(f"Each class needs images to train on. Received: {tree.where(folder)} without any {SUFFIX} file.")
        names += [join(folder, name) for name in found]
        labels += [label] * len(found)
    return names, labels


def _test(tree: Tree, top: str, ids: list[str]) -> tuple[list[str], list[int]]:
    """Names and labels of the validation images, in the order of their names."""
    folder, name = join(top, "val/images"), join(top, ANNOTATIONS)
    if Path(ANNOTATIONS).name not in tree.names(join(top, "val")):
        raise ValueError(f"{ANNOTATIONS} is needed. Received: {str(tree.path)!r} without it; copy the set anew.")
    labels = dict.fromkeys(_images(tree, folder), -1)
    numbers = {wnid: label for label, wnid in enumerate(ids)}
    for number, line in enumerate(tree.lines(name), 1):
        here = f"line {number} of {tree.where(name)}"
        image, wnid = [*line.split("\t"), "", ""][:2]
        # Looked up among the names that are there, so a path out of the folder is as unknown as any other.
        if labels.get(image) != -1:
            fault = "named before" if image in labels else f"not in {folder}"
            raise ValueError(f"Each line must name one image. Received: {here}: {image!r}, {fault}; mend that line.")
        if wnid not in numbers:
            raise ValueError(f"Each image must be of a class in {IDS}. Received: {here}: {wnid!r}; mend either file.")
        labels[image] = numbers[wnid]
    bare = [image for image, label in labels.items() if label == -1]
    if bare or not labels:
        fault = f"{len(bare)} without, such as {bare[0]!r}" if bare else "no image"
        raise ValueError(f"Images in {tree.where(folder)} with a line each in {ANNOTATIONS} are needed. Received: {fault}.")
    return [join(folder, image) for image in labels], list(labels.values())


def _images(tree: Tree, folder: str) -> list[str]:
    # Names with a dot in front are what file systems leave behind when they copy.
    return [name for name in tree.names(folder) if name.endswith(SUFFIX) and not name.startswith(".")]


def _class_names(tree: Tree, top: str, ids: list[str]) -> tuple[str, ...]:
    lines = tree.lines(join(top, WORDS)) if WORDS in tree.names(top) else []
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return tuple(words.get(wnid, wnid) for wnid in ids)
