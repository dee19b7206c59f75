"""Weights of one model copied to another, each to the weight of the same role."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np

from ..parts import Tokens
from ..zoo.roles import roles
from .resample import grid_of, resize_offsets, resize_positions, resize_projection, resize_side_by_side

FRONT = 3  # tokens in front at most: of the class, of a teacher, and one more
# Owners of position tables and of projections of tokens: their names in models of this package, and by default.
POSITIONS = ("position", "learned_position")
PROJECTIONS = ("kernel", "projection", "linformer", "token_projection")
HEADS = ("head/logits/kernel", "head/hidden0/kernel")  # what may see all tokens side by side


class Report(NamedTuple):
    """What became of the weights, by their roles.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> new, report = keras_vix.swap_mixer(model, "linformer", m=16)
    >>> report.new, report.skipped, len(report.copied)
    (('stage0_block0_mixer/mixer/kernel/e', 'stage0_block0_mixer/mixer/kernel/f'), (), 21)

    Args:
        copied: weights of the target that have the source's values.
        new: weights of the target without a counterpart, which keep their start.
        interpolated: weights of the target that have the source's values resampled to another grid or window.
        skipped: weights of the source that went nowhere, for want of a counterpart or because of its shape.
    """

    copied: tuple[str, ...]
    new: tuple[str, ...]
    interpolated: tuple[str, ...]
    skipped: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(roles) for name, roles in self._asdict().items()}

    def __str__(self) -> str:
        rest = {name: roles for name, roles in self._asdict().items() if roles and name != "copied"}
        return "\n".join([f"copied {len(self.copied)}", *(f"{name} {len(roles)}: {some(roles)}" for name, roles in rest.items())])


class Sizes(NamedTuple):
    """What is known of a weight that depends on the number of tokens or on a window.

    Args:
        old, new: `(grid, prefix)`, where the tokens of its layer stand in both models.
        window: `(rows, columns)` of the windows whose biases it holds, in both models, or `None`.
    """

    old: Any
    new: Any
    window: Any = None


def some(roles, number: int = 6) -> str:
    """The first of many names."""
    rest = len(roles) - number
    return ", ".join(roles[:number]) + (f" and {rest} more" if rest > 0 else "")


def transfer(source: keras.Model | Mapping[str, Any], target: keras.Model, grid=None) -> Report:
    """Copy every weight whose role both models have, those that training does not move included.

    A role is the path of a weight without the numbers that Keras gives to layers of one kind, `patch_embedding/projection/kernel`
    or `stage0_block0_mixer/mixer/query/kernel`. So a ViT gives a Linformer of the same sizes all
    but the projections `E` and `F`, which stay new, and a Performer all but its features. The optimizer's slots are never copied.

    Where the images, and so the numbers of tokens, differ, position tables, tables of relative positions, Linformer's
    projections and the head behind tokens side by side (`pool="flatten"`) are resampled (`resample`); everything else of another
    shape stays new.

    >>> sizes = {"dataset": "digits", "dim": 16, "depth": 1, "num_heads": 2}
    >>> exact = keras_vix.build("transformer_global", **sizes)
    >>> linformer = keras_vix.build("transformer_global", kernel="linformer", m=4, **sizes)
    >>> keras_vix.interop.transfer(exact, linformer).new
    ('stage0_block0_mixer/mixer/kernel/e', 'stage0_block0_mixer/mixer/kernel/f')

    Args:
        source: a built model, or arrays by role, as `roles` gives them.
        target: a built model; its weights are changed.
        grid: `(rows, columns)` of the source's tokens; default that of a model of this package, otherwise a square.

    Returns:
        Roles that were copied, are new, were resampled, and were skipped. A weight of the same role and another shape that
        cannot be resampled is new and skipped.

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
    grids = grid or (token_grid(source) if isinstance(source, keras.Model) else None), token_grid(target)
    values, moved = fitting(given, wanted, *grids)
    if not values:
        raise ValueError(
            f"source and target must share a weight. Received: {len(given)} and {len(wanted)}, no two of one role and shape."
        )
    for role, value in values.items():
        wanted[role].assign(value)
    copied = tuple(role for role in values if role not in moved)
    new, skipped = (tuple(role for role in side if role not in values) for side in (wanted, given))
    return Report(copied, new, moved, skipped)


