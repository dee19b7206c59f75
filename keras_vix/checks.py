"""Checks of users' arguments: each raises at once and names the argument, the value and what is allowed."""

import difflib
import math
import numbers


def integer(name: str, value, minimum: int = 1, maximum: int | None = None) -> int:
    """`value` as an int within `minimum` to `maximum`; booleans, strings and fractions are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}.")
    if value < minimum or (maximum is not None and value > maximum):
        limit = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ValueError(f"`{name}` must be {limit}. Received: {name}={value!r}.")
    return int(value)


def number(name: str, value, low: float, high: float, *, include_high: bool = False) -> float:
    """`value` as a finite float with `low <= value < high` (`<= high` with `include_high`)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}.")
    inside = low <= value < high or (include_high and value == high)
    if not math.isfinite(value) or not inside:
        sign = "<=" if include_high else "<"
        raise ValueError(f"`{name}` must satisfy {low} <= {name} {sign} {high}. Received: {name}={value!r}.")
    return float(value)


def rate(name: str, value) -> float:
    """A probability of dropping: `0 <= value < 1`."""
    return number(name, value, 0.0, 1.0)


def choice(name: str, value, allowed) -> str:
    """One of the words `allowed`; otherwise an error with the nearest of them."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}. Received: {name}={value!r}.{near(value, allowed)}")
    return value


def pair(name: str, value, minimum: int = 1) -> tuple[int, int]:
    """An int or a pair of ints as a pair `(rows, columns)`."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"`{name}` must be an integer or a pair of integers. Received: {name}={value!r}.")
        return integer(name, value[0], minimum), integer(name, value[1], minimum)
    return (integer(name, value, minimum),) * 2


def near(word, known) -> str:
    """` Did you mean ...?` for the known words that look like `word`, or nothing."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
