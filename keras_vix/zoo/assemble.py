"""From a record to a Keras model: the only place that wires layers."""

import inspect
import math

import keras
import numpy as np

from ..base import arguments
from ..parts import MeanLogits, PadImage, PatchEmbedding, Prefix, Residual, TokenProjection, Tokens, Withhold
from ..primitives.norms import NORM_LAYERS
from .config import AXES, Config
from .initialise import initialise
from .lookup import lookup


def assemble(config: Config, name: str) -> keras.Model:
    """The functional model of `config`: raw images, pixels 0 to 255, to logits `(batch, classes)`; not compiled."""
    image = keras.Input(config.input_shape, name="image")
    filled, mask = (pad_image(config)(image)) if config.pad else (image, None)
    x = make(config, "embed", **config.at(0), seed=seed_of(config))(normalise(config)(filled))
    grid = tuple(x.shape[1:3])
    x = Tokens(name="tokens")(x)
    if config.prefix:
        x = Prefix(config.prefix, config.token_std, name="prefix")(x)
    x = add_positions(config, x, grid)
    shared = shared_projection(config, x)
    seen = {} if mask is None else {"memory_mask": mask}
    branches = iter(branch_settings(config))
    local = config.asks("local")
    carries = "local_stride" in local  # it shrinks the grid from stage to stage
    for stage, depth in enumerate(config.depth):
        sizes = config.at(stage)
        if stage and not (carries and depth):
            if mask is not None:
                x, mask = Withhold(grid, name=f"stage{stage}_withhold")(x, mask)
                seen = {"memory_mask": mask}
            reduce = make(config, "reduce", name=f"stage{stage}_reduce", **sizes, grid=grid)
            x, grid = reduce(x), reduce.out_grid
        for block in range(depth):
            place, branch = f"stage{stage}_block{block}", next(branches)
            if local:
                stride, rate = 2 if stage and not block else 1, branch["drop_path"]
                convolve = make(config, "local", f"{place}_local", **sizes, grid=grid, local_stride=stride, drop_path=rate)
                x, grid = convolve(x), convolve.out_grid if carries else grid
            mixer = make_mixer(config, sizes, grid, seed_of(config, stage, block), block)
            x = residual(config, mixer, config.norm, branch, f"{place}_mixer")(x, **shared, **seen)
            ffn = make(config, "ffn", **sizes, grid=grid)
            x = residual(config, ffn, config.ffn_norm or config.norm, branch, f"{place}_ffn")(x)
    if config.final_norm:
        x = NORM_LAYERS[config.norm_layer](epsilon=config.norm_epsilon, name="norm")(x)
    x = make_pool(config, x, mask)
    x = make(config, "head", name="head")(x)
    if len(x.shape) == 3:
        x = MeanLogits(name="logits", dtype="float32")(x)
    model = keras.Model(image, x, name=name)
    initialise(model, config.init)
    return model


def pad_image(config: Config) -> PadImage:
    """What fills up the images of a record, with their mean colour, which is 0 once they are normalised."""
    patch = config.options.get("patch", inspect.signature(PatchEmbedding).parameters["patch"].default)
    return PadImage(patch, tuple(255 * value for value in config.mean), config.prefix, name="pad")


def token_count(config: Config) -> int:
    """Tokens that the first block would see, prefix included, without making any block."""
    image = keras.Input(config.input_shape)
    image = pad_image(config)(image)[0] if config.pad else image
    return math.prod(make(config, "embed", **config.at(0), seed=seed_of(config))(image).shape[1:3]) + config.prefix


def make(config: Config, axis: str, name: str | None = None, **offered):
    """The chosen part of `axis` with what it names of the offers and the options."""
    part = lookup(AXES[axis], getattr(config, axis), axis)
    offers = {
        **config.options,
        "prefix": config.prefix,
        "token_std": config.token_std,
        "dropout": config.dropout,
        "classes": config.classes,
        "norm_epsilon": config.norm_epsilon,
        **offered,
    }
    named = {argument: offers[argument] for argument in arguments(part) if argument in offers}
    return part(**named, **({"name": name} if name else {}))


def make_mixer(config: Config, sizes: dict, grid, seed: int, block: int):
    """The mixer of one block with its kernel and rotation; every second block of windows is shifted."""
    asks = config.asks("mixer")
    offers = {**sizes, "grid": grid}
    if "kernel" in asks:
        offers["kernel"] = make_kernel(config, seed)
    if config.position == "rope":
        offers["rope"] = make(config, "position", name="rope", grid=grid)
    if "shift" in asks:
        offers["shift"] = offers.get("shift", config.options.get("shift", 0)) if block % 2 else 0
    return make(config, "mixer", name="mixer", **offers)


def make_kernel(config: Config, seed: int):
    """The kernel of one mixer."""
    dropout = config.dropout if config.attention_dropout is None else config.attention_dropout
    return make(config, "kernel", name="kernel", seed=seed, dropout=dropout)


def make_pool(config: Config, x, mask=None):
    """Tokens to one vector; a pool with attention of its own gets the sizes of the last stage and a kernel."""
    pool_class = lookup(AXES["pool"], config.pool, "pool")
    seen = {} if mask is None or "mask" not in inspect.signature(pool_class.call).parameters else {"mask": mask}
    kernel = {"kernel": make_kernel(config, seed_of(config, len(config.depth), 0))} if "kernel" in config.asks("pool") else {}
    return make(config, "pool", name="pool", **config.at(-1), **kernel)(x, **seen)


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


def branch_settings(config: Config) -> list[dict]:
    """Rate of dropped paths and start of the layer scale of each block."""
    blocks = sum(config.depth)
    first = 0.0 if config.drop_path_growth == "linear" else config.drop_path
    rates = np.linspace(first, config.drop_path, blocks).tolist()
    scales = config.scale if isinstance(config.scale, tuple) else (config.scale,)
    return [{"drop_path": rate, "scale": scales[min(i, len(scales) - 1)]} for i, rate in enumerate(rates)]


def residual(config: Config, inner, norm: str, branch: dict, name: str) -> Residual:
    """`inner` in a residual branch of the record's kind."""
    return Residual(inner, norm, config.norm_epsilon, **branch, norm_layer=config.norm_layer, remat=config.remat, name=name)


def normalise(config: Config) -> keras.layers.Layer:
    """`(pixel / 255 - mean) / std` for each channel."""
    channels = config.input_shape[2]
    mean, std = (np.broadcast_to(values, channels).astype("float64") for values in (config.mean, config.std))
    return keras.layers.Rescaling((1 / (255 * std)).tolist(), (-mean / std).tolist(), name="normalise")


def seed_of(config: Config, *place: int) -> int:
    """A seed for one place in the model, or for what stands before its blocks, drawn from the record's."""
    return int(np.random.SeedSequence([config.seed, *place]).generate_state(1)[0] >> 1)
