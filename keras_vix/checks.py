"""Checks of users' arguments: each raises at once and names the argument, the value and what is allowed."""

import difflib
import importlib
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


def odd(name: str, value) -> int:
    """A positive odd int, such as the side of a window with a middle."""
    if integer(name, value) % 2 == 0:
        raise ValueError(f"`{name}` must be odd. Received: {name}={value!r}.")
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
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}. Received: {name}={value!r}.{near(value, allowed, '')}")
    return value


def seed(name: str, value) -> int:
    """An int that Keras takes for a seed: 0 to 2**32 - 1."""
    return integer(name, value, 0, 2**32 - 1)


def several(name: str, values) -> tuple[int, ...]:
    """Positive integers, as a tuple."""
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"`{name}` must be a tuple of integers. Received: {name}={values!r}.")
    return tuple(integer(name, value) for value in values)


def pair(name: str, value, minimum: int = 1, maximum: int | None = None) -> tuple[int, int]:
    """An int or a pair of ints as a pair `(rows, columns)`."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"`{name}` must be an integer or a pair of integers. Received: {name}={value!r}.")
        return integer(name, value[0], minimum, maximum), integer(name, value[1], minimum, maximum)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"`{name}` must be an integer or a pair of integers. Received: {name}={value!r}.")
    return (integer(name, value, minimum, maximum),) * 2


def plain(name: str) -> bool:
    """Whether a file's name means one thing within one folder on any system: no path, no drive, not the folder above."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def near(word, known, otherwise: str | None = None) -> str:
    """The end of a message: ` Did you mean ...?` with the known words most like `word`, or all of them, or `otherwise`."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(word), names, n=3, cutoff=0.5)
    if close:
        return f" Did you mean {' or '.join(repr(name) for name in close)}?"
    return f" Known: {', '.join(names)}." if otherwise is None else otherwise


def unknown(owner: str, name: str, value, known) -> ValueError:
    """The error of an argument that `owner` does not have, with the nearest of those `known`, and all of them."""
    words = [str(word) for word in known]
    ends = f"{near(name, words, '')} Known: {', '.join(words) or 'none'}."
    return ValueError(f"{owner} has no argument `{name}`. Received: {name}={value!r}.{ends}")


def package(name: str, purpose: str, install: str | None = None):
    """The module of that name, imported now; otherwise an error that says what needs it and how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise
        raise ImportError(f"{purpose} needs {name}. Received: no such package; run pip install {install or name}.") from error
