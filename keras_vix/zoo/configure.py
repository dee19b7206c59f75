"""From a name and overrides to a record."""

from ..facts import DATASETS
from .. import checks
from .config import AXES, Config, fields
from .families import FAMILIES, geometry, strides
from .lookup import lookup
from .presets import PRESETS, Row
from .sequence import SEQUENCES

PROFILES = ("default", "reference")
DEFAULT_DATASET = "cifar10"


def find(preset: str) -> Row:
    """The row of a preset for images.

    Raises:
        TypeError, ValueError: if there is no such preset, or it is one for sequences; the message shows the nearest names.
    """
    if preset == "":
        raise ValueError("The name of a preset must not be empty.")
    row = lookup(PRESETS | SEQUENCES, preset, "preset")
    if isinstance(preset, str) and preset in SEQUENCES:
        raise ValueError(f"This needs a preset for images. Received: preset={preset!r}, which maps sequences to sequences.")
    return row


def configure(preset: str, *, dataset: str | None = None, profile: str = "default", **overrides) -> Config:
    """The record of `preset` for a data set and profile, with the caller's overrides.

    The preset's own options follow its choices: `configure("performer_softmax", kernel="softmax")` drops `m`, because exact
    attention does not ask for it, while `m=32` beside it is an error.

    Args:
        preset: a name of `list_models()`.
        dataset: a known data set, for image shape, classes, pixel statistics and patch size; default `cifar10`. With
            `input_shape` and `classes` any images will do.
        profile: `default`, lean and modern, or `reference`, the closest reading of the source.
        overrides: fields of `Config` or options of the chosen parts. With a `patch` of the caller's, images keep their size
            unless `resize` is given too.

    Raises:
        TypeError, ValueError: for anything unknown or that does not fit; no tensor exists yet.
    """
    row = find(preset)
    checks.choice("profile", profile, PROFILES)
    facts = _facts(dataset, overrides)
    family = FAMILIES[row.family]
    start = {**getattr(family, profile), **_geometry(row.family, overrides.get("input_shape", facts.get("input_shape")))}
    start = _follow(family.rules, start, {**row.choices, **overrides})
    start = {**start, **row.choices}
    if "patch" in overrides:  # the family resizes images for its own patch size only
        start.pop("resize", None)
    own = {name: value for name, value in {**facts, **start, **overrides}.items() if name in fields()}
    wanted = {name: value for name, value in overrides.items() if name not in fields()}
    bare = Config(**own)
    rest = {name: value for name, value in start.items() if bare.claimants(name)}
    return Config(**own, options={**rest, **wanted})


def _follow(rules, start: dict, choices: dict) -> dict:
    """`start` with what the choices, those of `start` included, bring along; and a stem's strides for the patch in `start`."""
    chosen = {axis: start.get(axis, getattr(Config, axis)) for axis in AXES} | choices
    for axis, choice, entries in rules:
        if chosen[axis] == choice:
            start = {**start, **entries}
    if rules and "strides" not in start and "patch" in start:
        start["strides"] = strides(start["patch"], len(choices.get("filters", start.get("filters", (0, 0)))) + 1)
    return start


def _facts(dataset, overrides) -> dict:
    if dataset is None and "input_shape" in overrides:
        if "classes" not in overrides:
            raise ValueError("Images of your own need `classes` beside `input_shape`. Received: no classes.")
        return {}
    known = lookup(DATASETS, DEFAULT_DATASET if dataset is None else dataset, "dataset")
    facts = {"input_shape": known.input_shape, "classes": known.classes, "mean": known.mean, "std": known.std}
    if "input_shape" in overrides and tuple(overrides["input_shape"])[2:] != known.input_shape[2:]:
        facts |= {"mean": (0.5,), "std": (0.5,)}
    return facts


def _geometry(family, shape) -> dict:
    try:
        return geometry(family, shape)
    except (TypeError, ValueError):  # not a shape at all: `Config` says so
        return {}
