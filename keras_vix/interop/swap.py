"""Another attention in a trained model, or another image or number of classes: a new model, and what became of the weights."""

import contextlib
import inspect
import math
import numbers
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from .. import checks
from ..base import Layer, arguments
from ..kernels import KERNELS, Linformer, Performer, Softmax, TalkingHeads
from ..kernels.performer import SOFTMAX
from ..layers import (
    LinformerAttention,
    LocalitySelfAttention,
    NystromAttention,
    PerformerAttention,
    TalkingHeadsAttention,
)
from ..mixers import AtrousAttention, Attention, ConvAttention, LocalAttention1D, LocalWindowAttention2D
from ..mixers.attention import takes
from ..zoo.lookup import lookup
from ..zoo.roles import roles, unnumbered
from .rebuild import Rebuild, again, is_graph, leaves
from .transfer import Report, fitting, token_grid

SHELF = (PerformerAttention, LinformerAttention, NystromAttention, LocalitySelfAttention, TalkingHeadsAttention)
FAMILY = (Attention, ConvAttention, LocalWindowAttention2D, AtrousAttention)
# Mixers of the same four projections and nothing else that is learned: these can take each other's places.
PLAIN = (Attention, *SHELF, LocalWindowAttention2D, LocalAttention1D, AtrousAttention)
TARGETS = {"attention": Attention, "window": LocalWindowAttention2D, "atrous": AtrousAttention}
# What the weights of a mixer are made for: never an option, always as it was.
SHAPING = ("num_heads", "key_dim", "use_bias", "qkv_bias", "kv_heads", "tie_kv", "rope", "out_dropout")
FIXED = (*SHAPING, "kernel", "prefix", "kv_stride", "conv_epsilon", "batch_epsilon", "attention_activation")
# What not every mixer can do, and the values that ask nothing of it.
DEMANDS: dict[str, tuple] = {"rope": (None,), "kv_heads": (None,), "tie_kv": (False,), "conv_size": (1,), "qkv_bias": (None,)}


