"""From a name and overrides to a record."""

from ..facts import DATASETS
from .. import checks
from .config import Config, fields
from .lookup import lookup
from .presets import FAMILIES, GEOMETRY, PRESETS, Row, cut

PROFILES = ("default", "reference")
DEFAULT_DATASET = "cifar10"


def find(preset: str) -> Row:
    """The row of a preset.

    Raises:
        TypeError, ValueError: if there is no such preset; the message shows the nearest names.
    """
    if preset == "":
        raise ValueError("The name of a preset must not be empty.")
    return lookup(PRESETS, preset, "preset")


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
    shape = overrides.get("input_shape", facts.get("input_shape"))
    geometry = _geometry(row.family, shape)
    if "patch" in overrides:  # the family resizes images for its own patch size only
        geometry.pop("resize", None)
    start = {**FAMILIES[row.family][profile], **geometry, **row.choices}
    own = {name: value for name, value in {**facts, **start, **overrides}.items() if name in fields()}
    wanted = {name: value for name, value in overrides.items() if name not in fields()}
    bare = Config(**own)
    rest = {name: value for name, value in start.items() if bare.claimants(name)}
    return Config(**own, options={**rest, **wanted})


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
        size = tuple(shape[:2])
        return dict(GEOMETRY[family].get(size) or cut(shape))
    except (TypeError, ValueError):  # not a shape at all: `Config` says so
        return {}
