"""The front door."""

import keras

from .. import checks
from ..base import arguments
from ..facts import Facts
from ..zoo import SEQUENCES, Description, assemble, assemble_sequence, configure, configure_sequence
from ..zoo import describe as describe_model
from ..zoo.config import words
from ..zoo.configure import default_dataset
from ..zoo.describe import describe_sequence
from ..zoo.outline import check
from ..zoo.sequence import FIELDS
from .compile import compile as compile_model
from .recipe import NAMES, recipe, steady
from .sequence import SEQUENCE_NAMES, SequenceRecipe, compile_sequence


def build(
    preset: str,
    *,
    dataset: str | Facts | None = None,
    profile: str = "default",
    compile: bool = True,
    steps: int | None = None,
    name: str | None = None,
    **overrides,
) -> keras.Model:
    """A compiled Keras model that trains with `model.fit` at once: images `(batch, height, width, channels)` to logits.

    The images are raw, channels last, pixels from 0 to 255: the model normalises them itself. Labels are integers.

    Presets of `list_models(kind="sequence")` take two sequences instead, `model.fit([source, begun], target)`, integers, 0 where
    there is no token: `begun` is `target` shifted by one behind a token that starts it. Their overrides are the fields of
    `zoo.SequenceConfig` (`vocabulary`, `source_length`, `target_length`, `dim`, ...) and `train.SequenceRecipe`; `dataset`,
    `profile` and `steps` are not for them.

    >>> model = keras_vix.build("performer_softmax", dataset="digits", dim=16, depth=1, num_heads=2, m=8)
    >>> model.input_shape, model.output_shape
    ((None, 8, 8, 1), (None, 10))
    >>> swin = keras_vix.build("swin_t", dataset="cifar10", patch=4, window=4, dim=(8, 16), depth=(2, 2), num_heads=(1, 2))
    >>> swin.output_shape, swin.count_params()
    ((None, 10), 9784)

    Args:
        preset: a name of `keras_vix.list_models()`, such as `"performer_softmax"`, or `list_models(kind="sequence")`.
        dataset: a name in `keras_vix.facts.DATASETS` (`digits`, `cifar10`, `imagenet`, ...), or the facts of any other images,
            `data.facts`: image shape, classes, pixel statistics, patch size and recipe; default the one that the preset was
            published for, `cifar10` or `imagenet`. For other images give `input_shape` and `classes`.
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
    if not isinstance(compile, bool):
        raise TypeError(f"`compile` must be True or False. Received: compile={compile!r}.")
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(f"`name` must be a word without a slash. Received: name={name!r}.")
    if steps is not None:
        checks.integer("steps", steps)
    if is_sequence(preset, dataset, profile, steps):
        return build_sequence(preset, compile, name, overrides)
    ours, rest = divide(overrides)
    config = configure(preset, dataset=dataset, profile=profile, **rest)
    how = recipe(preset, dataset or default_dataset(preset), profile, **ours)
    if steps is None:
        how = steady(how, "learning_rate" in ours)
    check(config, name or preset)
    model = assemble(config, name or preset)
    return compile_model(model, how, steps) if compile else model


def describe(preset: str, *, dataset: str | Facts | None = None, profile: str = "default", **overrides) -> Description:
    """What `build` with the same arguments would make: sizes, tokens, multiply-adds, the whole record and its source.

    >>> keras_vix.describe("vit_b16").trainable_parameters
    86567656
    >>> keras_vix.describe("vit", dataset="digits", kernel="nystrom", m=8).tokens
    65

    Args:
        preset, dataset, profile, overrides: as for `build`; fields of the recipe are checked and change nothing.

    Raises:
        TypeError, ValueError: as `build`.
    """
    if is_sequence(preset, dataset, profile):
        ours, rest = divide(overrides, SEQUENCE_NAMES, FIELDS)
        SequenceRecipe(**ours)
        return describe_sequence(preset, **rest)
    ours, rest = divide(overrides)
    recipe(preset, dataset or default_dataset(preset), profile, **ours)
    return describe_model(preset, dataset=dataset, profile=profile, **rest)


def is_sequence(preset, dataset=None, profile: str = "default", steps=None) -> bool:
    """Whether the preset maps sequences to sequences; the other arguments are then refused."""
    if not isinstance(preset, str) or preset not in SEQUENCES:
        return False
    if (dataset, profile, steps) != (None, "default", None):
        received = f"preset={preset!r}, dataset={dataset!r}, profile={profile!r}, steps={steps!r}"
        raise ValueError(f"`dataset`, `profile` and `steps` are for images. Received: {received}.")
    return True


def build_sequence(preset: str, compile: bool, name: str | None, overrides: dict) -> keras.Model:
    """The model of a preset of `SEQUENCES`, compiled after its recipe if `compile`."""
    ours, rest = divide(overrides, SEQUENCE_NAMES, FIELDS)
    config, how = configure_sequence(preset, **rest), SequenceRecipe(**ours)
    model = assemble_sequence(config, name or preset)
    return compile_sequence(model, config, how) if compile else model


def divide(overrides: dict, names=NAMES, fields=()) -> tuple[dict, dict]:
    """The overrides that belong to the recipe, by their `names`, and those of the model, which are `fields` or else `words()`.

    Raises:
        ValueError: for a word that means nothing to either, whatever is chosen.
    """
    known = {*names, *(fields or words())}
    for key, value in overrides.items():
        if key not in known and not any(key in parts(part) for part in overrides.values()):
            raise checks.unknown("`build`", key, value, sorted(known))
    ours = {key: value for key, value in overrides.items() if key in names}
    return ours, {key: value for key, value in overrides.items() if key not in names}


def parts(value) -> tuple[str, ...]:
    """The options of a part that is given as a class."""
    return arguments(value) if isinstance(value, type) else ()