def swap_mixer(
    model: keras.Model,
    kernel: str | type | None = None,
    m: int | None = None,
    *,
    mixer: str | None = None,
    blocks: int | slice | list | tuple | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    seed: int = 0,
    compile: bool = True,
    **options: Any,
) -> tuple[keras.Model, Report]:
    """A new model with another attention in its blocks, all other weights copied; the given model stays as it is.

        new, report = keras_vix.swap_mixer(model, "nystrom", m=64)
        new, report = keras_vix.swap_mixer(model, "linformer", m=128, input_shape=(512, 512, 3), classes=10)
        new, report = keras_vix.swap_mixer(model, mixer="atrous", window=8, rates=(1, 2), blocks=slice(6, None))

    The model may be one of `build`, one from a file, or any other functional or sequential model with attention layers of
    `keras_vix.layers`, bare or in a `Residual`, also in models inside it. Every layer is made anew of its own configuration,
    under its name and policy. Left as they are: class attention, which is linear in the tokens already, the token
    transformers in front of a T2T-ViT, and mixers without a kernel.

    Args:
        model: a built functional or sequential model; its layers and optimizer are not touched.
        kernel: `softmax`, `performer`, `linformer`, `nystrom`, `lsa`, `talking_heads`, or a class; default as it was.
        m: the rank of a kernel that has one. Needed, except from a kernel of the same class, whose own it keeps, and for
            Performers whose features do without (`relu`, `exp` and `elu` with `m=None`).
        mixer: `attention` (over all tokens), `window` (2-D windows) or `atrous` (windows at several rates of dilation, the
            hybrid); default as it was. Where tokens stand in front of the others, or queries, keys and values have no bias while
            the output has, `window` is `AtrousAttention(rates=(1,))`, which has these and no shift.
        blocks: which attention layers, counted from 0 in the order of their calls: an index, a slice, or several indices;
            default all.
        input_shape: `(height, width, channels)` of other images; default as they were. Positions are interpolated, grids follow.
        classes: number of classes of a new head; one of as many classes as before is copied.
        seed: of everything random in the new layers.
        compile: whether to compile the new model as the old one is, if that is: a new optimizer of the same settings, without its
            state. Weights that it left out of weight decay are left out, and new vectors.
        options: arguments of the kernel (`features`, `iterations`, `share`, ...) and of the mixer (`window`, `rates`,
            `relative_bias`, ...); `shift` goes to every second of the swapped layers on a grid; `grid` where the model does not
            tell it.

    What is not said stays: a kernel of the same class keeps its arguments, one of another takes over the dropout. Linformer
    starts from means of runs of tokens (`start="pool"`), talking heads from mixings that do nothing, unless `start` or `mix_std`
    say otherwise. Weights of one name go from kernel to kernel: learned scales, the projections of a Linformer of as many rows,
    those of a Performer with as many features drawn alike.

    Returns:
        The new model, and a `Report` of roles: `copied`, `interpolated` and `new` name weights of the new model, as
        `interop.transfer.roles` does, `skipped` those of the old one.

    Raises:
        TypeError, ValueError: for anything unknown or that does not fit; nothing is changed by then.

    Source: Choromanski et al. 2020, arXiv:2009.14794, section 4 (weights of exact attention in a linear one, then fine-tuned);
    positions at another resolution: Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2.
    """
    check(model, kernel, mixer, blocks, input_shape, classes, compile)
    mixers = mixers_of(model)
    cls = None if kernel is None else lookup(KERNELS, kernel, "kernel")
    choice = Choice(cls, m, mixer, checks.seed("seed", seed), options)
    chosen = {} if kernel is mixer is None else choose(mixers, blocks)
    choice.check(list(chosen.values()))
    changes = {id(old): partial(choice.make, old, place) for place, old in chosen.items()}
    if classes is not None:
        changes |= new_head(model, checks.integer("classes", classes))
    work = Rebuild(changes)
    with seeded(seed):
        made = work.model(model, inputs_for(model, input_shape))
    made = of_class(model, made)
    pairs = pairing(work, choice)
    report = carry(model, made, pairs)
    choice.begin()
    if compile and model.compiled:
        compile_like(model, made, pairs)
    return made, report


