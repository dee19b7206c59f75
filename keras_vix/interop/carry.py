"""What goes over from a model to the one made anew of it: weights by the layers that they belong to, and how it is compiled."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras

from ..base import Layer
from ..kernels import Performer
from ..train.compile import scaled
from ..zoo.roles import roles, unnumbered
from .rebuild import Rebuild
from .sites import is_graph, sites, windows
from .successors import Choice
from .transfer import Report, Sizes, fitting, token_grid


def pairing(work: Rebuild, choice: Choice) -> list[tuple[Any, Any]]:
    """Weights of the old layers and those of the same place and meaning in the new ones."""
    kernels, apart = {}, set()
    for pair in choice.pairs:
        for layer in pair:
            kernels |= {id(weight): layer.kernel.name for weight in layer.kernel.weights}
        apart |= {id(weight) for weight in unlike(*pair)}
    found = []
    for old, new in work.made.values():
        if isinstance(old, keras.layers.Layer) and not (isinstance(old, keras.Model) and is_graph(old)):
            here = inside(new, kernels)
            there = {key: weight for key, weight in inside(old, kernels).items() if id(weight) not in apart}
            found += [(weight, here[key]) for key, weight in there.items() if key in here]
    return found


def unlike(old: Layer, new: Layer) -> list:
    """Weights of a mixer that mean something else under the same name in its successor."""
    weights = []
    if isinstance(old.kernel, Performer) and isinstance(new.kernel, Performer):
        if any(getattr(old.kernel, name) != getattr(new.kernel, name) for name in ("m", "projection", "length")):
            weights += old.kernel.weights
    shapes = [layer.window for layer in (old, new) if getattr(layer, "window", None)]
    runs = type(old) is not type(new) and any(len(set(window)) > 1 for window in shapes)  # a table of runs is none of windows
    if len(shapes) == 2 and shapes[0] != shapes[1] and runs:
        weights += [weight for weight in old.weights if weight.name.startswith("relative_bias")]
    return weights


def inside(layer: keras.layers.Layer, kernels: Mapping[int, str]) -> dict[str, Any]:
    """The weights of a layer by their path in it, kernels that came or went under one name."""
    seen: Counter = Counter()
    found = {}
    for weight in layer.weights:
        *parts, name = weight.path.removeprefix(f"{layer.path}/").split("/")
        key = unnumbered("/".join(["kernel" if part == kernels.get(id(weight)) else part for part in parts] + [name]))
        found[f"{key}:{seen[key]}"] = weight
        seen[key] += 1
    return found


def sizes(work: Rebuild, model: keras.Model, made: keras.Model) -> dict[int, Sizes]:
    """By the id of each new weight, where the tokens of its layer stood and stand, and its window before and after."""
    before, after, found = sites(model), sites(made), {}
    for old, new in work.made.values():
        here = before.get(id(old)), after.get(id(new))
        if None not in here and isinstance(new, keras.layers.Layer):  # an operation, such as a sum, has no weights
            found |= {id(weight): Sizes(*here) for weight in new.weights}
        for (_, there), (table, window) in zip(windows(old), windows(new)):
            found[id(table)] = Sizes(*here, (there, window))
    return found


def carry(work: Rebuild, model: keras.Model, made: keras.Model, pairs: list[tuple[Any, Any]]) -> Report:
    """Give the new weights the values of their counterparts, and say what became of all."""
    wanted, known = roles(made), sizes(work, model, made)
    names = {id(weight): role for role, weight in wanted.items()}
    given = {names[id(new)]: old for old, new in pairs if id(new) in names}
    known = {names[key]: value for key, value in known.items() if key in names}
    values, moved = fitting(given, wanted, token_grid(model), token_grid(made), known)
    for role, value in values.items():
        wanted[role].assign(value)
    went = {id(given[role]) for role in values}
    copied = tuple(role for role in values if role not in moved)
    new = tuple(role for role in wanted if role not in values)
    return Report(copied, new, moved, tuple(role for role, weight in roles(model).items() if id(weight) not in went))


def compile_like(model: keras.Model, made: keras.Model, pairs: list[tuple[Any, Any]]) -> None:
    """Compile with the settings of another model, whose optimizer decays the same weights.

    Raises:
        ValueError: its settings hold something that cannot be made anew.
    """
    try:
        how = keras.saving.deserialize_keras_object(model.get_compile_config())
    except (AttributeError, TypeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"`model` is compiled with something that cannot be made anew. Received: {reason}; use compile=False, and compile."
        ) from error
    before = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    still = {id(new) for old, new in pairs if old.trainable and not before._use_weight_decay(old)}
    if isinstance(how["optimizer"], keras.optimizers.Optimizer):
        inner = getattr(how["optimizer"], "inner_optimizer", how["optimizer"])
        known = {id(new) for _, new in pairs}
        kept = [w for w in made.trainable_variables if id(w) in still or id(w) not in known and undecayed(w)]
        if still:
            inner.exclude_from_weight_decay(var_list=kept)
        how["optimizer"] = scaled(made, how["optimizer"])
    made.compile(**how)
    made.optimizer.build(made.trainable_variables)  # or a file saved before training would not load whole


def undecayed(weight) -> bool:
    """Whether decay would only pull a new weight towards zero: a vector, or a table of biases."""
    return len(weight.shape) < 2 or weight.name.startswith("relative_bias")
