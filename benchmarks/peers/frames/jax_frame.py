"""Steps under JAX: Keras layers through `stateless_call`, compiled by `jax.jit`."""

import os
from typing import Any

import jax
import numpy as np

from ..place import Job, Part, Place, layer_job, tensors
from .keras_models import model_job  # noqa: F401  a part of every frame's interface


def limit_threads(threads: int) -> None:
    """Nothing is left to do: XLA takes its threads from the cores that the process may use, see `settings.py`."""


def job(part: Part, place: Place, mode: str, jit: bool) -> Job:
    """One step of a layer: forward, or forward and the gradient of the input and every trainable weight."""
    x, cotangent = (jax.device_put(array) for array in tensors(place))
    weights = [w.value for w in part.layer.trainable_variables]
    fixed = [w.value for w in part.layer.non_trainable_variables]

    def forward(weights: list, fixed: list, x: Any) -> Any:
        return part.layer.stateless_call(weights, fixed, *(x,) * part.copies)[0]

    def train(weights: list, fixed: list, x: Any) -> Any:
        _, pull = jax.vjp(lambda w, z: forward(w, fixed, z), weights, x)
        return pull(cotangent)

    graph = jax.jit(forward if mode == "forward" else train)

    def step() -> None:
        jax.block_until_ready(graph(weights, fixed, x))

    return layer_job(step, part, [int(np.prod(w.shape)) for w in weights], place, mode)


def probe(kind: str, sizes: tuple[int, ...]) -> Any:
    """One product of matrices `(rows, inner) (inner, columns)`, or one `a += b` of `sizes[0]` floats."""
    shapes = (sizes[:2], sizes[1:]) if kind == "product" else (sizes, sizes)
    a, b = (jax.numpy.ones(shape) for shape in shapes)
    graph = jax.jit(jax.numpy.matmul) if kind == "product" else jax.jit(jax.numpy.add, donate_argnums=0)

    def step() -> None:
        nonlocal a
        result = graph(a, b).block_until_ready()
        a = a if kind == "product" else result  # the sum takes the place of its first term

    return step


def device_bytes(reset: bool = False) -> tuple[int, int] | None:
    """Bytes in use on the GPU and their peak since the process began, which JAX cannot reset; None on a CPU."""
    stats = jax.devices()[0].memory_stats()
    return (stats["bytes_in_use"], stats["peak_bytes_in_use"]) if stats else None


def describe() -> dict[str, Any]:
    """The device and the threads that the framework uses."""
    return {"device": jax.devices()[0].platform, "threads": len(os.sched_getaffinity(0))}