def fitting(
    given: Mapping[str, Any], wanted: Mapping[str, Any], old, new, known: Mapping[str, Sizes] = MappingProxyType({})
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Values for the weights of the same role, those of another shape resampled, and the roles of these.

    Args:
        given, wanted: weights or arrays, and weights, by role; what is of another shape and cannot be resampled is left out.
        old, new: `(rows, columns)` of both models' tokens, or `None`.
        known: by role, what is known of the sizes of a weight; of others it is told by its shape and the tokens.
    """
    values, moved = {}, []
    staged = any(role.startswith("stage1_") for role in wanted)  # the tokens that the head sees are not those of the embedding
    for role, weight in wanted.items():
        if role not in given:
            continue
        value = np.array(keras.ops.convert_to_numpy(given[role]))  # a copy: JAX reuses buffers
        if value.shape != shape(weight):
            value = refitted(role, value, shape(weight), old, new, known.get(role), staged)
            moved += [] if value is None else [role]
        if value is not None:
            values[role] = value
    return values, tuple(moved)


def refitted(role: str, value: np.ndarray, wanted: tuple[int, ...], old, new, known: Sizes | None, staged: bool):
    """The weight of a role for another number of tokens or another window, as far as its sizes are known or can be told."""
    if known is None or known.window is None and None in (known.old, known.new):
        return None if staged and role in HEADS else resized(role, value, wanted, old, new)
    if known.window is not None:
        return resize_offsets(value, *known.window) if value.shape[1:] == wanted[1:] else None
    (there, before), (here, after) = known.old, known.new
    return resized(role, value, wanted, there, here, before) if before == after else None


def resized(role: str, value: np.ndarray, wanted: tuple[int, ...], old, new, prefix: int = 0) -> np.ndarray | None:
    """The weight of a role for another number of tokens or another window; `None` if it is none that can be resampled.

    Args:
        role: of the weight; its last word says what it is.
        value: of the source.
        wanted: the shape of the target's.
        old, new: `(rows, columns)` of both models' tokens; `None` where not known, then a square.
        prefix: tokens in front of them, for a head that sees all side by side.
    """
    owner, name = ([""] + role.split(":")[0].split("/"))[-2:]
    if len(value.shape) != len(wanted):
        return None
    if name.startswith("relative_bias") and value.shape[1:] == wanted[1:]:
        windows = [square((math.isqrt(n) + 1) // 2, n) for n in (value.shape[0], wanted[0])]
        return None if None in windows else resize_offsets(value, *windows)
    if name == "table" and owner in POSITIONS and value.shape[1:] == wanted[1:]:
        grids = tokens_grids(value.shape[0], wanted[0], old, new)
        if grids is None:
            return None
        front = [rows - math.prod(grid) for rows, grid in zip((value.shape[0], wanted[0]), grids, strict=True)]
        return resize_positions(value, *grids, kept=front[1]) if front[1] <= front[0] else None
    if name in ("e", "f") and owner in PROJECTIONS and value.shape[:-1] == wanted[:-1]:
        grids = tokens_grids(value.shape[-1], wanted[-1], old, new)
        if grids is None or value.shape[-1] - math.prod(grids[0]) != wanted[-1] - math.prod(grids[1]):
            return None
        return resize_projection(value, *grids)
    if role in HEADS and old and new and value.shape[1:] == wanted[1:]:
        found = resize_side_by_side(value, old, new, prefix)
        return found if found is not None and found.shape == tuple(wanted) else None
    return None


def square(side: int, offsets: int):
    """The square window of so many offsets, if there is one."""
    return (side, side) if (2 * side - 1) ** 2 == offsets else None


def tokens_grids(there: int, here: int, old, new):
    """The grids of so many tokens of two models, with at most `FRONT` in front; `None` if they cannot be told."""
    found = []
    for tokens, grid in ((there, old), (here, new)):
        if grid and 0 <= tokens - math.prod(grid) <= FRONT:
            found.append(tuple(grid))
        else:
            grids = (grid_of(tokens - few, grid or (1, 1)) for few in range(min(FRONT, tokens - 1) + 1))
            found.append(next((one for one in grids if one), None))
    return None if None in found else tuple(found)


def token_grid(model: keras.Model) -> tuple[int, int] | None:
    """`(rows, columns)` of the tokens that a model of this package makes of an image; `None` if it makes none."""
    layer = next((layer for layer in model.layers if isinstance(layer, Tokens)), None)
    return None if layer is None else tuple(layer.input.shape[1:3])


def shape(weight: Any) -> tuple[int, ...]:
    """The shape of a variable or an array."""
    return tuple(weight.shape) if hasattr(weight, "shape") else np.shape(weight)
