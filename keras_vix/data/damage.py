"""Is a data set whole? Every record's checksum, every file of a list, every image of a folder; nothing is kept in memory."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import cache
from .archives import PART_KEYS, USER_KEYS, find_parts, read
from .catalogue import check_name, data_folder, prepared_folder
from .folders import holds, read_folder
from .imagenet import NAMES as IMAGENET, TFDS_NAME, find_folder
from .pictures import Lazy
from .prepared import KEPT_FROM, check_files, mend
from .records import count
from .sources import _is_tree
from .tiny_imagenet import NAME as TINY, find, read_tiny_imagenet
from .trees import open_tree

MOST = 20  # problems told of one set


class Verdict(NamedTuple):
    """What was found: the set, each problem in words (none: it is whole), and what was looked at.

    >>> name, problems, words = keras_vix.data.verify("digits")
    >>> problems, words
    ((), 'comes with this package')
    """

    name: str
    problems: tuple[str, ...]
    words: str


def verify(name: str | os.PathLike, data_dir: str | os.PathLike | None = None, full: bool = True) -> Verdict:
    """Look for damage in a data set that is on this machine.

    Of a set of TensorFlow Datasets every file must be there and hold as many records as `dataset_info.json` says, and each record
    must fit its checksum. Once it passed, a large set keeps a note in the cache folder, by size and time of change of each file:
    the next look is short, unless it is `full`. Of folders every image is decoded, or without `full` only found; of archives the
    checksums of their members are compared.

    >>> keras_vix.data.verify("digits").problems
    ()
    >>> np.savez("mine.npz", x_train=np.zeros(3))
    >>> keras_vix.data.verify("mine.npz").problems
    ('The archive must hold x_train, y_train, x_test, y_test. Received: x_train in mine.npz; add y_train, x_test, y_test.',)

    Args:
        name: a name or path as `load` takes it.
        data_dir: where data sets lie; as for `load`.
        full: whether to look at everything, however long it takes.

    Raises:
        ValueError: the name is of no known form.
        NotADirectoryError: `data_dir` is no folder.
    """
    folder = data_folder(data_dir)
    title = os.fspath(name)
    if _is_tree(name) or isinstance(name, os.PathLike) or title.endswith(".npz"):
        return _path(title, Path(name), full)
    if check_name(title) == "digits":
        return Verdict(title, (), "comes with this package")
    parts = find_parts(folder, title)
    if parts:
        return _told(title, (_archive(path, PART_KEYS) for path in parts), f"{len(parts)} archives")
    if re.split("[/:]", title)[0] == TINY:
        place = find(folder)
        return _path(title, place, full) if place else _absent(title)
    found = prepared_folder(folder, TFDS_NAME if title in IMAGENET else title)
    if found:
        return _prepared(title, found, folder, full)
    place = find_folder(folder) if title in IMAGENET else None
    return _path(title, place, full) if place else _absent(title)


def _absent(name: str) -> Verdict:
    return Verdict(name, (), "not on this machine")


def _told(name: str, problems: Iterator[str | None], words: str) -> Verdict:
    found = [problem for problem in problems if problem]
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return Verdict(name, (*found[:MOST], *more), words)


def _path(name: str, place: Path, full: bool) -> Verdict:
    """Of a folder, a zip or an archive."""
    try:
        if place.suffix == ".npz":
            return _told(name, iter([_archive(place, USER_KEYS)]), "an archive")
        tree = open_tree(place)
        splits = read_folder(tree, (1, 1))[:2] if holds(tree) else read_tiny_imagenet(place)[:2]
    except (ValueError, OSError) as error:
        return Verdict(name, (str(error),), str(place))
    total = sum(len(split.y) for split in splits)
    if not full:
        return Verdict(name, (), f"{total:,} images found, none looked into")
    return _told(name, (problem for split in splits for problem in _images(split.x)), f"{total:,} images decoded")


def _images(images: Lazy) -> Iterator[str]:
    """A problem of each image that cannot be decoded."""
    for name in images.names:
        try:
            images.read_all(np.array([name]), 1)
        except (ValueError, OSError) as error:
            yield str(error)


def _archive(path: Path, keys: tuple[str, ...]) -> str | None:
    try:
        read(path, keys)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def _prepared(name: str, place: Path, folder: Path, full: bool) -> Verdict:
    """Of the files that TensorFlow Datasets wrote."""
    try:
        listed = list(_files(place))
    except (ValueError, OSError) as error:
        return Verdict(name, (f"{error} {mend(name, place)}",), str(place))
    files = [path for path, _ in listed]
    total = sum(said for _, said in listed)
    words = f"{total:,} records in {len(files)} files, every checksum compared"
    missing = [problem for problem in map(_missing, files) if problem]
    if missing:
        return _told(name, (f"{problem} {mend(name, place)}" for problem in missing), words)
    if any(".tfrecord" not in path.name for path in files):
        return Verdict(name, (), f"{len(files)} files found; no TFRecord files, so their checksums were not compared")
    note = cache.folder_for(folder) / f"{re.sub('[^a-z0-9_.-]', '-', name)}-{cache.key(cache.state(files), listed)}.whole"
    if not full and note.exists():
        return Verdict(name, (), f"{words} before, and not changed since")
    verdict = _told(name, (problem and f"{problem} {mend(name, place)}" for problem in map(_records, listed)), words)
    if not verdict.problems and sum(path.stat().st_size for path in files) >= KEPT_FROM:
        cache.once(note, lambda begun: begun.write_text(f"{words}\n", encoding="utf-8"))
    return verdict


def _files(place: Path) -> Iterator[tuple[Path, int]]:
    """Each file that `dataset_info.json` tells of, and how many records it holds.

    Raises:
        ValueError: the file says nothing of the sort.
        OSError: it cannot be read.
    """
    path = place / "dataset_info.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        json.loads((place / "features.json").read_text(encoding="utf-8"))
        suffix = info.get("fileFormat", "tfrecord")
        for split in info["splits"]:
            lengths = [int(length) for length in split["shardLengths"]]
            template = split.get("filepathTemplate", "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}")
            for number, length in enumerate(lengths):
                shard = {"DATASET": info["name"], "SPLIT": split["name"], "FILEFORMAT": suffix}
                shard |= {"SHARD_X_OF_Y": f"{number:05d}-of-{len(lengths):05d}", "SHARD_INDEX": f"{number:05d}"}
                shard["NUM_SHARDS"] = f"{len(lengths):05d}"
                name = re.sub(r"\{(\w+)\}", lambda found: shard[found[1]], template)
                if "/" in name or "\\" in name:
                    raise ValueError(f"a file name {name!r}")
                yield place / name, length
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"A dataset_info.json and a features.json are needed. Received: {str(place)!r} ({said}).") from error


def _missing(path: Path) -> str | None:
    try:
        check_files([path])
    except ValueError as error:
        return str(error)
    return None


def _records(listed: tuple[Path, int]) -> str | None:
    """What is wrong with one file."""
    path, said = listed
    try:
        held = count(path)
    except (ValueError, OSError) as error:
        return str(error)
    if held == said:
        return None
    return f"As many records as dataset_info.json says are needed. Received: {str(path)!r} with {held:,} instead of {said:,}."
