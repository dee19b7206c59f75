"""What takes the place of a mixer: which attention layers a model has, and their successors, made of their own configuration."""

import inspect
import math
import numbers
from collections import Counter
from collections.abc import Iterator, Mapping
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
from .rebuild import leaves

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
