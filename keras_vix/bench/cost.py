"""What a model costs without training it: steps and passes on random images, timed and weighed, giving one row."""

import dataclasses
from typing import Any

from . import store
from .environment import environment
from .latency import LEAST, Times, forward, pictures, repeat, timed, warm_up
from .measure import description_figures, machine_figures, recipe_of
from .memory import Peak, resident, trim
from .unit import Progress, Unit, identity

FEWEST, WARM = 3, 2  # timed runs of what is slower than the time it gets; runs before, the first of which compiles
PASS_SECONDS, STEP_SECONDS = 0.5, 1.0  # that passes of one batch, and training steps, are repeated for
BATCH = 1  # images at once, where nothing is said


def cost(unit: Unit, progress: Progress = lambda event: None) -> dict[str, Any]:
    """The row of a unit with `task="cost"`: no data set is read, and nothing is learnt.

    Images and labels are random. About a second and a half is measured, after what has to be compiled; each figure rests on at
    least three runs, however long they take.
    """
    surroundings = environment()
    from ..train import compile as compile_model
    from ..train.seeds import set_seed
    from ..zoo import configure
    from ..zoo.assemble import assemble
    from ..zoo.count import constant_parameters
    from ..zoo.describe import describe_built

    set_seed(unit.seed)
    recipe, batch = recipe_of(unit, unit.dataset), unit.batch_size or BATCH
    config = configure(unit.preset, dataset=unit.dataset, profile=unit.profile, **unit.of_model)
    model = assemble(config, unit.preset)
    progress({"event": "started", "epochs": 1, "steps": 1, "batch_size": batch})
    if recipe.jit_compile != "auto":
        model.jit_compile = recipe.jit_compile
    trim()
    idle = resident()
    passes = pass_figures(model, batch)
    compile_model(model, recipe)
    steps = step_figures(model, batch, config.classes)
    return (
        identity(unit)
        | {"message": "", "batch_size": batch, "cost_batch_size": batch}
        | description_figures(describe_built(unit.preset, config, model))
        | {"constant_parameters": constant_parameters(model)}
        | passes
        | steps
        | {"idle_memory_bytes": idle if steps["memory_source"] == "process" else None}
        | machine_figures(surroundings)
        | {"jit_compile": bool(model.jit_compile), "recipe": store.plain(dataclasses.asdict(recipe))}
    )


def pass_figures(model: Any, batch: int) -> dict[str, Any]:
    """Time and memory of passes from images to logits: of one image, and of the batch."""
    run, shape = forward(model), model.input_shape[1:]
    found: dict[int, Times] = {}
    for size in sorted({1, batch}):
        images = pictures(shape, size)
        warm_up(lambda: run(images), WARM, 0.0)
        with Peak() as peak:
            found[size] = repeat(lambda: run(images), least=FEWEST, most=20 * LEAST, seconds=PASS_SECONDS)
    names = {f"latency_{size}_seconds": found[size].median for size in (1, 64) if size in found}
    return names | {
        "latency_runs": min(times.runs for times in found.values()),
        "latency_1_spread": found[1].spread,
        "throughput": batch / found[batch].median,
        "throughput_batch_size": batch,
        "inference_memory_bytes": peak.bytes,
    }


def step_figures(model: Any, batch: int, classes: int) -> dict[str, Any]:
    """Time and memory of training steps on one batch, the first one, which compiles, apart."""
    import numpy as np

    from ..train.timing import synchronise

    images = pictures(model.input_shape[1:], batch)
    labels = np.random.default_rng(1).integers(0, classes, batch).astype("int32")

    def step() -> None:
        model.train_on_batch(images, labels)
        synchronise(model)

    first = timed(step)
    warm_up(step, WARM - 1, 0.0)
    with Peak() as peak:
        times = repeat(step, least=FEWEST, most=20 * LEAST, seconds=STEP_SECONDS)
    return {
        "first_step_seconds": first,
        "train_step_seconds": times.median,
        "train_steps": times.runs,
        "step_spread": times.spread,
        "train_memory_bytes": peak.bytes,
        "memory_source": peak.source,
    }
