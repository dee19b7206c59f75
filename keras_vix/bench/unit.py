"""One unit of work: a preset, a data set and a seed, as data, and what a row of it says in any case."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..train.recipe import NAMES as RECIPE_FIELDS
from . import store
from .environment import discreet
from .tables import short

Progress = Callable[[dict[str, Any]], None]
TASKS = ("train", "cost")
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16")  # of dtypes, by Keras' names


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is to be measured: everything that decides the result, and nothing else.

    Args:
        preset: a name of the zoo.
        dataset: a name from `keras_vix.facts.DATASETS`, any other that `keras_vix.data.load` knows, or the path of a folder.
        profile: `default`, or `reference` for the settings of the publication that a preset follows.
        seed: of weights, order, augmentation, dropout and the validation split.
        epochs, batch_size: None leaves the choice to the recipe.
        limit: train on this many images only, and test on no more; None takes all.
        backend: the Keras backend; None takes the configured one.
        overrides: options of the model (`m`, `dim`, ...) and of the recipe (`learning_rate`, `augment`, ...).
        task: `train`, or `cost` for time, memory and multiply-adds of a model that is not trained.
        start: the fingerprint of a unit of the same folder whose trained weights this one starts from; None: its own.
        devices: on how many devices one batch is divided.
        deterministic: equal bits in equal runs, at the price of other times.
        distill_epochs: of `train.distill_attention` before the training, with the model that it starts from as the teacher.
        validation: the fraction of the training images set apart; None is a tenth. A search for settings wants more.
        dtype_policy: of the whole model, a name in `POLICIES`.
    """

    preset: str
    dataset: str = "digits"
    profile: str = "default"
    seed: int = 0
    epochs: int | None = None
    batch_size: int | None = None
    limit: int | None = None
    backend: str | None = None
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    task: str = "train"
    start: str | None = None
    devices: int = 1
    deterministic: bool = False
    distill_epochs: int = 0
    validation: float | None = None
    dtype_policy: str = "float32"

    @property
    def label(self) -> str:
        """The preset and what was changed of it: `performer_relu m=16`."""
        start = ["init=checkpoint"] if self.start else []
        start += [f"distill={self.distill_epochs}"] if self.distill_epochs else []
        start += [f"dtype_policy={self.dtype_policy}"] if self.dtype_policy != "float32" else []
        return " ".join([self.preset, *(f"{key}={short(value)}" for key, value in self.overrides.items()), *start])

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that are the same for equal units, whatever the order of their options."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_dict(self) -> dict[str, Any]:
        """The unit as plain JSON values; what came later than the first results is left out where it changes nothing."""
        fields = dataclasses.asdict(self)
        return store.plain({key: value for key, value in fields.items() if key not in LATER or value != LATER[key]})

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) that images are resized to where `input_shape` is set; None leaves them as they come."""
        shape = self.overrides.get("input_shape")
        return tuple(shape[:2]) if isinstance(shape, (list, tuple)) else None

    @property
    def of_recipe(self) -> dict[str, Any]:
        """Epochs, batch size and the overrides that belong to the recipe."""
        own = {key: value for key, value in self.overrides.items() if key in RECIPE_FIELDS}
        given = {"epochs": self.epochs, "batch_size": self.batch_size}
        return own | {key: value for key, value in given.items() if value is not None}

    @property
    def of_model(self) -> dict[str, Any]:
        """The overrides that belong to the model. Lists, which JSON and TOML have, become tuples."""
        own = {key: value for key, value in self.overrides.items() if key not in RECIPE_FIELDS}
        return {"seed": self.seed} | {key: tuple(v) if isinstance(v, list) else v for key, v in own.items()}


# Fields that the first results did not have: left out at these values, so that fingerprints stay what they were.
LATER = {field.name: field.default for field in dataclasses.fields(Unit)[-7:]}


def identity(unit: Unit) -> dict[str, Any]:
    """The part of a row that says which unit it is of."""
    return {
        "schema": store.SCHEMA,
        "status": "done",
        "label": unit.label,
        "fingerprint": unit.fingerprint,
        "unit": unit.to_dict(),
        "preset": unit.preset,
        "dataset": discreet(unit.dataset),
        "profile": unit.profile,
        "seed": unit.seed,
        "m": unit.overrides.get("m"),
        "task": unit.task,
        "init": "checkpoint" if unit.start else "scratch",
        "devices": unit.devices,
        "deterministic": unit.deterministic,
        "distill_epochs": unit.distill_epochs,
    }


def failure(unit: Unit, status: str, message: str) -> dict[str, Any]:
    """The row of a unit that gave no result: `error`, `oom`, `killed` or `timeout`, and why."""
    return identity(unit) | {"status": status, "message": discreet(message)[-2000:]}


def remember(heard: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is known of a run that failed: the batch it was tried with, and the curves of the epochs that it finished."""
    known: dict[str, Any] = {}
    for event in heard:
        if event["event"] == "started" and isinstance(event.get("batch_size"), int):
            known["batch_size"] = event["batch_size"]
    logs = [event["logs"] for event in heard if event["event"] == "epoch" and isinstance(event.get("logs"), dict)]
    if logs:
        names = [name for name in logs[0] if all(name in epoch for epoch in logs)]
        known |= {"epochs": len(logs), "history": {name: [epoch[name] for epoch in logs] for name in names}}
    return known
