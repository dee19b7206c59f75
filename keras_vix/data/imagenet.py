"""ImageNet, and a hundred classes of it, from what the user has: a set of TensorFlow Datasets, or folders of JPEG files."""

import os
from dataclasses import replace
from pathlib import Path

from ..facts import DATASETS, Facts
from .folders import TRAIN, holds, read_folder
from .splits import Split
from .trees import Folder, open_tree

NAMES = ("imagenet", "imagenet100")
TFDS_NAME = "imagenet2012"
PLACES = ("imagenet", TFDS_NAME, "ILSVRC2012", "")
VARIABLE = "KERAS_VIX_IMAGENET100"
LIST = "imagenet100.txt"


def find_folder(folder: Path) -> Path | None:
    """A folder of data sets' own folder of ImageNet, with `train/<id>/*.JPEG`, or itself if it is one."""
    for place in PLACES:
        if (folder / place / TRAIN).is_dir() and holds(Folder(folder / place)):
            return folder / place
    return None


def class_list(name: str, folder: Path) -> tuple[str, ...] | None:
    """The classes that a name stands for: None, all, for ImageNet itself; for `imagenet100` those of the user's list.

    The list is the file $KERAS_VIX_IMAGENET100, or `imagenet100.txt` in the folder of data sets: an id such as n01440764 a line.

    Raises:
        FileNotFoundError: No list.
        ValueError: Not a hundred different ids.
    """
    if name != "imagenet100":
        return None
    path = Path(os.environ.get(VARIABLE) or folder / LIST).expanduser()
    found = read_list(path)
    if len(found) != DATASETS[name].classes:
        raise ValueError(f"A list of 100 classes is needed. Received: {str(path)!r} with {len(found)}; mend it.")
    return found


def read_list(path: Path) -> tuple[str, ...]:
    """The classes named in a text, one a line; what follows the name on its line, and lines that begin with #, are left out.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No text, no class, or one of them twice.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"A list of classes, one a line, is needed. Received: {str(path)!r}, which is not there; write that file, or name "
            f"another, for imagenet100 as ${VARIABLE}."
        )
    lines = open_tree(path.parent).lines(path.name)
    found = tuple(line.split()[0] for line in lines if line and not line.startswith("#"))
    twice = sorted(name for name in set(found) if found.count(name) > 1)
    if twice or not found:
        raise ValueError(f"A list of different classes is needed. Received: {str(path)!r} with {twice[:1] or 'none'}; mend it.")
    return found


def read_imagenet(
    name: str, place: Path, size: tuple[int, int] | None, wanted: tuple[str, ...] | None
) -> tuple[Split, Split, Facts]:
    """(train, test, facts) of a folder `train/<id>/*.JPEG`, `val/<id>/*.JPEG`; classes are numbered in the order of their ids.

    Raises:
        ValueError: Another layout, or a class of the list that is not there.
    """
    train, test, found = read_folder(open_tree(place), size, wanted)
    known = DATASETS[name]
    return train, test, replace(known, input_shape=found.input_shape, classes=found.classes, class_names=found.class_names)
