"""What a search may draw: small frozen records, and how each becomes a hyperparameter of Keras Tuner."""

import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import checks

PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Choice:
    """One of some values: words, numbers, True, False, None, or tuples of these, such as a width for each stage.

    >>> keras_vix.tune.Choice(["softmax", "nystrom"])
    Choice(values=('softmax', 'nystrom'))

    Args:
        values: at least one, none twice. The first is the default, where a tuner wants one.
    """

    values: tuple

    def __post_init__(self):
        if isinstance(self.values, (str, bytes)) or not isinstance(self.values, Sequence) or not self.values:
            raise ValueError(f"A choice needs a list of one value or more. Received: values={self.values!r}.")
        object.__setattr__(self, "values", tuple(frozen(value) for value in self.values))
        if len(set(self.labels)) < len(self.values):
            raise ValueError(f"A choice needs values that differ. Received: values={self.values!r}.")

    @property
    def labels(self) -> tuple:
        """The values as Keras Tuner can keep them: of one type, and neither None, nor tuples, nor True and False."""
        kinds = {type(value) for value in self.values}
        if kinds in ({str}, {int}, {float}):
            return self.values
        return tuple(value if isinstance(value, str) else json.dumps(value) for value in self.values)

    def declare(self, hp: Any, word: str) -> Any:
        """The value drawn for `word`; None where its condition does not hold."""
        return hp.Choice(word, list(self.labels))

    def decode(self, drawn: Any) -> Any:
        """The value behind what Keras Tuner keeps."""
        return self.values[self.labels.index(drawn)]


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included.

    >>> keras_vix.tune.Int(8, 64, step=2, log=True)
    Int(low=8, high=64, step=2, log=True)

    Args:
        low, high: the ends.
        step: distance of the values from each other, with `log` the factor between them; None: every whole number.
        log: whether equal factors, not equal distances, are equally likely; `low` is then above 0.
    """

    low: int
    high: int
    step: int | None = None
    log: bool = False

    def __post_init__(self):
        for name in ("low", "high"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), numbers.Integral):
                raise TypeError(f"`{name}` must be an integer. Received: {name}={getattr(self, name)!r}.")
        check_ends(self)
        if self.step is not None:
            checks.integer("step", self.step, 2 if self.log else 1)

    def declare(self, hp: Any, word: str) -> Any:
        """The value drawn for `word`; None where its condition does not hold."""
        return hp.Int(word, self.low, self.high, step=self.step, sampling="log" if self.log else "linear")

    def decode(self, drawn: Any) -> int:
        """What Keras Tuner keeps is the value."""
        return int(drawn)


@dataclass(frozen=True)
class Float:
    """A number from `low` to `high`.

    >>> keras_vix.tune.Float(1e-4, 1e-2, log=True)
    Float(low=0.0001, high=0.01, step=None, log=True)

    Args:
        low, high: the ends.
        step: as of `Int`; None: any number. A grid takes ten of them.
        log: as of `Int`.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self):
        for name in ("low", "high"):
            object.__setattr__(self, name, checks.number(name, getattr(self, name), -1e300, 1e300))
        check_ends(self)
        if self.step is not None:
            least = 1.0 if self.log else 0.0
            if checks.number("step", self.step, least, 1e300) == least:
                raise ValueError(f"`step` must be above {least:g}. Received: step={self.step!r}.")

    def declare(self, hp: Any, word: str) -> Any:
        """The value drawn for `word`; None where its condition does not hold."""
        return hp.Float(word, self.low, self.high, step=self.step, sampling="log" if self.log else "linear")

    def decode(self, drawn: Any) -> float:
        """What Keras Tuner keeps is the value."""
        return float(drawn)


KINDS = {"Choice": Choice, "Int": Int, "Float": Float}


def check_ends(record: Int | Float) -> None:
    """Refuse a range that is empty, or one that a logarithm cannot have.

    Raises:
        ValueError: it is so.
    """
    if not record.low < record.high:
        raise ValueError(f"`low` must be below `high`. Received: low={record.low!r}, high={record.high!r}.")
    if record.log and record.low <= 0:
        raise ValueError(f"`low` must be above 0 with log=True. Received: low={record.low!r}.")


def frozen(value: Any) -> Any:
    """A value that a choice may hold; lists become tuples."""
    if isinstance(value, (tuple, list)):
        return tuple(frozen(item) for item in value)
    if not isinstance(value, PLAIN):
        kind = type(value).__name__
        raise TypeError(f"A choice needs words, numbers, True, False, None or tuples of them. Received: {value!r}, a {kind}.")
    return value


def records(space: Mapping[str, Any]) -> dict[str, Any]:
    """A space as records: lists and tuples become choices.

    Raises:
        TypeError, ValueError: it is empty, or a value is none of these.
    """
    if not isinstance(space, Mapping) or not space:
        raise ValueError(f"`space` needs a word of `build` and its values, or more. Received: space={space!r}.")
    found = {}
    for word, values in space.items():
        if not isinstance(word, str) or not word.isidentifier():
            raise ValueError(f"`space` needs words of `build` as keys. Received: {word!r}.")
        if not isinstance(values, (list, tuple, *KINDS.values())):
            raise TypeError(f"`space` needs a list, Choice, Int or Float for each word. Received: {word}={values!r}.")
        try:
            found[word] = Choice(values) if isinstance(values, (list, tuple)) else values
        except (TypeError, ValueError) as error:
            raise type(error)(f"`space` has a wrong entry {word!r}. {error}") from error
    return found


def to_dict(record: Choice | Int | Float) -> dict[str, Any]:
    """A record as plain JSON values."""
    return {"kind": type(record).__name__, **vars(record)}


def from_dict(entry: Mapping[str, Any]) -> Choice | Int | Float:
    """The record that `to_dict` was given."""
    return KINDS[entry["kind"]](**{key: value for key, value in entry.items() if key != "kind"})
