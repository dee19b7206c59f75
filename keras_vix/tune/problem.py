"""What a search is about, as data: a preset, what is fixed of it, and what may be drawn."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import checks
from ..base import arguments
from ..facts import Facts
from ..train.build import divide, is_sequence
from ..train.recipe import NAMES as RECIPE_FIELDS
from ..train.recipe import Recipe, recipe
from ..zoo import Config, configure, find
from ..zoo.config import AXES, fields
from ..zoo.configure import default_dataset
from ..zoo.lookup import lookup
from .records import Choice, records

Scope = tuple[tuple[str, tuple], ...]  # of (word, values): each of the words was drawn as one of its values
TRIES = 30  # random points, of which one at least must be a model


@dataclass(frozen=True)
class Problem:
    """A preset and its space; every question about a point of it that needs no weight and no tuner.

    Args:
        preset, dataset, profile: as for `keras_vix.build`.
        space: words of `build` to records of `tune.space`.
        overrides: words of `build` that are the same in every trial. An option that the drawn choices do not ask for is left out.

    Raises:
        TypeError, ValueError: the preset is none for images, a word is unknown, or nothing in the space is a model.
    """

    preset: str
    space: Mapping[str, Any]
    dataset: str | Facts | None = None
    profile: str = "default"
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if is_sequence(self.preset):
            raise ValueError(f"A search needs a preset for images. Received: preset={self.preset!r}.")
        find(self.preset)
        object.__setattr__(self, "space", records(self.space))
        twice = sorted(set(self.space) & set(self.overrides))
        if twice:
            raise ValueError(f"A word is either drawn or fixed. Received: {', '.join(twice)} in the space and beside it.")
        self._check_words()
        object.__setattr__(self, "scopes", {word: self._scopes(word) for word in self.space})
        self._check_points()

    # ---- which words a choice makes meaningless ------------------------------------------------------------------------

    @property
    def order(self) -> list[str]:
        """The words, those that others depend on first."""
        axes = sorted((word for word in self.space if word in AXES), key=lambda word: list(AXES).index(word))
        return [*axes, *(word for word in self.space if word not in AXES)]

    def _asks(self, axis: str, value: Any) -> tuple[str, ...]:
        """What a part asks for by name; nothing if there is no such part, which is told when the point is tried."""
        with contextlib.suppress(TypeError, ValueError):
            part = lookup(AXES[axis], value, axis)
            return arguments(part) if part is not None else ()
        return ()

    def _drawn_axes(self) -> dict[str, tuple]:
        return {axis: self.space[axis].values for axis in AXES if isinstance(self.space.get(axis), Choice)}

    def _scopes(self, word: str) -> tuple[Scope, ...]:
        """The scopes in which a word means something, one of which must hold; the empty one always does."""
        if word == "kernel" and "mixer" in self.space:
            return self._under("mixer", lambda value: "kernel" in self._asks("mixer", value))
        if word in fields() or word in RECIPE_FIELDS:
            return ((),)
        if any(word in self._asks(axis, value) for axis, value in self._fixed_axes().items()):
            return ((),)
        found = [one for axis in self._drawn_axes() for one in self._under(axis, lambda value: word in self._asks(axis, value))]
        return ((),) if () in found or not found else tuple(found)

    def _under(self, axis: str, holds) -> tuple[Scope, ...]:
        values = self.space[axis].values
        good = tuple(label for value, label in zip(values, self.space[axis].labels, strict=True) if holds(value))
        if not good:
            return ()
        own = () if len(good) == len(values) else ((axis, good),)
        return tuple((*outer, *own) for outer in self._scopes(axis))

    def _fixed_axes(self) -> dict[str, Any]:
        """The choices that no drawn word decides."""
        start = configure(self.preset, dataset=self.dataset, profile=self.profile, **self._images())
        given = {axis: self.overrides.get(axis, getattr(start, axis)) for axis in AXES}
        return {axis: value for axis, value in given.items() if axis not in self.space}

    def _images(self) -> dict[str, Any]:
        return {word: self.overrides[word] for word in ("input_shape", "classes") if word in self.overrides}

    def _check_words(self) -> None:
        """Every word is a field of model or recipe, or an option of a part that may be chosen."""
        fixed = self._fixed_axes()
        parts = [(axis, value) for axis, value in fixed.items()]
        parts += [(axis, value) for axis, values in self._drawn_axes().items() for value in values]
        known = {*fields(), *RECIPE_FIELDS, *(name for axis, value in parts for name in self._asks(axis, value))}
        for word in (*self.space, *self.overrides):
            if word not in known:
                raise ValueError(f"`{word}` is no word of `build` that a choice here asks for.{checks.near(word, known)}")

    def _check_points(self) -> None:
        """At least one of some random points is a model, or the space is a mistake."""
        import random

        draw, errors = random.Random(0), []
        for _ in range(TRIES):
            try:
                self.point(self.random(draw))
                return
            except (TypeError, ValueError) as error:
                errors.append(str(error))
        raise ValueError(f"`space` needs points that are models; of {TRIES} random ones none is. The first says: {errors[0]}")

    def random(self, draw: Any) -> dict[str, Any]:
        """A random point, by a generator of Python's."""
        found: dict[str, Any] = {}
        for word in self.order:
            if self.active(word, found):
                found[word] = sample(self.space[word], draw)
        return found

    def active(self, word: str, drawn: Mapping[str, Any]) -> bool:
        """Whether a word means something beside those drawn before it."""
        labels = {name: label(self.space[name], value) for name, value in drawn.items()}
        return any(all(labels.get(name) in values for name, values in scope) for scope in self.scopes[word])

    # ---- a point -------------------------------------------------------------------------------------------------------

    def words(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """What `build` is given at a point: what is fixed, without options that the drawn choices leave without a meaning, and
        what was drawn.

        Raises:
            TypeError, ValueError: the choices fit no model.
        """
        own, axes = dict(self.overrides), {*AXES} & {*self.space}
        if axes:
            _, model = divide({**own, **drawn})
            bare = configure(self.preset, dataset=self.dataset, profile=self.profile,
                             **{word: value for word, value in model.items() if word in fields()})  # fmt: skip
            options = [word for word in own if word not in fields() and word not in RECIPE_FIELDS]
            own = {word: value for word, value in own.items() if word not in options or bare.claimants(word)}
        return {**own, **drawn}

    def point(self, drawn: Mapping[str, Any]) -> tuple[Config, Recipe]:
        """The model's record and the recipe at a point.

        Raises:
            TypeError, ValueError: they are none.
        """
        ours, model = divide(self.words(drawn))
        config = configure(self.preset, dataset=self.dataset, profile=self.profile, **model)
        return config, recipe(self.preset, self.dataset or default_dataset(self.preset), self.profile, **ours)

    def longest(self) -> int:
        """Epochs of a training, the most of those that may be drawn."""
        record = self.space.get("epochs")
        if record is not None:
            return max(record.values) if isinstance(record, Choice) else record.high
        ours, _ = divide(dict(self.overrides))
        return recipe(self.preset, self.dataset or default_dataset(self.preset), self.profile, **ours).epochs

    # ---- as Keras Tuner has it -----------------------------------------------------------------------------------------

    def declare(self, hp: Any) -> dict[str, Any]:
        """Declare the whole space, and give what is drawn in it."""
        found = {}
        for word in self.order:
            for scope in self.scopes[word]:
                with conditions(hp, scope):
                    value = self.space[word].declare(hp, word)
                if value is not None:
                    found[word] = self.space[word].decode(value)
        return found

    def decode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The words among the values that Keras Tuner keeps of a trial."""
        return {word: self.space[word].decode(values[word]) for word in self.order if word in values}


@contextlib.contextmanager
def conditions(hp: Any, scope: Scope) -> Iterator[None]:
    """Inside, hyperparameters are declared under all conditions of a scope."""
    with contextlib.ExitStack() as stack:
        for word, values in scope:
            stack.enter_context(hp.conditional_scope(word, list(values)))
        yield


def label(record: Any, value: Any) -> Any:
    """A value as Keras Tuner keeps it."""
    return record.labels[record.values.index(value)] if isinstance(record, Choice) else value


def sample(record: Any, draw: Any) -> Any:
    """A random value of a record."""
    if isinstance(record, Choice):
        return draw.choice(record.values)
    share = draw.random()
    if record.log:
        value = record.low * math.exp(share * math.log(record.high / record.low))
    else:
        value = record.low + share * (record.high - record.low)
    return round(value) if isinstance(record.low, int) else value
