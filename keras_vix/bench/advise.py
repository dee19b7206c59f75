"""Which mixer is fastest at so many tokens on this machine: measured for a few seconds, not looked up."""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import checks
from ..loggers import quiet
from .advice import EXACT, Advice, Candidate
from .latency import forward, timed
from .unit import Unit

# What stands beside exact attention; the options are those one would begin with, and what is in the dictionary is what
# `build` is told. Windows and runs are shifted in the second block.
CANDIDATES = {
    EXACT: {"kernel": "softmax"},
    "Performer, softmax features": {"kernel": "performer", "features": "positive", "m": 64},
    "Performer, ReLU features": {"kernel": "performer", "features": "relu", "m": 64},
    "Linformer": {"kernel": "linformer", "m": 64},
    "Nyströmformer": {"kernel": "nystrom", "m": 64},
    "windows": {"mixer": "window", "window": 7, "shift": 3},
    "runs of tokens": {"mixer": "window_1d", "window": 49, "shift": 24, "wrap_rows": True},
    "dilated windows": {"mixer": "atrous", "window": 7, "rates": (1, 2)},
    "Fourier (FNet)": {"mixer": "fourier"},
    "token MLP (Mixer)": {"mixer": "token_mlp"},
}
PRESET, BLOCKS = "vit_ti16", 2  # the plain model whose mixer is changed, and how many of its blocks are made
LEAST, MOST = 3, 200  # timed calls of each, and calls after which there is nothing to learn
LEAST_TOKENS = 2
MISHAPS = (MemoryError, RuntimeError, ValueError, TypeError)  # that leave the other candidates to be measured


def advise(
    input_shape: Sequence[int],
    patch: int | None = None,
    device: str | None = None,
    *,
    dim: int = 192,
    num_heads: int = 3,
    batch_size: int = 8,
    m: int = 64,
    mixers: Mapping[str, Mapping[str, Any]] | None = None,
    seconds: float = 10.0,
    memory: bool = False,
) -> Advice:
    """Measure the mixers at the number of tokens of these images, on this machine, and say which is fastest.

    Two pre-norm residual blocks with nothing but the mixer (the second shifted, where windows shift) are built for each and
    compiled; then all take turns, one training step and one pass each, until the time is over, so that what else the machine
    does falls on all of them. Figures are medians, for one block.

    >>> mixers = {"Linformer": {"kernel": "linformer", "m": 4}}
    >>> advice = keras_vix.advise((32, 32, 3), patch=8, dim=16, num_heads=2, mixers=mixers, seconds=0.1)
    >>> advice.tokens, sorted(one.name for one in advice.candidates if one.step_seconds)
    (16, ['Linformer', 'exact attention'])

    Args:
        input_shape: `(height, width, channels)` of an image in pixels.
        patch: side of a patch in pixels; default that of `vit_ti16` for such images.
        device: such as `"cpu"` or `"gpu:0"`; default the backend's own choice.
        dim: width of a token.
        num_heads: heads; they must divide `dim`.
        batch_size: images in a step.
        m: features, landmarks or projected tokens of the approximations.
        mixers: other candidates, options of `keras_vix.build` by name, beside exact attention.
        seconds: how long to measure, after what has to be compiled: at least three steps of each are run, however long they take.
        memory: whether to weigh each mixer too, which takes a process for each and so a few seconds more for each.

    Returns:
        A frozen `Advice`; print it.

    Raises:
        TypeError, ValueError: for sizes out of range, options that `build` refuses, an unknown device, or `memory` beside a
            `device`, which processes of their own would not heed.
    """
    import keras

    from ..zoo import configure

    sizes = {"dim": checks.integer("dim", dim), "num_heads": checks.integer("num_heads", num_heads), "depth": BLOCKS}
    checks.integer("batch_size", batch_size)
    checks.integer("m", m)
    checks.number("seconds", seconds, 0.0, 86_400.0)
    if memory and device is not None:
        raise ValueError(f"Memory is weighed on the backend's own device. Received: memory=True and device={device!r}.")
    plan = chosen(mixers, m)
    shape = {"input_shape": tuple(input_shape), "prefix": 0, "pool": "mean", "classes": 2} | sizes
    if patch is not None:
        shape["patch"] = patch
    configs = {name: configure(PRESET, **shape | dict(options)) for name, options in plan.items()}
    any_config = next(iter(configs.values()))
    begin = time.perf_counter()
    with quiet("tensorflow"), on(device) as place:  # which warns of functions traced anew
        grid = grid_of(any_config)
        found = measured(configs, plan, grid, batch_size, seconds)
    if memory:
        weights = memories(plan, shape, batch_size)
        found = [dataclasses.replace(one, memory_bytes=weights[one.name]) for one in found]
    ranked = sorted(found, key=lambda one: (bool(one.problem), one.step_seconds or 0.0))
    return Advice(
        tuple(ranked), any_config.input_shape, any_config.options["patch"], grid, math.prod(grid), dim, num_heads, batch_size,
        keras.config.backend(), place, time.perf_counter() - begin,
    )  # fmt: skip


