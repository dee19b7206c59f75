"""Weights of one model copied to another, each to the weight of the same role."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np


class Report(NamedTuple):
    """What became of the weights, by their roles.

    Args:
        copied: weights of the target that have the source's values.
        new: weights of the target without a counterpart, which keep their start.
        skipped: weights of the source that went nowhere, for want of a counterpart or because of its shape.
    """

    copied: tuple[str, ...]
    new: tuple[str, ...]
    skipped: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(roles) for name, roles in self._asdict().items()}


def transfer(source: keras.Model | Mapping[str, Any], target: keras.Model) -> Report:
    """Copy every weight whose role and shape both models have, those that training does not move included.

    A role is the path of a weight without the numbers that Keras gives to layers of one kind, `patch_embedding/projection/kernel`
    or `stage0_block0_mixer/mixer/query/kernel`. So a ViT gives a Linformer of the same sizes all
    but the projections `E` and `F`, which stay new, and a Performer all but its features. The optimizer's slots are never copied.

    Args:
        source: a built model, or arrays by role, as `roles` gives them.
        target: a built model; its weights are changed.

    Returns:
        Roles that were copied, are new, and were skipped. A weight of the same role and another shape is new and skipped.

    Raises:
        TypeError: either is no such thing.
        ValueError: nothing fits; the target is as it was.
    """
    if not isinstance(target, keras.Model):
        raise TypeError(f"target must be a Keras model. Received: target={type(target).__name__}.")
    given = roles(source) if isinstance(source, keras.Model) else source
    if not isinstance(given, Mapping):
        raise TypeError(f"source must be a Keras model or arrays by role. Received: source={type(source).__name__}.")
    wanted = roles(target)
    copied = tuple(role for role, weight in wanted.items() if role in given and shape(given[role]) == shape(weight))
    if not copied:
        raise ValueError(
            f"source and target must share a weight. Received: {len(given)} and {len(wanted)}, no two of one role and shape."
        )
    for role in copied:
        wanted[role].assign(np.array(keras.ops.convert_to_numpy(given[role])))  # a copy: JAX reuses buffers
    new, skipped = (tuple(role for role in side if role not in copied) for side in (wanted, given))
    return Report(copied, new, skipped)


def roles(model: keras.Model) -> dict[str, Any]:
    """The weights of a built model by role, in their order; of several of one role the second ends in `:1`, and so on."""
    seen: Counter[str] = Counter()
    found = {}
    for weight in model.weights:
        role = "/".join(re.sub(r"_\d+$", "", part) for part in weight.path.split("/"))
        found[role if not seen[role] else f"{role}:{seen[role]}"] = weight
        seen[role] += 1
    return found


def shape(weight: Any) -> tuple[int, ...]:
    """The shape of a variable or an array."""
    return tuple(weight.shape) if hasattr(weight, "shape") else np.shape(weight)