def check(model, kernel, mixer, blocks, input_shape, classes, compile) -> None:
    """Find the mistakes that need no layer."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: model={type(model).__name__}.")
    if not is_graph(model):
        raise ValueError(
            "`model` must be functional, keras.Model(inputs, outputs), or a built keras.Sequential, to be made anew. "
            f"Received: a {type(model).__name__}; of a Distiller swap the `student`."
        )
    if not isinstance(compile, bool):
        raise TypeError(f"`compile` must be True or False. Received: compile={compile!r}.")
    if mixer is not None:
        checks.choice("mixer", mixer, TARGETS)
    if kernel is mixer is input_shape is classes is None:
        raise ValueError("One of `kernel`, `mixer`, `input_shape` and `classes` is needed. Received: none of them.")
    if kernel is mixer is None and blocks is not None:
        raise ValueError(f"`blocks` says where a `kernel` or `mixer` goes. Received: blocks={blocks!r}, and neither of them.")


def mixers_of(model: keras.Model) -> list[Layer]:
    """The attention layers with a kernel that can be another, in the order of their calls."""
    found: dict[int, Layer] = {}
    for layer in leaves(model):
        found |= {id(mixer): mixer for mixer in mixers_in(layer)}
    return list(found.values())


def mixers_in(layer) -> Iterator[Layer]:
    """`layer` itself, or those among its arguments."""
    if isinstance(layer, FAMILY) and (type(layer) in SHELF or "kernel" in arguments(type(layer))):
        yield layer
    elif isinstance(layer, Layer):
        for name in arguments(type(layer)):
            yield from mixers_in(getattr(layer, name, None))


def choose(mixers: list[Layer], blocks) -> dict[int, Layer]:
    """The mixers that `blocks` means, by their place."""
    count = len(mixers)
    if not count:
        raise ValueError(
            "`model` must have an attention layer of keras_vix.layers with a kernel, bare, in a Residual or in a model in it. "
            "Received: a model without one."
        )
    if blocks is None:
        places = range(count)
    elif isinstance(blocks, slice):
        places = range(count)[blocks]
    elif isinstance(blocks, (list, tuple, range)) or isinstance(blocks, numbers.Integral):
        several = [blocks] if isinstance(blocks, numbers.Integral) else blocks
        places = [checks.integer("blocks", place, -count, count - 1) % count for place in several]
    else:
        raise TypeError(f"`blocks` must be an index, a slice or several indices. Received: blocks={blocks!r}.")
    if not places:
        raise ValueError(f"`blocks` must mean one or more of {count} attention layers. Received: blocks={blocks!r}.")
    return {place: mixers[place] for place in sorted(set(places))}


class Choice:
    """What was asked for, and the mixers that were made of it.

    Args:
        kernel: its class, or `None` for each layer's own.
        m, mixer, seed, options: as in `swap_mixer`.
    """

    def __init__(self, kernel, m: int | None, mixer: str | None, seed: int, options: Mapping[str, Any]):
        self.kernel, self.m, self.mixer, self.seed, self.options = kernel, m, mixer, seed, options
        self.pairs: list[tuple[Layer, Layer]] = []
        self.turns: Counter = Counter()  # of layers on each grid

    def check(self, chosen: list[Layer]) -> None:
        """Find what the arguments alone tell to be wrong."""
        ranked = self.kernel is not None and "m" in arguments(self.kernel)
        if self.m is not None:
            checks.integer("m", self.m)
            if not ranked:
                raise ValueError(f"`m` is the rank of a kernel. Received: m={self.m}, {self._words()}; leave it out.")
        elif ranked and not all(type(old.kernel) is self.kernel for old in chosen):
            features = self.options.get("features", "positive")
            if not issubclass(self.kernel, Performer) or features in SOFTMAX:
                raise ValueError(f"`m`, the rank, is needed. Received: m=None, {self._words()}; give one, such as m=64.")
        known = set(arguments(self.kernel)) - {"m", "seed"} if self.kernel else set()
        classes = {TARGETS[self.mixer]} if self.mixer else {successor(old) for old in chosen}
        for cls in classes:
            known |= set(arguments(cls)) - set(FIXED)
        for name in self.options:
            if name not in known:
                raise ValueError(
                    f"Option {name!r} is claimed by neither the kernel nor the mixer.{checks.near(name, sorted(known), '')} "
                    f"Options here: {', '.join(sorted(known)) or 'none'}."
                )
        for old in chosen:
            self._check(old)

    def _check(self, old: Layer) -> None:
        if getattr(old.kernel, "causal", False) and (self.mixer or self.kernel not in (None, Softmax)):
            raise ValueError(
                f"Only softmax over all tokens can be causal. Received: {old.name!r}, causal, {self._words()}; leave it out "
                "with `blocks`."
            )
        if self.mixer is None or type(old) is TARGETS[self.mixer]:
            return
        if type(old) not in PLAIN:
            raise ValueError(
                f"mixer={self.mixer!r} has no place for what {type(old).__name__} has besides four projections. "
                f"Received: {old.name!r}; swap the kernel alone, or leave it out with `blocks`."
            )

    def make(self, old: Layer, place: int, config: dict, where, tokens: int | None) -> Layer:
        """The successor of one mixer, for so many tokens, which stand at `where`."""
        grid, prefix = self._where(old, config, where, tokens)
        cls = self._class(old, prefix)
        alike = self.mixer is None or type(old) is cls
        own = {
            name: config.get(name, getattr(old, name, None))
            for name in arguments(cls)
            if (alike or name in SHAPING) and (name in config or hasattr(old, name))
        }
        self._check_demands(old, cls)
        kernel = self._kernel(old, place)
        own |= self._options(cls, kernel, grid)
        own |= {name: value for name, value in (("grid", grid), ("prefix", prefix)) if name in arguments(cls) and grid}
        scored = takes(kernel, "bias")
        if own.get("relative_bias") and not scored:
            raise ValueError(
                f"{type(kernel).__name__} has no scores to add a bias to. Received: {old.name!r}, relative_bias=True; "
                "relative_bias=False leaves the bias out."
            )
        if getattr(kernel, "share", None) == "layer" and not issubclass(cls, Attention):
            raise ValueError(f"share='layer' is for attention over all tokens. Received: {old.name!r}, a {cls.__name__}.")
        new = cls(**own | {"kernel": kernel}, name=old.name, dtype=old.dtype_policy, trainable=old.trainable)
        self.pairs.append((old, new))
        return new

    def _where(self, old, config, where, tokens):
        """Grid and number of tokens in front, where the new mixer asks for them; otherwise `None` and 0."""
        if "grid" not in arguments(TARGETS[self.mixer] if self.mixer else successor(old)):
            return None, 0
        grid = self.options.get("grid") or config.get("grid") or (where and where.grid)
        if grid is None or tokens is None:
            raise ValueError(
                f"Windows need the grid of the tokens. Received: {old.name!r}, tokens={tokens}, grid unknown; "
                "give grid=(rows, columns)."
            )
        grid = checks.pair("grid", grid)
        if math.prod(grid) > tokens:
            raise ValueError(f"`grid` must not hold more tokens than there are. Received: grid={grid}, tokens={tokens}.")
        return grid, tokens - math.prod(grid)

    def _class(self, old, prefix: int):
        cls = TARGETS[self.mixer] if self.mixer else successor(old)
        if self.mixer != "window" or type(old) is cls:
            return cls
        return AtrousAttention if prefix or getattr(old, "qkv_bias", None) not in (None, old.use_bias) else cls

    def _check_demands(self, old, cls) -> None:
        for name, easy in DEMANDS.items():
            value = getattr(old, name, easy[0])
            fits = value in easy or name in arguments(cls) or (name, value) in (("qkv_bias", old.use_bias),)
            if not fits and not (name == "kv_heads" and value == old.num_heads):
                what = "RotaryEmbedding" if name == "rope" else value
                raise ValueError(
                    f"{cls.__name__} has no {name}, without which the weights have no meaning. "
                    f"Received: {old.name!r}, {name}={what}; swap the kernel alone, or leave it out with `blocks`."
                )

    def _kernel(self, old, place: int):
        was, cls = old.kernel, self.kernel or type(old.kernel)
        named, same = arguments(cls), type(was) is cls
        if same:
            own = {name: getattr(was, name) for name in named}
        else:
            seed = int(np.random.SeedSequence([self.seed, place]).generate_state(1)[0] >> 1)
            own = {"dropout": getattr(was, "dropout", 0.0), "seed": seed}
            own |= {"start": "pool"} if issubclass(cls, Linformer) else {}
            own = {name: value for name, value in own.items() if name in named}
        if self.kernel:
            own |= {name: value for name, value in self.options.items() if name in named}
        if "m" in named and self.kernel and not (same and self.m is None):
            own["m"] = self.m
        return cls(**own, name=was.name if same else "kernel", dtype=was.dtype_policy, trainable=was.trainable)

    def _options(self, cls, kernel, grid) -> dict[str, Any]:
        """What the caller says of the mixer."""
        own = {name: value for name, value in self.options.items() if self.kernel is None or name not in arguments(self.kernel)}
        if self.mixer == "window" and cls is AtrousAttention:
            extra = sorted(set(own) & {"shift", "mode", "conv_size"})
            if extra:
                raise ValueError(
                    f"Windows beside tokens in front, or of projections without a bias, have no {' and no '.join(extra)}. "
                    f"Received: {', '.join(f'{name}={own[name]!r}' for name in extra)}; leave it out."
                )
            default = inspect.signature(LocalWindowAttention2D).parameters["window"].default
            own = {"window": default, **own, "rates": (1,)}
        if "shift" in own:
            self.turns[grid] += 1
            own["shift"] = own["shift"] if self.turns[grid] % 2 == 0 else 0
        return {name: value for name, value in own.items() if name in arguments(cls)}

    def begin(self) -> None:
        """Give heads that talk now, and did not before, mixings that do nothing."""
        for old, new in self.pairs:
            fresh = isinstance(new.kernel, TalkingHeads) and not isinstance(old.kernel, TalkingHeads)
            if fresh and "mix_std" not in self.options:
                for mixing in new.kernel.mixings:
                    mixing.assign(np.eye(*mixing.shape))

    def _words(self) -> str:
        known = {cls: name for name, cls in KERNELS.items()}
        name = repr(known[self.kernel]) if self.kernel in known else getattr(self.kernel, "__name__", None)
        return f"kernel={name}" + (f", mixer={self.mixer!r}" if self.mixer else "")


def successor(old: Layer) -> type:
    """The class that holds any kernel in the place of a mixer."""
    return Attention if type(old) in SHELF else type(old)


def new_head(model: keras.Model, classes: int) -> dict:
    """A change of the last layer with weights to so many classes.

    Raises:
        ValueError: that is no head.
    """
    for layer in reversed(list(leaves(model))):
        name = "classes" if isinstance(layer, Layer) and "classes" in arguments(type(layer)) else "units"
        if name == "classes" or isinstance(layer, keras.layers.Dense):
            return {id(layer): lambda config, *_: type(layer).from_config({**config, name: classes})}
        if layer.weights:
            break
    raise ValueError("`classes` is for a model that ends in a head or a dense layer. Received: a model that does not.")


def inputs_for(model: keras.Model, input_shape) -> list:
    """New inputs like those of a model, its images of another shape if one is given."""
    shapes = [tuple(x.shape) for x in model.inputs]
    if input_shape is not None:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
            raise ValueError(f"`input_shape` must be (height, width, channels). Received: input_shape={input_shape!r}.")
        wanted = tuple(checks.integer("input_shape", side) for side in input_shape)
        images = [place for place, shape in enumerate(shapes) if len(shape) == 4]
        if len(images) != 1:
            raise ValueError(f"`input_shape` is for a model of one image. Received: a model of inputs {shapes}.")
        if shapes[images[0]][-1] != wanted[-1]:
            raise ValueError(
                f"`input_shape` must have the channels of the model, {shapes[images[0]][-1]}. Received: input_shape={wanted}."
            )
        shapes[images[0]] = shapes[images[0]][0], *wanted
    return [again(x, shape) for x, shape in zip(model.inputs, shapes)]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, weights and dropouts are drawn from `seed`; the sequence outside goes on as though nothing had been drawn."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def of_class(model: keras.Model, made: keras.Model) -> keras.Model:
    """The new graph in a model of the old one's class, if that is made of inputs and outputs."""
    if type(model) is type(made) or not {"inputs", "outputs"} <= set(inspect.signature(type(model).__init__).parameters):
        return made
    return type(model)(inputs=made.input, outputs=made.output, name=model.name)


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
    windows = [layer.window for layer in (old, new) if getattr(layer, "window", None)]
    if len(windows) == 2 and windows[0] != windows[1] and any(len(set(window)) > 1 for window in windows):
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


def carry(model: keras.Model, made: keras.Model, pairs: list[tuple[Any, Any]]) -> Report:
    """Give the new weights the values of their counterparts, and say what became of all."""
    wanted = roles(made)
    names = {id(weight): role for role, weight in wanted.items()}
    given = {names[id(new)]: old for old, new in pairs if id(new) in names}
    values, moved = fitting(given, wanted, token_grid(model), token_grid(made))
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
    if still and isinstance(how["optimizer"], keras.optimizers.Optimizer):
        known = {id(new) for _, new in pairs}
        kept = [w for w in made.trainable_variables if id(w) in still or id(w) not in known and undecayed(w)]
        how["optimizer"].exclude_from_weight_decay(var_list=kept)
    made.compile(**how)
    made.optimizer.build(made.trainable_variables)  # or a file saved before training would not load whole


def undecayed(weight) -> bool:
    """Whether decay would only pull a new weight towards zero: a vector, or a table of biases."""
    return len(weight.shape) < 2 or weight.name.startswith("relative_bias")
