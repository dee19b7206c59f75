"""One unit of work: a preset, a data set and a seed, and the process that measures it, giving one row.

`python -m keras_vix.bench.unit RESULT.json` reads a unit as JSON from standard input, writes the row to the file, and
prints its progress as JSON lines; the runner starts one such process for each unit.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..train.recipe import NAMES as RECIPE_FIELDS
from . import store
from .environment import without_home
from .outcome import status_of
from .tables import short

Progress = Callable[[dict[str, Any]], None]
TASKS = ("train", "cost")
UNWRITTEN = 74  # what a child ends with when its result cannot be written; `sysexits.h` calls it an input or output error


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

    @property
    def label(self) -> str:
        """The preset and what was changed of it: `performer_relu m=16`."""
        start = ["init=checkpoint"] if self.start else []
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
LATER = {field.name: field.default for field in dataclasses.fields(Unit)[-4:]}


def measure(unit: Unit, progress: Progress = lambda event: None) -> dict[str, Any]:
    """Measure one unit in this process.

    Args:
        unit: what to measure.
        progress: is called with `{"event": "started", ...}` once the model is ready, and `{"event": "epoch", ...}`
            after each epoch.

    Returns:
        One row: identity, figures, curves, times, configuration and environment. Its `status` is `done`, or `nan` if
        training or validation diverged.

    Raises:
        ValueError, TypeError: the unit makes no sense.
        Whatever stops a training.
    """
    if unit.task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}. Received: task={unit.task!r}.")
    if unit.deterministic:
        from .determinism import enable

        enable()
    if unit.task == "cost":
        from .cost import cost

        return cost(unit, progress)
    from .measure import trained

    return trained(unit, progress)


def identity(unit: Unit) -> dict[str, Any]:
    """The part of a row that says which unit it is of."""
    return {
        "schema": store.SCHEMA,
        "status": "done",
        "label": unit.label,
        "fingerprint": unit.fingerprint,
        "unit": unit.to_dict(),
        "preset": unit.preset,
        "dataset": without_home(unit.dataset),
        "profile": unit.profile,
        "seed": unit.seed,
        "m": unit.overrides.get("m"),
        "task": unit.task,
        "init": "checkpoint" if unit.start else "scratch",
        "devices": unit.devices,
        "deterministic": unit.deterministic,
    }


def failure(unit: Unit, status: str, message: str) -> dict[str, Any]:
    """The row of a unit that gave no result: `error`, `oom`, `killed` or `timeout`, and why."""
    return identity(unit) | {"status": status, "message": without_home(message)[-2000:]}


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


def row_of(unit: Unit, progress: Progress) -> dict[str, Any]:
    """The row of a unit, measured in this process; an exception becomes a row that keeps the epochs before it.

    Raises:
        BrokenPipeError: nobody listens to the progress any more.
    """
    heard: list[dict[str, Any]] = []

    def listen(event: dict[str, Any]) -> None:
        heard.append(event)
        progress(event)

    try:
        return measure(unit, listen)
    except BrokenPipeError:
        raise
    except Exception as error:
        traceback.print_exc()
        return remember(heard) | failure(unit, status_of(error), f"{type(error).__name__}: {error}")


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that does: its end of a pipe closes."""
    handle = os.environ.pop("KERAS_VIX_PARENT", "")

    def wait() -> None:
        os.read(int(handle), 1)
        os._exit(1)

    if handle:
        threading.Thread(target=wait, daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """The child process. 0: the row is written, whatever it says; 1: nobody listens any more; 74: it cannot be written."""
    (path,) = arguments
    end_with_parent()
    unit = Unit(**json.load(sys.stdin))
    speak = sys.stdout

    def progress(event: dict[str, Any]) -> None:
        print(json.dumps(store.plain(event), allow_nan=False), file=speak, flush=True)

    try:
        with contextlib.redirect_stdout(sys.stderr):
            row = row_of(unit, progress)
        try:
            store.write(Path(path), row)
        except OSError as error:
            print(error, file=sys.stderr)
            return UNWRITTEN
        progress({"event": "done", "status": row["status"]})
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