def chosen(mixers: Mapping[str, Mapping[str, Any]] | None, m: int) -> dict[str, dict[str, Any]]:
    """The candidates by name, exact attention first."""
    if mixers is None:
        return {name: dict(options) | ({"m": m} if "m" in options else {}) for name, options in CANDIDATES.items()}
    if not isinstance(mixers, Mapping) or not all(isinstance(options, Mapping) for options in mixers.values()):
        example = {"with a learned temperature": {"kernel": "lsa"}}
        raise ValueError(f"`mixers` must be options of `build` by name. Received: mixers={mixers!r}; write {example}.")
    return {EXACT: dict(CANDIDATES[EXACT])} | {str(name): dict(options) for name, options in mixers.items()}


@contextlib.contextmanager
def on(device: str | None) -> Iterator[str]:
    """Inside, Keras computes on that device; gives its name.

    Raises:
        ValueError: this machine has none of that name.
    """
    import keras

    if keras.config.backend() == "torch":
        import torch

        known = [f"gpu:{place}" for place in range(torch.cuda.device_count())]
    else:
        known = [name.lower() for name in keras.distribution.list_devices()]
    known += [] if "cpu:0" in known else ["cpu:0"]
    wanted = known[0] if device is None else device
    if not isinstance(wanted, str) or (full := wanted.lower() if ":" in wanted else f"{wanted.lower()}:0") not in known:
        raise ValueError(f"`device` must be one of {', '.join(known)}. Received: device={device!r}.")
    with keras.device("cpu" if full == "cpu:0" else full):  # on torch weights on "cpu" would be copied to "cpu:0", and not learn
        yield full


def grid_of(config: Any) -> tuple[int, int]:
    """Rows and columns of tokens."""
    import keras

    from ..zoo.assemble import make, seed_of

    embedded = make(config, "embed", **config.at(0), seed=seed_of(config))(keras.Input(config.input_shape))
    grid = tuple(embedded.shape[1:3])
    if math.prod(grid) < LEAST_TOKENS:
        raise ValueError(f"One token has nothing to mix with. Received: a grid of {grid[0]} x {grid[1]}; give a smaller patch.")
    return grid


def measured(
    configs: Mapping[str, Any], plan: Mapping[str, Any], grid: tuple[int, int], batch: int, seconds: float,
) -> list[Candidate]:
    """The candidates, each built, warmed and weighed alone; then timed in turns."""
    racers, out = [], []
    for name, config in configs.items():
        try:
            racers.append(Racer(name, plan[name], config, grid, batch))
        except MISHAPS as error:
            out.append(Candidate(name, plan[name], problem=first_line(error)))
    begin, rounds = time.perf_counter(), 0
    while racers and (rounds < LEAST or (rounds < MOST and time.perf_counter() - begin < seconds)):
        for racer in racers:
            racer.turn()
        rounds += 1
    return [racer.candidate() for racer in racers] + out


