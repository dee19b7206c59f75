"""The front door."""

import dataclasses

import keras

from ..zoo import Description, assemble, configure
from ..zoo import describe as describe_model
from ..zoo.configure import default_dataset
from .compile import compile as compile_model
from .recipe import NAMES, recipe

STEADY = 1 / 3  # of a schedule's peak: what a rate that never falls can be


def build(
    preset: str,
    *,
    dataset: str | None = None,
    profile: str = "default",
    compile: bool = True,
    steps: int | None = None,
    name: str | None = None,
    **overrides,
) -> keras.Model:
    """A compiled Keras model that trains with `model.fit` at once: images `(batch, height, width, channels)` to logits.

    The images are raw, channels last, pixels from 0 to 255: the model normalises them itself. Labels are integers.

    Args:
        preset: a name of `keras_vix.list_models()`, such as `"performer_softmax"`.
        dataset: `digits`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`, `tiny_imagenet` or `imagenet`: image shape, classes,
            pixel statistics, patch size and recipe; default the one that the preset was published for, `cifar10` or
            `imagenet`. For other images give `input_shape` and `classes`.
        profile: `default`, lean and modern, or `reference`, the closest reading of the source.
        compile: whether to compile after the preset's recipe.
        steps: training steps altogether, for recipes with a schedule; without them the learning rate is constant, a third of the
            schedule's peak, or what you give as `learning_rate`.
        name: of the model; default the preset's.
        overrides: any choice (`kernel="nystrom"`, `position="rope"`), size (`dim`, `depth`, `num_heads`), option of the chosen
            parts (`m`, `patch`, `window`) or field of the recipe (`learning_rate`, `label_smoothing`, or `recipe="deit"` for a
            published one of `keras_vix.train.SOURCES`).

    Returns:
        A functional `keras.Model`; it saves to `.keras`, and `keras_vix.load` or any process that imported `keras_vix` loads it.

    Raises:
        TypeError, ValueError: for unknown names or values that do not fit, before any weight exists.
    """
    ours, rest = divide(overrides)
    if not isinstance(compile, bool):
        raise TypeError(f"`compile` must be True or False. Received: compile={compile!r}.")
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(f"`name` must be a word without a slash. Received: name={name!r}.")
    config = configure(preset, dataset=dataset, profile=profile, **rest)
    how = recipe(preset, dataset or default_dataset(preset), profile, **ours)
    if steps is None and how.schedule == "cosine" and "learning_rate" not in ours:
        how = dataclasses.replace(how, learning_rate=how.learning_rate * STEADY, warmup_rate=0.0, final_rate=0.0)
    model = assemble(config, name or preset)
    return compile_model(model, how, steps) if compile else model


def describe(preset: str, *, dataset: str | None = None, profile: str = "default", **overrides) -> Description:
    """What `build` with the same arguments would make: sizes, tokens, multiply-adds, the whole record and its source.

    Args:
        preset, dataset, profile, overrides: as for `build`; fields of the recipe are checked and change nothing.

    Raises:
        TypeError, ValueError: as `build`.
    """
    ours, rest = divide(overrides)
    recipe(preset, dataset or default_dataset(preset), profile, **ours)
    return describe_model(preset, dataset=dataset, profile=profile, **rest)


def divide(overrides: dict) -> tuple[dict, dict]:
    """The overrides that belong to the recipe, and those that belong to the model."""
    ours = {key: value for key, value in overrides.items() if key in NAMES}
    return ours, {key: value for key, value in overrides.items() if key not in NAMES}
