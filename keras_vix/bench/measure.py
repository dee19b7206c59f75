"""Training one unit: train, evaluate, time and weigh a preset on a data set, giving one row."""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

from ..train.recipe import Recipe
from . import store, weights
from .approximation import IMAGES, kernel_error
from .environment import environment
from .latency import forward, latency, pictures
from .memory import Peak, process_peak
from .scores import SHOWN, best_epoch, confusion, samples, scores
from .unit import Progress, Unit, identity

LARGE = 64  # images in the batch whose latency and throughput every row has


def trained(unit: Unit, progress: Progress = lambda event: None) -> dict[str, Any]:
    """The row of a unit with `task="train"`; see `child.measure`."""
    surroundings = environment()
    from .. import build, describe
    from ..data import load
    from ..train import compile as compile_model
    from ..train.devices import parallel
    from ..train.seeds import set_seed
    from ..zoo.count import constant_parameters

    set_seed(unit.seed)
    apart = {} if unit.validation is None else {"validation": unit.validation}
    data = load(unit.dataset, seed=unit.seed, limit=unit.limit, image_size=unit.image_size, **apart)
    recipe = recipe_of(unit, data.facts)
    description = describe(unit.preset, dataset=data.facts, profile=unit.profile, **unit.of_model)
    with parallel(unit.devices, recipe.batch_size):
        model = build(unit.preset, dataset=data.facts, profile=unit.profile, compile=False, **unit.of_model)
        begun = weights.begin(unit, model, data.facts)
        passes = inference_figures(model, recipe)
        begun |= before_training(unit, model, data, recipe)
        compile_model(model, recipe, steps=recipe.epochs * len(feed(data, recipe, unit.seed)))
        with Peak() as peak:
            history, timing, findings = train(model, data, recipe, unit.seed, progress, peak)
        row = (
            identity(unit)
            | begun
            | sizes(data, recipe)
            | description_figures(description)
            | {"constant_parameters": constant_parameters(model)}
            | history_figures(history)
            | {"findings": findings}
            | timing_figures(timing)
            | {"train_memory_bytes": peak.bytes, "memory_source": peak.source}
            | passes
            | final_figures(model, data, recipe)
            | {"kernel_error": kernel_error(model, data.test.x[:IMAGES])}
            | digest_figures(model, unit)
            | machine_figures(surroundings)
            | {"jit_compile": bool(model.jit_compile), "recipe": store.plain(dataclasses.asdict(recipe))}
        )
        if row["status"] == "done":
            weights.keep(unit, model)
        return row


def recipe_of(unit: Unit, facts: Any) -> Recipe:
    """The recipe of a unit for a data set's facts, or its name.

    One that must repeat its bits is not compiled by XLA on TensorFlow, which cannot promise them.
    """
    import keras

    from ..train import recipe as make_recipe

    recipe = make_recipe(unit.preset, facts, unit.profile, **unit.of_recipe)
    if unit.deterministic and keras.config.backend() == "tensorflow":
        recipe = dataclasses.replace(recipe, jit_compile=False)
    return recipe


def before_training(unit: Unit, model: Any, data: Any, recipe: Recipe) -> dict[str, Any]:
    """What a model that starts from another's weights can do before it is trained, and once its mixers have learned from it.

    Returns:
        `swap_accuracy` of the test images as the weights come; after `distill_epochs` of them, `distilled_accuracy`,
        `distill_seconds` and `distill_error`, the mean relative error of the blocks in the last of them.
    """
    if unit.start is None:
        return {}
    from ..train import distill_attention

    found = {"swap_accuracy": accuracy_of(model, data, recipe)}
    if unit.distill_epochs:
        teacher = weights.source(unit.start, data.facts)
        begin = time.perf_counter()
        history = distill_attention(
            model, teacher, data.train.x, epochs=unit.distill_epochs, batch_size=recipe.batch_size, verbose=0
        )
        found |= {"distill_seconds": time.perf_counter() - begin, "distill_error": float(history.history["loss"][-1])}
        found |= {"distilled_accuracy": accuracy_of(model, data, recipe)}
    return found


def accuracy_of(model: Any, data: Any, recipe: Recipe) -> float:
    """The share of the test images that a model takes for what they are."""
    return scores(predict(model, data.test, recipe), data.test.y)["test_accuracy"]


def inference_figures(model: Any, recipe: Recipe) -> dict[str, Any]:
    """Time and memory of passes from images to logits, measured before there is an optimiser or a gradient.

    Neither depends on the values of the weights.
    """
    if recipe.jit_compile != "auto":
        model.jit_compile = recipe.jit_compile
    run, shape = forward(model), model.input_shape[1:]
    one = latency(run, pictures(shape, 1))
    images = pictures(shape, LARGE)
    run(images)
    with Peak() as peak:
        many = latency(run, images)
    return {
        "latency_1_seconds": one.median,
        "latency_64_seconds": many.median,
        "latency_runs": min(one.runs, many.runs),
        "latency_1_runs": one.runs,
        "latency_64_runs": many.runs,
        "latency_1_spread": one.spread,
        "latency_64_spread": many.spread,
        "throughput": LARGE / many.median,
        "throughput_batch_size": LARGE,
        "inference_memory_bytes": peak.bytes,
    }


