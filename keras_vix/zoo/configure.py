"""From a name and overrides to a record."""

from ..facts import DATASETS, IMAGENET, Facts
from .. import checks
from .config import AXES, Config, fields
from .families import CHANNELS, FAMILIES, LEAST_GRID, STEM, geometry, late, stem, strides
from .lookup import lookup
from .presets import PRESETS, Row
from .sequence import SEQUENCES

PROFILES = ("default", "reference")


def find(preset: str) -> Row:
    """The row of a preset for images.

    Raises:
        TypeError, ValueError: if there is no such preset, or it is one for sequences; the message shows the nearest names.
    """
    if preset == "":
        raise ValueError("The name of a preset must not be empty. Received: preset=''; see keras_vix.list_models().")
    row = lookup(PRESETS | SEQUENCES, preset, "preset")
    if isinstance(preset, str) and preset in SEQUENCES:
        raise ValueError(f"This needs a preset for images. Received: preset={preset!r}, which maps sequences to sequences.")
    return row


def configure(preset: str, *, dataset: str | Facts | None = None, profile: str = "default", **overrides) -> Config:
    """The record of `preset` for a data set and profile, with the caller's overrides.

    The preset's own options follow its choices: `configure("performer_softmax", kernel="softmax")` drops `m`, because exact
    attention does not ask for it, while `m=32` beside it is an error.

    Args:
        preset: a name of `list_models()`.
        dataset: a known data set, or the facts of any other (`data.facts`), for image shape, classes, pixel statistics and patch
            size; default the one that the preset's family was published for, `cifar10` or `imagenet`. With `input_shape` and
            `classes` any images will do.
        profile: `default`, lean and modern, or `reference`, the closest reading of the source.
        overrides: fields of `Config` or options of the chosen parts. With a `patch` of the caller's, images keep their size
            unless `resize` is given too. A preset's own patch is for images of at least 7 patches a side; smaller images get
            a smaller one.

    Raises:
        TypeError, ValueError: for anything unknown or that does not fit; no tensor exists yet.
    """
    row = find(preset)
    checks.choice("profile", profile, PROFILES)
    family = FAMILIES[row.family]
    facts = _facts(dataset, family.dataset, overrides)
    shape = overrides.get("input_shape", facts.get("input_shape"))
    choices = _fitting(row.choices, shape)
    start = {**getattr(family, profile), **({} if "patch" in choices else _geometry(row.family, shape, profile))}
    if profile == "default" and family.lean:
        start, overrides = _stem(start, {**choices, **overrides}, shape), dict(overrides)
        if start.get("embed") == "conv" and overrides.get("embed", "conv") == "conv" and "strides" not in overrides:
            overrides.pop("patch", None)  # it has become the strides of the stem
    start = _follow(family.rules, start, {**choices, **overrides})
    start = {**start, **choices}
    if "patch" in overrides:  # a family resizes images, and a row lets patches overlap, for its own patch size only
        start = {name: value for name, value in start.items() if name not in ("resize", "patch_stride")}
    own = {name: value for name, value in {**facts, **start, **overrides}.items() if name in fields()}
    wanted = {name: value for name, value in overrides.items() if name not in fields()}
    bare = Config(**own)
    rest = {name: value for name, value in start.items() if bare.claimants(name)}
    return Config(**own, options={**rest, **wanted})


def default_dataset(preset: str) -> str:
    """The data set that a preset is built for where nothing else is said."""
    return FAMILIES[find(preset).family].dataset


def _fitting(choices: dict, shape) -> dict:
    """A row's choices, without its patch where the image is too small for it."""
    try:
        small = "patch" in choices and min(shape[:2]) < LEAST_GRID * choices["patch"]
    except TypeError:  # not a shape at all: `Config` says so
        small = False
    return {name: value for name, value in choices.items() if not (small and name in ("patch", "patch_stride"))}


def _follow(rules, start: dict, choices: dict) -> dict:
    """`start` with what the choices, those of `start` included, bring along; and a stem's strides for the patch in `start`."""
    chosen = {axis: start.get(axis, getattr(Config, axis)) for axis in AXES} | choices
    for axis, choice, entries in rules:
        if chosen[axis] == choice:
            start = {**start, **entries}
    if rules and "strides" not in start and "patch" in start:
        start["strides"] = strides(start["patch"], len(choices.get("filters", start.get("filters", (0, 0)))) + 1)
    return start


def _stem(start: dict, choices: dict, shape) -> dict:
    """`start` with the stem of the default profile for the caller's patch, strides or filters, or its own."""
    patch = choices.get("patch", start.get("patch"))
    own = "patch" not in choices and "filters" in start  # images that have a stem of their own
    if own or choices.get("embed", "conv") != "conv":
        return start
    if "strides" in choices:
        return {**start, **STEM, "filters": CHANNELS[: max(0, len(checks.several("strides", choices["strides"])) - 1)]}
    whole = isinstance(patch, int) and not isinstance(patch, bool) and patch > 0
    try:
        fits = whole and not (choices.get("pad") or shape[0] % patch or shape[1] % patch)
    except (TypeError, IndexError):  # not a shape at all: `Config` says so
        fits = False
    found = {**start, **(stem(patch) if fits else {"embed": "patch", "patch": patch})}
    if "filters" in choices and found["embed"] == "conv":
        found["strides"] = late(patch, len(checks.several("filters", choices["filters"])) + 1)
    return found


def _facts(dataset, default: str, overrides) -> dict:
    if dataset is None and "input_shape" in overrides and (default != IMAGENET.name or "classes" in overrides):
        if "classes" not in overrides:
            raise ValueError("Images of your own need `classes` beside `input_shape`. Received: no classes.")
        if default != IMAGENET.name:
            return {}
    known = dataset if isinstance(dataset, Facts) else lookup(DATASETS, default if dataset is None else dataset, "dataset")
    facts = {"input_shape": known.input_shape, "classes": known.classes, "mean": known.mean, "std": known.std}
    if "input_shape" in overrides and tuple(overrides["input_shape"])[2:] != known.input_shape[2:]:
        facts |= {"mean": (0.5,), "std": (0.5,)}
    return facts


def _geometry(family, shape, profile) -> dict:
    try:
        return geometry(family, shape, profile)
    except (TypeError, ValueError):  # not a shape at all: `Config` says so
        return {}
