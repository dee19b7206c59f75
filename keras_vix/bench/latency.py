"""How long one pass takes: a compiled function called again and again, its images on the device, its answer waited for."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..train.timing import spread

WARM, WARM_SECONDS = 20, 3.0  # runs before the clock counts, or seconds after which three steady ones are enough
LEAST, MOST = 50, 1000  # timed runs behind a median
SECONDS = 0.5  # quick passes are repeated for as long as this
SLOW, SLOW_LEAST, SLOW_SECONDS = 1.0, 5, 20.0  # a large batch that takes a second: so few runs, unless there is time for more
STEADY = 0.1  # runs that differ by no more than this share are steady


class Times(NamedTuple):
    """What repeated runs took: the median in seconds, how many were timed, and how much they scatter (`train.timing.spread`)."""

    median: float
    runs: int
    spread: float | None


def timed(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def warm_up(call: Callable[[], Any], runs: int = WARM, seconds: float = WARM_SECONDS) -> float:
    """Run until the time is steady: so many times, or after so many seconds as soon as the last three differ by 10 % at most.

    Returns:
        Seconds of the last run.
    """
    begin, taken = time.perf_counter(), []
    while len(taken) < runs:
        taken.append(timed(call))
        last = taken[-3:]
        if time.perf_counter() - begin > seconds and len(last) == 3 and max(last) <= (1 + STEADY) * min(last):
            break
    return taken[-1]


def repeat(call: Callable[[], Any], *, least: int = LEAST, most: int = MOST, seconds: float = SECONDS) -> Times:
    """Time a call at least `least` times, and then until `seconds` have gone by or it ran `most` times.

    Garbage is collected before and not meanwhile.
    """
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        begin, taken = time.perf_counter(), []
        while len(taken) < least or (len(taken) < most and time.perf_counter() - begin < seconds):
            taken.append(timed(call))
    finally:
        if enabled:
            gc.enable()
    return Times(statistics.median(taken), len(taken), spread(taken))


def pictures(shape: Sequence[int], batch: int) -> Any:
    """So many random images of a shape, pixels 0 to 255, on the device; the same ones whenever they are asked for."""
    import keras
    import numpy as np

    images = np.random.default_rng(0).random((batch, *shape), dtype="float32") * np.float32(255)
    return keras.ops.convert_to_tensor(images)


def forward(model: Any) -> Callable[[Any], Any]:
    """The model's pass from images to logits, compiled as `predict` compiles it, returning once the device has its answer."""
    import keras

    return {"tensorflow": on_tensorflow, "jax": on_jax, "torch": on_torch}[keras.config.backend()](model)


def on_tensorflow(model: Any) -> Callable[[Any], Any]:
    """One graph for each shape; reading the logits waits for them."""
    import tensorflow as tf

    run = tf.function(lambda x: model(x, training=False), jit_compile=model.jit_compile)
    return lambda x: run(x).numpy()


def on_jax(model: Any) -> Callable[[Any], Any]:
    """One XLA program for each shape, with the weights of this moment."""
    import jax

    weights = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]

    def run(trainable: Any, fixed: Any, x: Any) -> Any:
        return model.stateless_call(trainable, fixed, x, training=False)[0]

    compiled = jax.jit(run) if model.jit_compile else run
    return lambda x: jax.block_until_ready(compiled(*weights, x))


def on_torch(model: Any) -> Callable[[Any], Any]:
    """Op by op, as Keras runs torch, unless the recipe asks for compiling."""
    import torch

    def run(x: Any) -> Any:
        return model(x, training=False)

    compiled = torch.compile(run) if model.jit_compile else run

    def waited(x: Any) -> Any:
        with torch.no_grad():
            out = compiled(x)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return out

    return waited


def latency(run: Callable[[Any], Any], images: Any) -> Times:
    """Median seconds of one pass over a batch on the device.

    After up to 20 runs to get warm (after 3 s three steady ones are enough): at least 50 timed runs, and half a second of
    them. A batch of more than one image that takes over a second is timed for 20 s, or 5 times if that is more.
    """
    warm = warm_up(lambda: run(images))
    if len(images) > 1 and warm > SLOW:
        return repeat(lambda: run(images), least=SLOW_LEAST, most=LEAST, seconds=SLOW_SECONDS)
    return repeat(lambda: run(images))
