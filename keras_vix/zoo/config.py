"""The record of a model: choices, sizes and options, checked before any tensor exists."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from .. import checks
from ..base import arguments
from ..kernels import KERNELS
from ..mixers import MIXERS
from ..parts import EMBEDS, FFNS, HEADS, LOCALS, POOLS, POSITIONS, REDUCES, FirstPool, PrefixPool
from ..primitives.norms import NORM_LAYERS
from ..parts.residual import NORMS, check_remat
from .initialise import STARTS
from .lookup import lookup

AXES = {
    "embed": EMBEDS,
    "position": POSITIONS,
    "local": LOCALS,
    "mixer": MIXERS,
    "kernel": KERNELS,
    "ffn": FFNS,
    "reduce": REDUCES,
    "pool": POOLS,
    "head": HEADS,
}

# What the assembler hands to every part that names it. Everything else that a part names is an option.
OFFERED = (
    "dim", "num_heads", "key_dim", "mlp_dim", "kernel", "rope", "grid", "prefix", "dropout", "classes", "norm_epsilon",
    "seed", "shift", "token_std", "drop_path", "local_stride",
)  # fmt: skip
STAGED = ("dim", "depth", "num_heads", "key_dim", "mlp_dim")
# Options that may have one value for each stage.
STAGED_OPTIONS = frozenset({"kv_reduction", "window", "shift"})
GROWTHS = ("linear", "constant")


@dataclasses.dataclass(frozen=True)
class Config:
    """One model. Sizes in `STAGED` are one value for each stage, or one for all.

    Args:
        input_shape: `(height, width, channels)` of the raw images, pixels from 0 to 255.
        classes: number of classes, at least 2.
        mean, std: for each channel, or one for all, on the scale from 0 to 1; the model normalises by them.
        embed, position, local, mixer, kernel, ffn, reduce, pool, head: names from the tables of parts, or classes in their place.
        dim, depth, num_heads: width of the tokens, number of blocks, heads.
        key_dim: width of a head; default `dim / num_heads`.
        mlp_dim: hidden width of the MLP; default `mlp_ratio * dim`.
        mlp_ratio: positive.
        norm: `pre`, `post`, `both`, `double` or `none` (see `Residual`); ffn_norm: the same for the second half of a block,
            default `norm`.
        norm_layer: `layer`, `channel` or `batch`; norm_epsilon: of the normalisations; final_norm: whether one stands before the
            pool.
        drop_path: rate of the last block's dropped paths; drop_path_growth: `linear`, from 0 in the first block, or `constant`.
        scale: start of the layer scale, one for all blocks or one for each in turn, the last for those that remain.
        prefix: number of learned tokens in front; the first is that of the class, with `head="distilled"` the second that of the
            teacher. token_std: deviation of their start.
        dropout: rate for every part that names one; attention_dropout: for the kernel, default `dropout`.
        init: start of the kernels and biases of all dense layers and convolutions: `keras`, each layer's own; `fan_in`, uniform
            in `+-1/sqrt(fan_in)`; `small`, dense kernels normal with deviation 0.02, convolutions by He's rule, biases 0;
            `normal`, dense layers as in `small`, convolutions as in `fan_in`; `glorot_normal`, biases 0.
        remat: whether a training step keeps only what comes into each half of a block, and the gradient computes the rest once
            more (gradient checkpointing; see `Residual`).
        pad: whether images are filled up to whole patches, at the bottom and at the right, and tokens that stand for no image are
            kept out of attention, statistics and pooling. Pixels with a negative channel stand for no image too, so that
            images of several sizes can share a batch (`data.pad`). For patches side by side, and mixers that take a mask.
        seed: of everything random in the model's making, 0 to 2**32 - 1.
        options: arguments that the chosen parts ask for, such as `m` or `patch`.
    """

    input_shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    embed: Any = "patch"
    position: Any = "learned"
    local: Any = "none"
    mixer: Any = "attention"
    kernel: Any = "softmax"
    ffn: Any = "mlp"
    reduce: Any = "merge"
    pool: Any = "mean"
    head: Any = "linear"
    dim: Any = 64
    depth: Any = 4
    num_heads: Any = 4
    key_dim: Any = None
    mlp_dim: Any = None
    mlp_ratio: float = 4.0
    norm: str = "pre"
    ffn_norm: str | None = None
    norm_layer: str = "layer"
    norm_epsilon: float = 1e-6
    final_norm: bool = True
    drop_path: float = 0.0
    drop_path_growth: str = "linear"
    scale: Any = None
    prefix: int = 0
    token_std: float = 0.02
    dropout: float = 0.0
    attention_dropout: float | None = None
    init: str = "keras"
    remat: bool = False
    pad: bool = False
    seed: int = 0
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self._check_image()
        self._check_sizes()
        self._check_choices()
        self._check_options()
        self._check_padding()

    def _set(self, name, value):
        object.__setattr__(self, name, value)

    def _check_image(self):
        shape = self.input_shape
        if not isinstance(shape, (tuple, list)) or len(shape) != 3:
            raise ValueError(f"`input_shape` must be (height, width, channels). Received: input_shape={shape!r}.")
        if None in shape:
            raise TypeError(
                "`input_shape` must be three integers, which fix the number of tokens; pad=True takes images of several sizes up "
                f"to one. Received: input_shape={tuple(shape)}."
            )
        shape = tuple(checks.integer("input_shape", side) for side in shape)
        if shape[0] <= 4 < shape[2]:
            raise ValueError(
                f"`input_shape` looks like channels first; give (height, width, channels). Received: input_shape={shape}."
            )
        self._set("input_shape", shape)
        checks.integer("classes", self.classes, 2)
        for name in ("mean", "std"):
            value = getattr(self, name)
            value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            if len(value) not in (1, shape[2]):
                raise ValueError(f"`{name}` needs one value, or one for each of {shape[2]} channels. Received: {name}={value}.")
            low = -1e6 if name == "mean" else 1e-6
            self._set(name, tuple(checks.number(name, v, low, 1e6) for v in value))

    def _check_sizes(self):
        lengths = {len(v) for v in (getattr(self, name) for name in STAGED) if isinstance(v, (tuple, list))} - {1}
        if len(lengths) > 1:
            sizes = ", ".join(f"{name}={getattr(self, name)}" for name in STAGED)
            raise ValueError(f"Sizes given for each stage must have one length. Received: {sizes}.")
        stages = lengths.pop() if lengths else 1
        for name in STAGED:
            value = getattr(self, name)
            if value is None and name in ("key_dim", "mlp_dim"):
                continue
            value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            least = 0 if name == "depth" and stages > 1 else 1
            value = tuple(checks.integer(name, v, least) for v in value)
            self._set(name, value * stages if len(value) == 1 else value)
        checks.number("mlp_ratio", self.mlp_ratio, 1e-3, 1e3)
        if self.key_dim is None:
            self._check_heads()
        checks.choice("norm", self.norm, NORMS)
        if self.ffn_norm is not None:
            checks.choice("ffn_norm", self.ffn_norm, NORMS)
        checks.choice("norm_layer", self.norm_layer, NORM_LAYERS)
        checks.choice("init", self.init, STARTS)
        checks.number("token_std", self.token_std, 0.0, 100.0)
        checks.number("norm_epsilon", self.norm_epsilon, 1e-12, 1.0)
        for name in ("drop_path", "dropout"):
            checks.rate(name, getattr(self, name))
        checks.choice("drop_path_growth", self.drop_path_growth, GROWTHS)
        if isinstance(self.scale, (tuple, list)):
            self._set("scale", tuple(checks.number("scale", v, 0.0, 10.0) for v in self.scale) or None)
        if self.attention_dropout is not None:
            checks.rate("attention_dropout", self.attention_dropout)
        checks.integer("prefix", self.prefix, 0)
        check_remat(self.remat)
        checks.seed("seed", self.seed)

    def _check_heads(self):
        for dim, depth, heads in zip(self.dim, self.depth, self.num_heads):
            if depth and dim % heads:
                raise ValueError(
                    f"`dim` must be a multiple of `num_heads`, or `key_dim` be given. Received: dim={dim}, num_heads={heads}."
                )

    def _check_choices(self):
        for axis, table in AXES.items():
            lookup(table, getattr(self, axis), axis)
        mixer = self.asks("mixer")
        if "rope" not in mixer and self.position == "rope":
            raise ValueError(f"mixer={self.mixer!r} has no queries and keys to rotate. Received: position='rope'.")
        if "kernel" not in mixer and self.kernel != "softmax":
            raise ValueError(f"mixer={self.mixer!r} has no kernel. Received: kernel={self.kernel!r}.")
        if "grid" in mixer and "prefix" not in mixer and self.prefix:
            raise ValueError(
                f"mixer={self.mixer!r} mixes the bare grid. Received: prefix={self.prefix}; use prefix=0 and pool='mean'."
            )
        if self.asks("local") and self.prefix and "prefix" not in self.asks("local"):
            raise ValueError(f"local={self.local!r} convolves the bare grid. Received: prefix={self.prefix}; use prefix=0.")
        if len(self.dim) > 1 and self.prefix and "prefix" not in self.asks("reduce"):
            raise ValueError(
                f"reduce={self.reduce!r} knows no tokens in front. Received: prefix={self.prefix}, {len(self.dim)} stages."
            )
        if self.pool == "first" and not self.prefix:
            raise ValueError("pool='first' takes the class token. Received: prefix=0; use prefix=1.")
        if self.head == "distilled" and (self.pool, self.prefix) != ("prefix", 2):
            raise ValueError(
                "head='distilled' takes the class and the distillation token: use prefix=2 and pool='prefix'. "
                f"Received: prefix={self.prefix}, pool={self.pool!r}."
            )
        if self.pool == "prefix" and self.head in ("linear", "mlp"):
            raise ValueError(f"pool='prefix' gives several vectors: use head='distilled'. Received: head={self.head!r}.")

    def _check_options(self):
        self._set("options", dict(self.options))
        for name, value in self.options.items():
            if not self.claimants(name):
                known = sorted({*fields(), *self.claimed()})
                raise ValueError(
                    f"Option {name!r} is claimed by no chosen part. Received: {name}={value!r}.{checks.near(name, known, '')} "
                    f"Options here: {', '.join(known)}."
                )

    def _check_padding(self):
        if not isinstance(self.pad, bool):
            raise TypeError(f"`pad` must be True or False. Received: pad={self.pad!r}.")
        if not self.pad:
            return
        for axis in ("mixer", "kernel", "pool"):
            part = lookup(AXES[axis], getattr(self, axis), axis)
            if axis == "kernel" and "kernel" not in self.asks("mixer") or issubclass(part, (FirstPool, PrefixPool)):
                continue
            if "mask" not in inspect.signature(part.call).parameters:
                raise ValueError(f"pad=True needs a {axis} that takes a mask. Received: {axis}={getattr(self, axis)!r}.")
        alone = {"embed": "patch", "local": "none", "ffn": "mlp"} | ({"reduce": "merge"} if len(self.dim) > 1 else {})
        for axis, wanted in alone.items():
            if getattr(self, axis) != wanted:
                received = f"{axis}={getattr(self, axis)!r}"
                raise ValueError(f"pad=True needs {axis}={wanted!r}, which mixes no padding in. Received: {received}.")
        if self.norm_layer == "batch" or self.options.get("patch_norm") == "batch":
            raise ValueError("pad=True needs statistics of one token: use norm_layer='layer'. Received: a batch normalisation.")
        if self.mixer == "conv_attention":
            raise ValueError("pad=True needs a mixer without convolutions of the grid. Received: mixer='conv_attention'.")
        if self.options.get("conv_size", 1) != 1 or self.options.get("convolution") is not None:
            raise ValueError("pad=True needs attention without a convolution. Received: conv_size or convolution.")
        for name in ("resize", "patch_stride"):
            if self.options.get(name) is not None:
                value = self.options[name]
                raise ValueError(f"pad=True is for patches side by side. Received: {name}={value!r}; use {name}=None.")

    def at(self, stage: int) -> dict[str, Any]:
        """What the parts of a stage are offered: its sizes, and its own value of an option given for each stage."""
        dim, heads = self.dim[stage], self.num_heads[stage]
        staged = {name: value[stage] for name, value in self.options.items() if self._by_stage(name, value)}
        return staged | {
            "dim": dim,
            "num_heads": heads,
            "key_dim": self.key_dim and self.key_dim[stage],
            "mlp_dim": self.mlp_dim[stage] if self.mlp_dim else max(1, round(self.mlp_ratio * dim)),
        }

    def _by_stage(self, name: str, value: Any) -> bool:
        return name in STAGED_OPTIONS and isinstance(value, (tuple, list)) and len(value) == len(self.dim) > 1

    def asks(self, axis: str) -> tuple[str, ...]:
        """Names that the chosen part of `axis` asks for."""
        part = lookup(AXES[axis], getattr(self, axis), axis)
        return arguments(part) if part is not None else ()

    def claimed(self) -> dict[str, list[str]]:
        """Each option that a chosen part asks for, and the axes that ask for it."""
        names: dict[str, list[str]] = {}
        for axis in AXES:
            if axis == "reduce" and len(self.dim) == 1:
                continue
            if axis == "kernel" and "kernel" not in self.asks("mixer"):
                continue
            for name in self.asks(axis):
                if name not in OFFERED or name == "shift":
                    names.setdefault(name, []).append(axis)
        return names

    def claimants(self, name: str) -> list[str]:
        """The axes whose chosen part asks for the option `name`."""
        return self.claimed().get(name, [])

    def to_dict(self) -> dict:
        """A plain dictionary of everything, JSON-ready but for tuples and classes."""
        return dataclasses.asdict(self)


@functools.cache
def words() -> tuple[str, ...]:
    """Every override that means something to some model: the fields, and the options of all parts."""
    parts = [part for table in AXES.values() for part in table.values() if part is not None]
    options = {name for part in parts for name in arguments(part) if name not in OFFERED or name == "shift"}
    return tuple(sorted({*fields(), *options}))


def fields() -> tuple[str, ...]:
    """Names of the record's own fields, which a user may override."""
    return tuple(f.name for f in dataclasses.fields(Config) if f.name != "options")
