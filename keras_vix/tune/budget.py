"""What a model may cost: limits that are counted before a weight exists, and limits that are measured before it is trained."""

from collections.abc import Mapping
from typing import Any

from .. import checks
from ..bench.latency import forward, pictures, repeat, warm_up
from ..bench.memory import Peak, resident
from ..zoo import Config
from ..zoo.count import multiply_adds, trainable_parameters
from ..zoo.outline import outline

# Each limit, and its unit as a message has it.
COUNTED = {"parameters": "parameters", "multiply_adds": "multiply-adds"}
MEASURED = {"latency_seconds": "s for one image", "memory_bytes": "bytes"}
BUDGETS = (*COUNTED, *MEASURED)
FEWEST, MOST, SECONDS = 10, 1000, 0.5  # timed passes of one image, and how long quick ones are repeated
WARM, WARM_SECONDS = 10, 2.0
BATCH = 64  # images in the pass that is weighed


def check(budget: Mapping[str, float] | None) -> dict[str, float]:
    """A budget as numbers.

    Raises:
        TypeError, ValueError: an unknown limit, or one that is no positive number.
    """
    if budget is None:
        return {}
    if not isinstance(budget, Mapping):
        raise TypeError(f"`budget` must be a dictionary of {', '.join(BUDGETS)}. Received: budget={budget!r}.")
    for name, limit in budget.items():
        checks.choice("budget", name, BUDGETS)
        if checks.number(name, limit, 0.0, 1e30) == 0.0:
            raise ValueError(f"`{name}` must be above 0. Received: {name}={limit!r}.")
    return dict(budget)


def count(config: Config, name: str) -> dict[str, int]:
    """Trainable parameters and multiply-adds of one image, of a model none of whose weights is made.

    Raises:
        ValueError: the sizes fit no model.
    """
    model = outline(config, name)
    return {"parameters": trainable_parameters(model), "multiply_adds": multiply_adds(model)}


def measure(model: Any, budget: Mapping[str, float]) -> dict[str, float]:
    """Those of `latency_seconds` and `memory_bytes` that a budget limits, of a model that need not be trained."""
    wanted = {"latency_seconds": latency, "memory_bytes": memory}
    return {name: measured(model) for name, measured in wanted.items() if name in budget}


def latency(model: Any) -> float:
    """Median seconds of a pass of one image that lies on the device, its answer waited for."""
    run, image = forward(model), pictures(model.input_shape[1:], 1)
    warm_up(lambda: run(image), WARM, WARM_SECONDS)
    return repeat(lambda: run(image), least=FEWEST, most=MOST, seconds=SECONDS).median


def memory(model: Any) -> int | None:
    """Bytes of the weights and of what a pass of 64 images adds at its peak; on an accelerator, the peak of its own account.

    None where the system does not say.
    """
    import keras

    run, images = forward(model), pictures(model.input_shape[1:], BATCH)
    run(images)  # compiles
    with Peak() as peak:
        before = resident()
        run(images)
    if peak.source == "device" or peak.bytes is None or before is None:
        return peak.bytes
    return sum(keras.ops.convert_to_numpy(weight).nbytes for weight in model.weights) + max(0, peak.bytes - before)


def exceeded(budget: Mapping[str, float], figures: Mapping[str, float | None]) -> str:
    """What of the figures is above its limit, in words; empty if nothing is."""
    units = COUNTED | MEASURED
    known = {name: figures[name] for name in budget if figures.get(name) is not None}
    over = [f"{written(value)} {units[name]} of {written(budget[name])}" for name, value in known.items() if value > budget[name]]
    return "Over the budget: " + "; ".join(over) + "." if over else ""


def written(value: float) -> str:
    """A figure for a message: all digits of a whole number, three of a fraction."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"
