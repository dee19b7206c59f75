"""Which search a folder belongs to: everything that decides what its trials are, as one JSON file."""

import dataclasses
import warnings
import zlib
from pathlib import Path
from typing import Any

from ..bench import store
from ..data import Data
from ..facts import DATASETS, Facts
from . import records
from .problem import Problem
from .repair import read

NAME, SCHEMA = "search.json", 1


def identity(problem: Problem, data: Data, **settings) -> dict[str, Any]:
    """A search as plain JSON values."""
    facts = dataclasses.asdict(data.facts)
    return store.plain({
        "schema": SCHEMA,
        "preset": problem.preset,
        "profile": problem.profile,
        "dataset": facts,
        "overrides": dict(problem.overrides),
        "space": {word: records.to_dict(record) for word, record in problem.space.items()},
        "images": {part: summary(getattr(data, part)) for part in ("train", "validation")},
        **settings,
    })  # fmt: skip


def summary(split: Any) -> dict[str, int] | None:
    """How many images a part has, and a checksum of their labels."""
    return None if split is None else {"number": len(split.y), "labels": zlib.crc32(split.y.tobytes())}


def claim(folder: Path, wanted: dict[str, Any], own: bool) -> None:
    """Make a folder that of a search, or find that it is.

    Args:
        own: whether this process may write that down; a worker leaves it to the chief.

    Raises:
        ValueError: it belongs to another search, and which words differ.
    """
    known = read(folder / NAME)
    if known is None and own:
        if any(folder.glob("trial_*")) and not (folder / f"{NAME}.damaged").exists():
            raise ValueError(f"A search needs a folder of its own. Received: directory={str(folder)!r}, with trials of another.")
        if (folder / f"{NAME}.damaged").exists():
            warnings.warn(f"{folder / NAME} was damaged: the trials in it are taken for those of this search.", stacklevel=3)
        store.write_text(folder / NAME, store.to_json(wanted))
    differing = [key for key in {**wanted, **(known or wanted)} if (known or wanted).get(key) != wanted.get(key)]
    if differing:
        key = differing[0]
        raise ValueError(
            f"The folder belongs to another search: {', '.join(differing)} differ. Received: directory={str(folder)!r} with "
            f"{key}={short((known or {}).get(key))}, and now {key}={short(wanted.get(key))}; give another folder."
        )


def short(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def problem_of(found: dict[str, Any]) -> Problem:
    """The preset and space that a folder's file tells of."""
    facts = Facts(**{key: tuple(value) if isinstance(value, list) else value for key, value in found["dataset"].items()})
    space = {word: records.from_dict(entry) for word, entry in found["space"].items()}
    overrides = {word: records.frozen(value) for word, value in found["overrides"].items()}
    return Problem(found["preset"], space, named(facts), found["profile"], overrides)


def named(facts: Facts) -> str | Facts:
    """The name of a data set that `build` knows, or its facts."""
    return facts.name if DATASETS.get(facts.name) == facts else facts
