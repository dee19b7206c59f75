"""From a record to a Keras model: the only place that wires layers."""

import keras
import numpy as np

from ..base import arguments
from ..parts import Prefix, Residual, TokenProjection, Tokens
from ..parts.norms import NORM_LAYERS
from .config import AXES, Config
from .initialise import initialise
from .lookup import lookup


def assemble(config: Config, name: str) -> keras.Model:
    """The functional model of `config`: raw images, pixels 0 to 255, to logits `(batch, classes)`; not compiled."""
    image = keras.Input(config.input_shape, name="image")
    x = make(config, "embed", dim=config.dim[0])(normalise(config)(image))
    grid = tuple(x.shape[1:3])
    x = Tokens(name="tokens")(x)
    if config.prefix:
        x = Prefix(config.prefix, config.token_std, name="prefix")(x)
    x = add_positions(config, x, grid)
    shared = shared_projection(config, x)
    rates = iter(np.linspace(0.0, config.drop_path, sum(config.depth)).tolist())
    for stage, (dim, depth, num_heads) in enumerate(zip(config.dim, config.depth, config.num_heads)):
        if stage:
            reduce = make(config, "reduce", name=f"stage{stage}_reduce", dim=dim, grid=grid)
            x, grid = reduce(x), reduce.out_grid
        for block in range(depth):
            place, rate = f"stage{stage}_block{block}", next(rates)
            mixer = make_mixer(config, dim, num_heads, grid, seed_of(config, stage, block), block)
            x = residual(config, mixer, config.norm, rate, f"{place}_mixer")(x, **shared)
            ffn = make(config, "ffn", mlp_dim=config.mlp_dim or 4 * dim)
            x = residual(config, ffn, config.ffn_norm or config.norm, rate, f"{place}_ffn")(x)
    if config.final_norm:
        x = NORM_LAYERS[config.norm_layer](epsilon=config.norm_epsilon, name="norm")(x)
    x = make(config, "pool", name="pool")(x)
    model = keras.Model(image, make(config, "head", name="head")(x), name=name)
    initialise(model, config.init)
    return model


def make(config: Config, axis: str, name: str | None = None, **offered):
    """The chosen part of `axis` with what it names of the offers and the options."""
    part = lookup(AXES[axis], getattr(config, axis), axis)
    offers = {
        **config.options,
        "prefix": config.prefix,
        "dropout": config.dropout,
        "classes": config.classes,
        "key_dim": config.key_dim,
        "norm_epsilon": config.norm_epsilon,
        **offered,
    }
    named = {argument: offers[argument] for argument in arguments(part) if argument in offers}
    return part(**named, **({"name": name} if name else {}))


def make_mixer(config: Config, dim: int, num_heads: int, grid, seed: int, block: int):
    """The mixer of one block with its kernel and rotation; every second block of windows is shifted."""
    asks = config.asks("mixer")
    offers = {"dim": dim, "num_heads": num_heads, "grid": grid}
    if "kernel" in asks:
        dropout = config.dropout if config.attention_dropout is None else config.attention_dropout
        offers["kernel"] = make(config, "kernel", name="kernel", seed=seed, dropout=dropout)
    if config.position == "rope":
        offers["rope"] = make(config, "position", name="rope", grid=grid)
    if "shift" in asks:
        offers["shift"] = config.options.get("shift", 0) if block % 2 else 0
    return make(config, "mixer", name="mixer", **offers)


def add_positions(config: Config, x, grid):
    """Tokens with their positions, where these are added to tokens at all."""
    if config.position in ("none", "rope"):
        return x
    return make(config, "position", name="position", grid=grid)(x)


def shared_projection(config: Config, x) -> dict:
    """The one Linformer projection of the whole model, where the layers share one."""
    if config.options.get("share") != "layer" or "kernel" not in config.asks("mixer"):
        return {}
    named = {name: config.options[name] for name in ("m", "start") if name in config.options}
    return {"projection": TokenProjection(**named, name="projection")(x)}


def residual(config: Config, inner, norm: str, drop_path: float, name: str) -> Residual:
    """`inner` in a residual branch of the record's kind."""
    return Residual(inner, norm, config.norm_epsilon, drop_path, config.scale, norm_layer=config.norm_layer, name=name)


def normalise(config: Config) -> keras.layers.Layer:
    """`(pixel / 255 - mean) / std` for each channel."""
    channels = config.input_shape[2]
    mean, std = (np.broadcast_to(values, channels).astype("float64") for values in (config.mean, config.std))
    return keras.layers.Rescaling((1 / (255 * std)).tolist(), (-mean / std).tolist(), name="normalise")


def seed_of(config: Config, *place: int) -> int:
    """A seed for one place in the model, drawn from the record's."""
    return int(np.random.SeedSequence([config.seed, *place]).generate_state(1)[0] >> 1)