def train(
    model: Any, data: Any, recipe: Recipe, seed: int, progress: Progress, peak: Peak | None = None
) -> tuple[dict[str, list], Any, list[str]]:
    """Fit the model by the recipe; returns the curves, the Timing callback, and what `Watch` has found.

    Args:
        peak: begins anew after the first epoch if there are more, since compiling takes memory of its own.
    """
    import keras

    from ..data import batches
    from ..train.devices import padded
    from ..train.timing import Timing
    from ..train.watch import Watch

    training = feed(data, recipe, seed)
    validation = padded(batches(data.validation, recipe.batch_size))
    timing = Timing(per_step=recipe.steps_per_execution == 1, images=training.images)
    begin = time.perf_counter()
    progress({
        "event": "started", "epochs": recipe.epochs, "steps": len(training), "batch_size": recipe.batch_size,
    })

    def report(epoch: int, logs: dict[str, float]) -> None:
        progress({
            "event": "epoch", "epoch": epoch + 1, "epochs": recipe.epochs, "val_accuracy": logs.get("val_accuracy"),
            "epoch_seconds": timing.epochs[-1]["total_seconds"], "elapsed": time.perf_counter() - begin,
            "logs": {key: float(value) for key, value in logs.items()},
        })
        if peak is not None and epoch == 0 and recipe.epochs > 1:
            peak.restart()

    watch = Watch(warn=False)
    callbacks = [timing, keras.callbacks.TerminateOnNaN(), watch, keras.callbacks.LambdaCallback(on_epoch_end=report)]
    history = model.fit(
        training, validation_data=validation, epochs=recipe.epochs, callbacks=callbacks, verbose=0
    ).history
    return {key: [float(value) for value in values] for key, values in history.items()}, timing, watch.findings


def feed(data: Any, recipe: Recipe, seed: int) -> Any:
    """The training batches of a recipe."""
    from ..data import batches, policy_for
    from ..train.devices import cut

    policy = policy_for(data.facts) if recipe.augment == "default" else recipe.augment
    return cut(batches(
        data.train, recipe.batch_size, shuffle=True, augment=policy, seed=seed, facts=data.facts,
        repeats=recipe.repeats, repeat_all=recipe.repeat_all,
    ))  # fmt: skip


def sizes(data: Any, recipe: Recipe) -> dict[str, Any]:
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
        "step_spread": summary["step_spread"],
        "first_step_seconds": summary["first_step_seconds"],
        "first_epoch_seconds": summary["first_epoch_seconds"],
        "steady_epochs": summary["steady_epochs"],
        "slow_epochs": summary["slow_epochs"],
        "images_per_second": summary["images_per_second"],
        "epoch_times": timing.epochs,
        "step_times": steps,
    }


def final_figures(model: Any, data: Any, recipe: Recipe) -> dict[str, Any]:
    """Figures of the final weights: on the test images, which nothing before has looked at, and top-5 on those of validation.

    The test pass is timed after another one over one full and one smaller batch, which traces and compiles what it needs.
    """
    test, size = data.test, len(data.test.y)
    few = min(size, recipe.batch_size + size % recipe.batch_size)
    predict(model, type(test)(test.x[:few], test.y[:few]), recipe)
    begin = time.perf_counter()
    logits = predict(model, test, recipe)
    seconds = time.perf_counter() - begin
    validation = scores(predict(model, data.validation, recipe), data.validation.y, "val")
    return scores(logits, test.y) | {
        "val_top5": validation["val_top5"],
        "test_seconds": seconds,
        "confusion": confusion(logits, test.y),
        "samples": samples(test.x[:SHOWN], logits[:SHOWN], test.y[:SHOWN]),
        "class_names": list(data.facts.class_names) or None,
    }


def predict(model: Any, split: Any, recipe: Recipe) -> Any:
    """The logits of the images of a split, float64."""
    from ..data import batches
    from ..train.devices import padded

    logits = model.predict(padded(batches(split, recipe.batch_size)), verbose=0)
    return logits[: len(split.y)].astype("float64")


def digest_figures(model: Any, unit: Unit) -> dict[str, str]:
    """The digest of the weights of a unit that must repeat its bits."""
    from .determinism import weights_sha256

    return {"weights_sha256": weights_sha256(model)} if unit.deterministic else {}


def machine_figures(surroundings: dict[str, Any]) -> dict[str, Any]:
    """The environment, and from it what a table shows."""
    names = ("backend", "cpu", "cores", "gpu")
    shown = {name: surroundings[name] for name in names}
    return shown | {
        "device": surroundings["gpu"] or surroundings["device"],
        "peak_memory_bytes": process_peak(),
        "busy_at_start": (surroundings["others_percent"] or 0) > 20,
        "environment": surroundings,
    }
