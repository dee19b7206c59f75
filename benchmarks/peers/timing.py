"""One block of steps: their times, and whether the process really used as many cores as it should."""

import gc
import time
from collections.abc import Callable
from typing import Any


def block(step: Callable[[], None], steps: int) -> dict[str, Any]:
    """The seconds of each of so many steps, and the share of cores that all threads of the process used."""
    gc.collect()
    gc.disable()
    try:
        used, begin = time.process_time(), time.perf_counter()
        seconds = [timed(step) for _ in range(steps)]
        wall, used = time.perf_counter() - begin, time.process_time() - used
    finally:
        gc.enable()
    return {"seconds": seconds, "cores_used": round(used / wall, 3) if wall else None}


def timed(step: Callable[[], None]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin
