"""Checks of single arguments: each returns the value in its plain type, or says what is needed."""

import difflib
import math
import operator
from collections.abc import Iterable

SEED_LIMIT = 2**32 - 1  # Keras' own
SIDE_LIMIT = 4096  # pixels; above it a mistyped size is likelier than an image


def whole(name: str, value: object, low: int, high: int) -> int:
    """`value` as an int in low..high.

    Raises:
        TypeError: It is no whole number (a bool is none).
        ValueError: It lies outside.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number in {low}..{high}. Received: {name}={value!r}; give an int.")
    number = operator.index(value)
    if not low <= number <= high:
        raise ValueError(f"{name} must lie in {low}..{high}. Received: {name}={number}; choose one inside.")
    return number


def fraction(name: str, value: object, high: float = 1.0) -> float:
    """`value` as a float in [0, high).

    Raises:
        TypeError: It is no number.
        ValueError: It lies outside or is NaN.
    """
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, 0 <= {name} < {high}. Received: {name}={value!r}; give a float.")
    number = float(value)
    if not (math.isfinite(number) and 0 <= number < high):
        raise ValueError(f"{name} must satisfy 0 <= {name} < {high}. Received: {name}={value!r}; choose one inside.")
    return number


def sides(name: str, value: object) -> tuple[int, int]:
    """`value` as (height, width) in pixels; one int means a square.

    Raises:
        ValueError: It is neither an int nor a pair of ints, or a side is outside 1..4096.
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    try:
        height, width = (whole(name, side, 1, SIDE_LIMIT) for side in pair)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be an int or a pair (height, width) of ints in 1..{SIDE_LIMIT}. "
            f"Received: {name}={value!r}; give for example 32 or (32, 48)."
        ) from None
    return height, width


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message: the known names most like `word`, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "known: " + ", ".join(sorted(names)[:20]) + (", ..." if len(names) > 20 else "") + "."
