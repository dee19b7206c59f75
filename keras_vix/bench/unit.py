"""One unit of work: train a preset on a data set with a seed, evaluate it, and measure it, giving one row.

`python -m keras_vix.bench.unit RESULT.json` reads a unit as JSON from standard input, writes the row to the file, and
prints its progress as JSON lines; the runner starts one such process for each unit.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..train.recipe import NAMES as RECIPE_FIELDS
from . import store
from .environment import environment, without_home
from .outcome import status_of
from .tables import short

Progress = Callable[[dict[str, Any]], None]


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is to be measured: everything that decides the result, and nothing else.

    Args:
        preset: a name of the zoo.
        dataset: a name from `keras_vix.facts.DATASETS`.
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
        return " ".join([self.preset, *(f"{key}={short(value)}" for key, value in self.overrides.items())])

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


def best_epoch(curves: Mapping[str, Sequence[float | None]], by: str = "val_accuracy") -> int | None:
    """The epoch (from 1) with the best value of a curve; ties go to the lower `val_ce`, then to the earlier epoch.

    The best is the highest value, or the lowest for a loss or cross-entropy; epochs without a number never win.
    """
    sign = 1.0 if by.endswith(("loss", "ce")) else -1.0
    tie = curves.get("val_ce") or [None] * len(curves[by])
    keys = [
        (sign * value, math.inf if ce is None or math.isnan(ce) else ce, epoch)
        for epoch, (value, ce) in enumerate(zip(curves[by], tie, strict=False), 1)
        if value is not None and math.isfinite(value)
    ]
    return min(keys)[2] if keys else None


def measure(unit: Unit, progress: Progress = lambda event: None) -> dict[str, Any]:
    """Train, evaluate and time one unit in this process.

    Args:
        unit: what to measure.
        progress: is called with `{"event": "started", ...}` once the model is ready, and `{"event": "epoch", ...}`
            after each epoch.

    Returns:
        One row: identity, figures, curves, times, configuration and environment. Its `status` is `done`, or `nan` if
        training or validation diverged.

    Raises:
        ValueError, TypeError: the unit makes no sense.
    """
    surroundings = environment()
    import keras

    from .. import build, describe
    from ..data import load
    from ..train import compile as compile_model, recipe as make_recipe
    from ..train.devices import parallel

    keras.utils.set_random_seed(unit.seed)
    recipe = make_recipe(unit.preset, unit.dataset, unit.profile, **unit.of_recipe)
    data = load(unit.dataset, seed=unit.seed, limit=unit.limit)
    description = describe(unit.preset, dataset=unit.dataset, profile=unit.profile, **unit.of_model)
    with parallel(unit.devices, recipe.batch_size):
        model = build(unit.preset, dataset=unit.dataset, profile=unit.profile, compile=False, **unit.of_model)
        compile_model(model, recipe, steps=recipe.epochs * len(feed(data, recipe, unit.seed)))
        history, timing = train(model, data, recipe, unit.seed, progress)
        return (
            identity(unit)
            | sizes(data, recipe)
            | description_figures(description)
            | history_figures(history)
            | timing_figures(timing)
            | final_figures(model, data, recipe)
            | machine_figures(surroundings)
            | {"jit_compile": bool(model.jit_compile), "recipe": store.plain(dataclasses.asdict(recipe))}
        )


def identity(unit: Unit) -> dict[str, Any]:
    """The part of a row that says which unit it is of."""
    return {
        "schema": store.SCHEMA,
        "status": "done",
        "label": unit.label,
        "fingerprint": unit.fingerprint,
        "unit": unit.to_dict(),
        "preset": unit.preset,
        "dataset": unit.dataset,
        "profile": unit.profile,
        "seed": unit.seed,
        "m": unit.overrides.get("m"),
    }


def train(model: Any, data: Any, recipe: Any, seed: int, progress: Progress) -> tuple[dict[str, list], Any]:
    """Fit the model by the recipe; returns the curves and the Timing callback."""
    import keras

    from ..data import batches
    from ..train.devices import padded
    from ..train.timing import Timing

    training = feed(data, recipe, seed)
    validation = padded(batches(data.validation, recipe.batch_size))
    timing = Timing(images=training.images)
    begin = time.perf_counter()
    progress({"event": "started", "epochs": recipe.epochs, "steps": len(training), "batch_size": recipe.batch_size})

    def report(epoch: int, logs: dict[str, float]) -> None:
        progress({
            "event": "epoch", "epoch": epoch + 1, "epochs": recipe.epochs, "val_accuracy": logs.get("val_accuracy"),
            "epoch_seconds": timing.epochs[-1]["total_seconds"], "elapsed": time.perf_counter() - begin, "logs": dict(logs),
        })

    callbacks = [timing, keras.callbacks.TerminateOnNaN(), keras.callbacks.LambdaCallback(on_epoch_end=report)]
    history = model.fit(
        training, validation_data=validation, epochs=recipe.epochs, callbacks=callbacks, verbose=0
    ).history
    return {key: [float(value) for value in values] for key, values in history.items()}, timing


def feed(data: Any, recipe: Any, seed: int) -> Any:
    """The training batches of a recipe."""
    from ..data import batches, policy_for
    from ..train.devices import cut

    policy = policy_for(data.facts) if recipe.augment == "default" else recipe.augment
    return cut(batches(
        data.train, recipe.batch_size, shuffle=True, augment=policy, seed=seed, facts=data.facts,
        repeats=recipe.repeats, repeat_all=recipe.repeat_all,
    ))  # fmt: skip


def sizes(data: Any, recipe: Any) -> dict[str, Any]:
    """How many images, and how they were batched."""
    counts = {f"{part}_images": len(getattr(data, part).y) for part in ("train", "validation", "test")}
    return counts | {"batch_size": recipe.batch_size, "planned_epochs": recipe.epochs}


def description_figures(description: Any) -> dict[str, Any]:
    """What `describe` says of the model: parameters, tokens, multiply-adds, configuration, and `m`."""
    names = ("trainable_parameters", "published_parameters", "published_megabytes", "tokens", "multiply_adds", "source")
    config = description.config
    config = store.plain(config if isinstance(config, Mapping) else dataclasses.asdict(config))
    rank = config.get("m", config.get("options", {}).get("m"))
    return {name: getattr(description, name) for name in names} | {"config": config, "m": rank}


def history_figures(curves: Mapping[str, list[float]]) -> dict[str, Any]:
    """The last value of each curve, the best epoch, and whether the run diverged."""
    last = {
        name: curves[key][-1] for name, key in (
            ("train_accuracy", "accuracy"), ("train_loss", "loss"), ("train_ce", "ce"),
            ("val_accuracy", "val_accuracy"), ("val_loss", "val_loss"), ("val_ce", "val_ce"),
        )
    }
    best = best_epoch(curves)
    diverged = not all(math.isfinite(value) for values in curves.values() for value in values)
    return last | {
        "status": "nan" if diverged else "done",
        "message": f"the loss was not a number in epoch {len(curves['loss'])}" if diverged else "",
        "epochs": len(curves["loss"]),
        "best_epoch": best,
        "best_val_accuracy": curves["val_accuracy"][best - 1] if best else None,
        "history": dict(curves),
    }


def timing_figures(timing: Any) -> dict[str, Any]:
    """Steady times, and the records they come from; step times as one list of seconds for each epoch."""
    summary = timing.summary()
    steps: list[list[float]] = [[] for _ in timing.epochs]
    for step in timing.steps:
        steps[step["epoch"] - 1].append(round(step["seconds"], 7))
    return {
        "epoch_seconds": summary["total_seconds"],
        "train_seconds": summary["train_seconds"],
        "validation_seconds": summary["validation_seconds"],
        "step_seconds": summary["step_seconds"],
        "median_step_seconds": summary["median_step_seconds"],
        "first_step_seconds": summary["first_step_seconds"],
        "first_epoch_seconds": summary["first_epoch_seconds"],
        "steady_epochs": summary["steady_epochs"],
        "slow_epochs": summary["slow_epochs"],
        "images_per_second": summary["images_per_second"],
        "epoch_times": timing.epochs,
        "step_times": steps,
    }


def final_figures(model: Any, data: Any, recipe: Any) -> dict[str, float]:
    """Accuracy, top-5 accuracy and cross-entropy of the final weights on the test images, which nothing before has looked at."""
    from ..data import batches
    from ..train.devices import padded

    logits = model.predict(padded(batches(data.test, recipe.batch_size)), verbose=0).astype("float64")
    return scores(logits[: len(data.test.y)], data.test.y)


def scores(logits: Any, labels: Any) -> dict[str, float]:
    """Figures of logits `(images, classes)` and labels `(images,)`: the share whose label is the largest, or among the five
    largest; and the mean cross-entropy. Of equal logits the first counts as the largest."""
    import numpy as np

    own = np.take_along_axis(logits, labels[:, None].astype(int), axis=1)
    before = np.arange(logits.shape[1])[None] < labels[:, None]
    rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)
    top = logits.max(axis=1, keepdims=True)
    ce = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - own[:, 0]
    return {"test_accuracy": float((rank < 1).mean()), "test_top5": float((rank < 5).mean()), "test_ce": float(ce.mean())}


def machine_figures(surroundings: dict[str, Any]) -> dict[str, Any]:
    """The environment, and from it what a table shows."""
    names = ("backend", "cpu", "cores", "gpu")
    shown = {name: surroundings[name] for name in names}
    return shown | {
        "device": surroundings["gpu"] or surroundings["device"],
        "peak_memory_bytes": peak_memory(),
        "busy_at_start": (surroundings["others_percent"] or 0) > 20,
        "environment": surroundings,
    }


def peak_memory() -> int | None:
    """The most memory that this process has held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def failure(unit: Unit, status: str, message: str) -> dict[str, Any]:
    """The row of a unit that gave no result: `error`, `oom`, `killed` or `timeout`, and why."""
    return identity(unit) | {"status": status, "message": without_home(message)[-2000:]}


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that does: its end of a pipe closes."""
    handle = os.environ.pop("KERAS_VIX_PARENT", "")

    def wait() -> None:
        os.read(int(handle), 1)
        os._exit(1)

    if handle:
        threading.Thread(target=wait, daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """The child process. 0: the row is written, whatever it says; 1: nobody listens any more."""
    (path,) = arguments
    end_with_parent()
    unit = Unit(**json.load(sys.stdin))
    speak = sys.stdout

    def progress(event: dict[str, Any]) -> None:
        print(json.dumps(store.plain(event), allow_nan=False), file=speak, flush=True)

    try:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                row = measure(unit, progress)
            except BrokenPipeError:
                raise
            except Exception as error:
                traceback.print_exc()
                row = failure(unit, status_of(error), f"{type(error).__name__}: {error}")
        store.write(Path(path), row)
        progress({"event": "done", "status": row["status"]})
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
