"""The names by which weights of different models are compared."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras


def roles(model: keras.Model) -> dict[str, Any]:
    """The weights of a built model by role, in their order; of several of one role the second ends in `:1`, and so on."""
    return named(model.weights)


def named(weights: Iterable[Any]) -> dict[str, Any]:
    """These weights by role, as `roles`, counted among themselves."""
    seen: Counter[str] = Counter()
    found = {}
    for weight in weights:
        role = unnumbered(weight.path)
        found[role if not seen[role] else f"{role}:{seen[role]}"] = weight
        seen[role] += 1
    return found


def unnumbered(path: str) -> str:
    """A path without the numbers that Keras gives to layers of one kind."""
    return "/".join(re.sub(r"_\d+$", "", part) for part in path.split("/"))
