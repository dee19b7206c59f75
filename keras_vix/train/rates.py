"""A learning rate for each weight: a factor of the schedule's, and for old weights none at all in the first steps."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from .. import checks
from ..base import register
from ..zoo.roles import named, roles

# Variables by name that decay would only pull towards zero without any regularising use; so are all of one dimension or none.
NO_DECAY = ("bias", "beta", "gamma", "table", "tokens", "relative_bias")
TOP = ("norm", "pool", "head", "logits")  # layers of a model of the zoo behind its last block
MOST = 1e3  # times the schedule's rate


class Layerwise:
    """What makes an optimizer of Keras one with a rate for each weight; everything happens in one compiled step.

    A weight's rate is that of the schedule times its factor; decoupled weight decay follows the same rate. While weights that
    are not `new` are frozen, their factor is 0: they keep every bit, and what the optimizer holds of their gradients goes on as
    in any step. So their first own step is one of a well-estimated direction and scale, not of an optimizer that knows nothing;
    the large gradients of the first steps, when new parts are far off, make it rather too short than too long.
    Frozen weights still cost their gradient. Limits on the norm of the gradient count that of all weights. Means of the weights
    (`use_ema`) take part in all steps; that of a weight which does not move equals it but for rounding.

    Args:
        rates: factors by pattern, `{"stage0_*": 0.1}` or pairs; of several patterns that match a weight's role the first counts,
            and without one the factor is 1. Roles are those of `interop.transfer`; `*` and `?` stand for any letters.
        new: patterns of the weights that move from the start.
        frozen_steps: batches for which all others are frozen. With gradient accumulation an update counts by its first batch.
        decay_all: whether decay also takes biases, normalisations, tokens, positions and all weights of one dimension or none.

    All of it is in the config, so a `.keras` file goes on where it stopped. All other arguments are those of Keras' optimizer.

    Raises:
        TypeError, ValueError: an argument makes no sense; at build, a pattern matches no weight.
    """

    def __init__(self, *args, rates=(), new=(), frozen_steps: int = 0, decay_all: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.rates = factors(rates)
        self.new = patterns("new", new)
        self.frozen_steps = checks.integer("frozen_steps", frozen_steps, 0)
        if not isinstance(decay_all, bool):
            raise TypeError(f"`decay_all` must be True or False. Received: decay_all={decay_all!r}.")
        self.decay_all = decay_all

    def build(self, variables):
        """Find each weight's factor, and make what the optimizer holds of it."""
        if self.built:
            return
        weights = named(variables)
        for pattern in (*dict(self.rates), *self.new):
            if not matching(weights, [pattern]):
                near = checks.near(pattern, weights, such_as(weights))
                raise ValueError(f"A pattern must match the role of a weight. Received: {pattern!r}.{near}")
        super().build(variables)
        fresh = matching(weights, self.new)
        self._factors = tuple(factor(role, self.rates) for role in weights)
        self._waits = tuple(bool(self.frozen_steps) and role not in fresh for role in weights)
        self._decays = tuple(self._use_weight_decay(w) and (self.decay_all or decays(w)) for w in weights.values())

    def update_step(self, gradient, variable, learning_rate):
        """The optimizer's own step at the weight's own rate, after the decay at that rate."""
        place = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self._factors[place]
        if self._waits[place]:
            batches = ops.convert_to_tensor(self.iterations) * (self.gradient_accumulation_steps or 1)
            rate = rate * ops.cast(batches >= self.frozen_steps, variable.dtype)
        if self.weight_decay and self._decays[place]:
            self.assign_sub(variable, variable * ops.cast(self.weight_decay, variable.dtype) * rate)
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        """Nothing: Keras would decay all weights at one rate; see `update_step`."""

    def get_config(self):
        """As the constructor, the factors as pairs: their order counts."""
        own = {"rates": [list(pair) for pair in self.rates], "new": list(self.new)}
        return super().get_config() | own | {"frozen_steps": self.frozen_steps, "decay_all": self.decay_all}


@register
class LayerwiseAdamW(Layerwise, keras.optimizers.AdamW):
    """AdamW with a rate for each weight and frozen first steps: `LayerwiseAdamW(1e-4, rates={"stage*": 0.1}, ...)`.

    Arguments, and what freezing means, are as in `Layerwise`; all others are those of `keras.optimizers.AdamW`.

    >>> body, head = keras.Variable([1.0], name="body"), keras.Variable([1.0], name="head")
    >>> optimizer = keras_vix.train.LayerwiseAdamW(0.1, rates={"body": 0.1})
    >>> optimizer.apply([ops.ones(1), ops.ones(1)], [body, head])
    >>> [round(ops.convert_to_numpy(weight).item(), 3) for weight in (body, head)]
    [0.99, 0.9]

    Source: rates that fall with depth: Clark et al. 2020, arXiv:2003.10555, appendix; Bao et al. 2021, arXiv:2106.08254.
    """


@register
class LayerwiseAdam(Layerwise, keras.optimizers.Adam):
    """Adam in the same way; its weight decay is decoupled as that of AdamW is."""


@register
class LayerwiseSGD(Layerwise, keras.optimizers.SGD):
    """Gradient descent in the same way; with momentum, that of a frozen weight stays 0."""


