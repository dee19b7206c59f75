"""A space for every preset for images: what is usually worth a search, as far as the preset has it."""

from typing import Any

from ..facts import Facts
from ..parts import Residual
from ..train.build import divide
from ..train.recipe import recipe
from ..zoo import Config, configure
from ..zoo.config import AXES
from ..zoo.configure import default_dataset
from ..zoo.outline import outline
from .records import Choice, Float

RANKED = ("performer", "linformer", "nystrom")  # kernels with an `m`
GLOBAL = ("attention", "conv_attention", "levit")  # mixers whose tokens all see each other
RANKS = (4, 8, 16, 32, 64, 128)
WIDTHS = (0.5, 1.0, 1.5)  # of the preset's
DROPOUT = (0.0, 0.1, 0.2)
RATES = (0.1, 3.0)  # of the recipe's


def space(preset: str, *, dataset: str | Facts | None = None, profile: str = "default", **overrides) -> dict[str, Any]:
    """A space for a preset: `kernel` and `m` where its mixer has one, sizes, rates of dropping, `learning_rate`.

    `m` is at most half of the tokens that attend to each other, where approximations with `m` features begin to need fewer
    multiply-adds. Sizes of several stages are tuples. Words that are fixed by `overrides` are left out.

    >>> space = keras_vix.tune.space("vit", dataset="digits")
    >>> sorted(space)
    ['depth', 'dim', 'dropout', 'kernel', 'learning_rate', 'm', 'mlp_dim']
    >>> space["kernel"], space["dim"]
    (Choice(values=('softmax', 'performer', 'linformer', 'nystrom')), Choice(values=(64, 128, 192)))

    Args:
        preset, dataset, profile, overrides: as for `keras_vix.build`.

    Returns:
        Words and records, to be changed at will.

    Raises:
        TypeError, ValueError: as `keras_vix.build`.
    """
    ours, model = divide(overrides)
    config = configure(preset, dataset=dataset, profile=profile, **model)
    how = recipe(preset, dataset or default_dataset(preset), profile, **ours)
    found = kernels(config, preset, "kernel" in overrides)
    found |= {"depth": depths(config), "dim": dividing(config, widths(config))}
    if config.mlp_dim is not None:
        found["mlp_dim"] = whole([tuple(factor * width for width in config.mlp_dim) for factor in (1, 2)])
    if any("dropout" in config.asks(axis) for axis in AXES):
        found["dropout"] = Choice(tuple(sorted({*DROPOUT, config.dropout})))
    if config.drop_path:
        found["drop_path"] = Choice((0.0, config.drop_path))
    low, high = (float(f"{factor * how.learning_rate:.3g}") for factor in RATES)
    found["learning_rate"] = Float(low, high, log=True)
    return {word: values for word, values in found.items() if word not in overrides}


def kernels(config: Config, preset: str, fixed: bool) -> dict[str, Choice]:
    """Kernels that can take the place of the preset's own, and their `m`."""
    if "kernel" not in config.asks("mixer") or not isinstance(config.kernel, str):
        return {}
    names, tokens = [config.kernel], fewest_tokens(config, preset)
    ranks = tuple(rank for rank in RANKS if 2 * rank <= tokens)[-4:]
    if not fixed and not config.options.get("relative_bias"):  # which only scores can have
        names += ["softmax", "performer"]
        if ranks and config.mixer in GLOBAL:
            names += ["linformer"] if config.pool == "class_attention" else ["linformer", "nystrom"]  # one query has no landmarks
    names = list(dict.fromkeys(names))
    found = {"kernel": Choice(tuple(names))} if len(names) > 1 else {}
    bare = config.options.get("m", ranks) is None  # features of the coordinates themselves
    if bare:
        return found and {"kernel": Choice(tuple(name for name in names if name == config.kernel or name not in RANKED))}
    if ranks and any(name in RANKED for name in names):
        found["m"] = Choice(ranks)
    return found


def fewest_tokens(config: Config, preset: str) -> int:
    """Tokens among which attention is computed, in the stage that has the fewest of them."""
    import dataclasses

    shallow = dataclasses.replace(config, depth=tuple(min(1, depth) for depth in config.depth))
    model = outline(shallow, preset)
    layers = [layer for layer in model.layers if isinstance(layer, Residual) and layer.name.endswith("_mixer")]
    tokens = min(layer.input[0].shape[1] if isinstance(layer.input, list) else layer.input.shape[1] for layer in layers)
    if config.mixer in GLOBAL:
        return tokens
    window = config.options.get("window", 4)
    sides = window if isinstance(window, (tuple, list)) else (window,)
    return min(tokens, *(side if config.mixer == "window_1d" else side**2 for side in sides))


def depths(config: Config) -> Choice:
    """The preset's blocks, and half of them in each stage."""
    return whole([tuple(-(-depth // 2) for depth in config.depth), config.depth])


def widths(config: Config) -> Choice:
    """The preset's widths, half of them and half as much again; heads stay whole, of a multiple of 4 (8 where they are wide)."""
    if config.key_dim is not None:
        return whole([tuple(steps(factor * dim, 8) for dim in config.dim) for factor in WIDTHS])
    heads = [(dim // number, number) for dim, number in zip(config.dim, config.num_heads, strict=True)]
    return whole([tuple(number * steps(factor * width, 4 if width < 16 else 8) for width, number in heads) for factor in WIDTHS])


def dividing(config: Config, sizes: Choice) -> Choice:
    """Those widths that divide `mlp_dim` in every stage, where the part asks for that."""
    if config.ffn != "binary_mlp" or config.mlp_dim is None:
        return sizes
    stages = [size if isinstance(size, tuple) else (size,) for size in sizes.values]
    return whole([size for size in stages if all(mlp % dim == 0 for mlp, dim in zip(config.mlp_dim, size, strict=True))])


def steps(value: float, step: int) -> int:
    """The nearest multiple of a step, at least one."""
    return max(step, step * round(value / step))


def whole(values: list[tuple]) -> Choice:
    """Sizes by stage as a choice; those of one stage are numbers."""
    return Choice(tuple(dict.fromkeys(value[0] if len(value) == 1 else value for value in values)))
