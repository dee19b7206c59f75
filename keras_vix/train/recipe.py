"""How a model is trained: a record beside the one that says what it is."""

import dataclasses
from types import MappingProxyType

from .. import checks
from ..facts import Facts
from ..zoo import find
from .sources import SOURCES, published, source_of

SCHEDULES = ("constant", "cosine")
LOSSES = ("softmax", "sigmoid")
OPTIMIZERS = ("adamw", "adam", "sgd", "lion")
STEADY = 1 / 3  # of a schedule's peak: what a rate that never falls can be


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about training that is not the model; dropping paths, `drop_path`, belongs to the model.

    >>> recipe = keras_vix.train.Recipe(epochs=10, learning_rate=3e-4, schedule="cosine", warmup=0.1)
    >>> recipe.optimizer, recipe.batch_size
    ('adamw', 256)

    Args:
        epochs: passes over the training images.
        batch_size: images in a step.
        optimizer: `adamw`, `adam`, `sgd` (Nesterov momentum 0.9) or `lion`.
        learning_rate: its peak.
        weight_decay: decoupled, for every weight but biases, normalisations, positions and tokens; decay_all: for those too.
        optimizer_epsilon: of `adamw` and `adam`, or `None` for Keras' own, 1e-7.
        warmup: fraction of all steps in which the rate rises from `warmup_rate`; `cosine` only.
        schedule: `constant`, or `cosine` to `final_rate` over all steps.
        warmup_rate, final_rate: first and last rate of `cosine`, neither above `learning_rate`.
        label_smoothing: share of the target spread over all classes, in [0, 1).
        loss: `softmax`, or `sigmoid`, a yes-or-no question a class, without smoothing.
        clip_norm: largest global norm of the gradient, or `None`.
        augment: name of an augmentation policy; `default` is that of the data set.
        repeats: how often each image comes, one time after the other; an epoch stays as long as it was.
        repeat_all: let the epoch grow by as much instead.
        ema: momentum of a running mean of the weights, which they are set to when `fit` ends, or `None`.
        recipe: the published recipe, a name in `keras_vix.train.SOURCES`, that it started from, or `None`.
        jit_compile: Keras' word, `auto`, True or False. `auto` is XLA on JAX, and on TensorFlow with a GPU; none on TensorFlow
            without one, where XLA made steps slower (the suite `speed` measures it), and on torch.
        accumulate: batches whose gradients are averaged before the weights move. `batch_size` is that of one, and schedules
            count each: batches of 32 that are accumulated by fours train as batches of 128 do, but for batch normalisation.
        steps_per_execution: batches that Keras runs in one call; callbacks see the last of them only. Not on torch.
    """

    epochs: int = 60
    batch_size: int = 256
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    decay_all: bool = False
    optimizer_epsilon: float | None = None
    warmup: float = 0.0
    schedule: str = "constant"
    warmup_rate: float = 0.0
    final_rate: float = 0.0
    label_smoothing: float = 0.0
    loss: str = "softmax"
    clip_norm: float | None = None
    augment: str = "default"
    repeats: int = 1
    repeat_all: bool = False
    ema: float | None = None
    recipe: str | None = None
    jit_compile: bool | str = "auto"
    accumulate: int = 1
    steps_per_execution: int = 1

    def __post_init__(self):
        for name in ("epochs", "batch_size", "repeats", "accumulate", "steps_per_execution"):
            checks.integer(name, getattr(self, name))
        checks.choice("optimizer", self.optimizer, OPTIMIZERS)
        checks.choice("schedule", self.schedule, SCHEDULES)
        checks.choice("loss", self.loss, LOSSES)
        checks.number("learning_rate", self.learning_rate, 1e-12, 100.0)
        for name in ("warmup_rate", "final_rate"):
            checks.number(name, getattr(self, name), 0.0, self.learning_rate, include_high=True)
        checks.number("weight_decay", self.weight_decay, 0.0, 10.0)
        for name in ("warmup", "label_smoothing"):
            checks.rate(name, getattr(self, name))
        if self.loss == "sigmoid" and self.label_smoothing:
            raise ValueError(f"`label_smoothing` must be 0 for `sigmoid`. Received: label_smoothing={self.label_smoothing!r}.")
        for name in ("decay_all", "repeat_all"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"`{name}` must be True or False. Received: {name}={getattr(self, name)!r}.")
        if self.ema is not None:
            checks.rate("ema", self.ema)
        if self.recipe is not None:
            checks.choice("recipe", self.recipe, SOURCES)
        if self.optimizer_epsilon is not None:
            checks.number("optimizer_epsilon", self.optimizer_epsilon, 1e-16, 1.0)
            checks.choice("optimizer", self.optimizer, ("adamw", "adam"))
        if self.clip_norm is not None:
            checks.number("clip_norm", self.clip_norm, 1e-12, 1e6)
        if not isinstance(self.augment, str):
            raise TypeError(f"`augment` must be the name of a policy. Received: augment={self.augment!r}.")
        if not (isinstance(self.jit_compile, bool) or self.jit_compile == "auto"):
            raise TypeError(f"`jit_compile` must be True, False or 'auto'. Received: jit_compile={self.jit_compile!r}.")


NAMES = tuple(field.name for field in dataclasses.fields(Recipe))

# Columbia 2024 report, as the Keras examples behind it train; its epochs are the report's own.
COLUMBIA = {
    "isotropic": dict(epochs=60, batch_size=256),
    "swin": dict(epochs=50, batch_size=128, label_smoothing=0.1),
}

# The default profile of the same rows; the suite `backbone` searches it (docs/profile.md).
LEAN = dict(epochs=60, batch_size=128, learning_rate=3e-3, weight_decay=0.05, label_smoothing=0.1)

# Hybrid X-formers 2022: AdamW at a constant rate, decay of everything, no augmentation. Its runs differ in batch size and length.
HYBRID = dict(epochs=40, batch_size=64, weight_decay=0.01, decay_all=True, optimizer_epsilon=1e-8, augment="none")
HYBRID_RUNS = MappingProxyType(
    {
        "vip": dict(batch_size=128),
        "vil": dict(batch_size=256),
        "vin": dict(batch_size=128),
        "fnet": dict(batch_size=512, epochs=100),
        "hybrid_fnet": dict(batch_size=512, epochs=100),
        "mlp_mixer": dict(batch_size=640),
        "hybrid_mlp_mixer": dict(batch_size=640),
        "cct": dict(batch_size=48),
        "vip_rope": dict(batch_size=192),
        "vin_rope": dict(batch_size=192),
        "vil_rope": dict(batch_size=320),
        "hybrid_vip_rope": dict(batch_size=192),
        "hybrid_vil_rope": dict(batch_size=256),
        "hybrid_vin_rope": dict(batch_size=192),
    }
)
# Its longer runs on Tiny ImageNet.
HYBRID_TINY = MappingProxyType(
    {
        **{name: dict(epochs=150, batch_size=192) for name in ("levit", "levip", "levil", "levin")},
        **{name: dict(epochs=150, batch_size=160) for name in ("ccp", "ccn", "cvt", "cvp", "cvl", "cvn")},
    }
)

MODERN = dict(schedule="cosine", warmup=0.1, clip_norm=1.0)

# What a small data set wants instead.
SMALL = MappingProxyType(
    {
        "digits": dict(epochs=18, batch_size=64, learning_rate=3e-3),
        "mnist": dict(batch_size=128, learning_rate=2e-3),
        "fashion_mnist": dict(batch_size=128, learning_rate=2e-3),
    }
)


def recipe(preset: str, dataset: str | Facts = "cifar10", profile: str = "default", **overrides) -> Recipe:
    """The recipe of a preset for a data set and profile, with the caller's overrides.

    `recipe="deit"`, or another name in `SOURCES`, starts from that published recipe, whatever the preset; so does the reference
    profile of a family that has one. Its peak rate follows `batch_size` where the source has such a rule.

    >>> keras_vix.train.recipe("vit", "digits", learning_rate=3e-4).schedule
    'cosine'
    >>> keras_vix.train.recipe("vit", recipe="deit", batch_size=256).learning_rate
    0.00025

    Raises:
        TypeError, ValueError: for an unknown preset, profile or field, or a value out of range.
    """
    row = find(preset)
    dataset = dataset.name if isinstance(dataset, Facts) else dataset
    checks.choice("profile", profile, ("default", "reference"))
    known(overrides)
    source = overrides.get("recipe") or (source_of(row.family) if profile == "reference" else None)
    if source is not None:
        return from_source(source, dataset, **overrides)
    start = dict(COLUMBIA.get(row.family, dict(epochs=40, batch_size=128, weight_decay=0.05)))
    lean = profile == "default" and row.family in COLUMBIA and dataset != "digits"
    hybrid = row.counting == "modules"
    if lean:
        start = LEAN | MODERN
    elif profile == "default" or not (hybrid or row.family in COLUMBIA):
        start |= MODERN | SMALL.get(dataset, {})
    elif hybrid:
        start = HYBRID | HYBRID_RUNS.get(preset, {}) | (HYBRID_TINY.get(preset, {}) if dataset == "tiny_imagenet" else {})
    elif dataset in ("cifar10", "cifar100"):
        start["augment"] = "flip" if row.family == "swin" else "reference_cifar"
    elif row.family == "swin":
        start["augment"] = "none"
    return Recipe(**{**start, **overrides})


def from_source(source: str, dataset: str = "", **overrides) -> Recipe:
    """The published recipe of that name, whatever the model, with the caller's overrides.

    Raises:
        TypeError, ValueError: for an unknown name or field, or a value out of range.
    """
    known(overrides)
    checks.choice("recipe", source, SOURCES)
    batch = overrides.get("batch_size")
    batch = None if batch is None else checks.integer("batch_size", batch)
    parts = checks.integer("accumulate", overrides.get("accumulate", 1))
    return Recipe(**{**published(source, dataset, batch, parts), "recipe": source, **overrides})


def known(fields) -> None:
    """Refuse a field that no recipe has."""
    for name in fields:
        if name not in NAMES:
            raise ValueError(f"Unknown recipe field {name!r}.{checks.near(name, NAMES, '')} Known: {', '.join(NAMES)}.")


def steady(recipe: Recipe, rate_given: bool = False) -> Recipe:
    """The recipe for a training of unknown length: a cosine becomes a constant rate, a third of its peak unless it was given."""
    if recipe.schedule != "cosine" or rate_given:
        return recipe
    return dataclasses.replace(recipe, learning_rate=recipe.learning_rate * STEADY, warmup_rate=0.0, final_rate=0.0)