def first_line(error: BaseException) -> str:
    """What went wrong, in a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


class Racer:
    """Two residual blocks round one mixer, compiled and warm: `(batch, n, dim) -> same`.

    Args:
        name, options: of the candidate.
        config: the record of a model with such blocks.
        grid: of its tokens; batch: samples in a step.
    """

    def __init__(self, name: str, options: Mapping[str, Any], config: Any, grid: tuple[int, int], batch: int):
        import keras
        import numpy as np

        from ..zoo.assemble import branch_settings, make_mixer, residual, seed_of, shared_projection

        self.name, self.options, self.steps, self.passes = name, options, [], []
        entry = y = keras.Input((math.prod(grid), config.dim[0]))
        shared = shared_projection(config, entry)
        self.blocks = []
        for place, branch in enumerate(branch_settings(config)):
            mixer = make_mixer(config, config.at(0), grid, seed_of(config, 0, place), place)
            self.blocks.append(residual(config, mixer, config.norm, branch, f"block{place}"))
            y = self.blocks[-1](y, **shared)
        self.model = keras.Model(entry, y)
        self.model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
        numbers = np.random.default_rng(0).standard_normal((2, batch, *entry.shape[1:]), dtype="float32")
        self.x, self.y = (keras.ops.convert_to_tensor(one) for one in numbers)
        # A pass of its own weights: on JAX a training step takes the buffers of the model's, which `forward` holds.
        self.run = forward(keras.models.clone_model(self.model))
        self.error = None if shared else unit_error(self.blocks[0].inner, entry.shape[1])
        for _ in range(2):  # the first compiles
            self.step()
            self.run(self.x)

    def step(self) -> None:
        """One training step, waited for."""
        from ..train.timing import synchronise

        self.model.train_on_batch(self.x, self.y)
        synchronise(self.model)

    def turn(self) -> None:
        """One timed step and one timed pass."""
        self.steps.append(timed(self.step))
        self.passes.append(timed(lambda: self.run(self.x)))

    def candidate(self) -> Candidate:
        """What was found, for one block."""
        shape = self.model.input_shape[1:]
        return Candidate(
            name=self.name,
            options=self.options,
            step_seconds=statistics.median(self.steps) / BLOCKS,
            pass_seconds=statistics.median(self.passes) / BLOCKS,
            multiply_adds=sum(block.multiply_adds(shape) for block in self.blocks) // BLOCKS,
            parameters=sum(math.prod(w.shape) for w in self.model.trainable_weights) // BLOCKS,
            error=self.error,
            runs=len(self.steps),
        )


def unit_error(mixer: Any, tokens: int) -> float | None:
    """The relative error of a mixer's kernel on queries, keys and values of unit variance, beside exact attention."""
    import numpy as np

    from .approximation import comparable, kernel_distance

    if not comparable(mixer):
        return None
    shape = (3, 1, mixer.num_heads, tokens, mixer.width)
    return kernel_distance(mixer.kernel, *np.random.default_rng(1).standard_normal(shape, dtype="float32"))


def memories(plan: Mapping[str, Mapping[str, Any]], shape: Mapping[str, Any], batch: int) -> dict[str, int | None]:
    """Bytes that a training step of a model with each mixer held, measured as the rows of `task="cost"` of a benchmark are."""
    import tempfile
    from pathlib import Path

    import keras

    from . import runner

    common = {"task": "cost", "batch_size": batch, "backend": keras.config.backend()}
    units = {name: Unit(PRESET, "imagenet", overrides={**shape, **options}, **common) for name, options in plan.items()}
    with tempfile.TemporaryDirectory() as folder:
        rows = runner.run(list(units.values()), Path(folder))
    return {name: beyond_idle(row) for name, row in zip(units, rows, strict=True)}


def beyond_idle(row: Mapping[str, Any]) -> int | None:
    """The peak of a row's training steps without what its process held before it had a model."""
    peak = row.get("train_memory_bytes")
    return None if peak is None else max(0, peak - (row.get("idle_memory_bytes") or 0))