@register
class LayerwiseLion(Layerwise, keras.optimizers.Lion):
    """Lion in the same way."""


LAYERWISE = {"adamw": LayerwiseAdamW, "adam": LayerwiseAdam, "sgd": LayerwiseSGD, "lion": LayerwiseLion}


def layer_rates(
    model: keras.Model, new=(), layer_decay: float = 1.0, new_rate: float = 1.0, old_rate: float | None = None
) -> tuple[dict[str, float], list[str]]:
    """A factor for every trainable weight by role, and the roles of the new ones among them.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> rates, new = keras_vix.train.layer_rates(model, "head/*", layer_decay=0.5, old_rate=1.0)
    >>> new
    ['head/logits/kernel', 'head/logits/bias']
    >>> rates["head/logits/kernel"], rates["stage0_block1_mixer/mixer/query/kernel"], rates["position/table"]
    (1.0, 0.5, 0.125)

    Args:
        model: of this package, or any other as long as `layer_decay` is 1.
        new: roles or patterns of roles of its weights; those that training does not move are passed over.
        layer_decay: an old weight's factor is `old_rate * layer_decay**depth`, depth 0 for what stands behind the last block, 1
            for the last block, and so on, and the greatest for what stands before the first. A stage's reduction goes with its
            first block.
        new_rate: the factor of every new weight, however deep.
        old_rate: by default 0.1 where a new weight can be trained, otherwise 1.

    Raises:
        TypeError, ValueError: an argument makes no sense, or a name in `new` is that of no weight.
    """
    layer_decay = checks.number("layer_decay", layer_decay, 1e-3, 1.0, include_high=True)
    new_rate = checks.number("new_rate", new_rate, 0.0, MOST)
    everything, weights = roles(model), named(model.trainable_weights)
    chosen = set()
    for pattern in patterns("new", new):
        found = matching(everything, [pattern])
        if not found:
            near = checks.near(pattern, everything, such_as(everything))
            raise ValueError(f"`new` must name weights of the model. Received: {pattern!r}.{near}")
        chosen |= {id(everything[role]) for role in found}
    fresh = [role for role, weight in weights.items() if id(weight) in chosen]
    old_rate = (0.1 if fresh else 1.0) if old_rate is None else checks.number("old_rate", old_rate, 0.0, MOST)
    deep = depths(weights) if layer_decay < 1.0 else dict.fromkeys(weights, 0)
    return {role: new_rate if role in fresh else old_rate * layer_decay ** deep[role] for role in weights}, fresh


def depths(names: Iterable[str]) -> dict[str, int]:
    """How many layers each weight stands below the top of a model of the zoo, by its role; a block is one layer.

    Raises:
        ValueError: there are no blocks.
    """
    places = {name: re.match(r"stage(\d+)_(?:block(\d+)|reduce)", name) for name in names}
    places = {name: found and (int(found[1]), int(found[2] or 0)) for name, found in places.items()}
    blocks = sorted({place for place in places.values() if place})
    if not blocks:
        first = ", ".join([*places][:3])
        raise ValueError(f"`layer_decay` needs a model with blocks, stage0_block0 and so on. Received: {first}, ...")
    above = {place: len(blocks) - index for index, place in enumerate(blocks)}
    return {
        name: above[place] if place else 0 if name.split("/")[0] in TOP else len(blocks) + 1 for name, place in places.items()
    }


def decays(weight: Any) -> bool:
    """Whether weight decay has a use for this variable."""
    return len(weight.shape) > 1 and not re.search("|".join(NO_DECAY), weight.name)


def such_as(names: Iterable[str]) -> str:
    """The end of a message: two roles of a model, which has hundreds."""
    *_, low, high = ["", "", *names]
    return f" Roles are such as {low!r} and {high!r}, patterns such as {high.split('/')[0] + '/*'!r}."


def matching(names: Iterable[str], wanted: Iterable[str]) -> set[str]:
    """Those of the names that one of the patterns matches, or is."""
    wanted = list(wanted)
    return {name for name in names if any(name == one or fnmatch.fnmatchcase(name, one) for one in wanted)}


def factor(role: str, rates: Iterable[tuple[str, float]]) -> float:
    """The factor of the first pattern that matches, or 1."""
    return next((value for pattern, value in rates if matching([role], [pattern])), 1.0)


def factors(rates: Any) -> tuple[tuple[str, float], ...]:
    """Factors by pattern as pairs, checked."""
    pairs = tuple(rates.items() if isinstance(rates, Mapping) else rates)
    names = patterns("rates", [pair[0] for pair in pairs])
    return tuple((name, checks.number(name, value, 0.0, MOST)) for name, (_, value) in zip(names, pairs, strict=True))


def patterns(name: str, value: Any) -> tuple[str, ...]:
    """A pattern or several as a tuple, checked."""
    if not isinstance(value, Iterable):
        raise TypeError(f"`{name}` must hold roles or patterns of roles. Received: {name}={value!r}.")
    several = (value,) if isinstance(value, str) else tuple(value)
    for one in several:
        if not isinstance(one, str) or not one:
            raise TypeError(f"`{name}` must hold roles or patterns of roles. Received: {one!r}.")
    return several
