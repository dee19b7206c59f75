"""From blocks to figures: spreads, ratios by round, break-even points, floors. Pure functions of numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Block = Mapping[str, Any]
SERVICE = 3  # a backward pass does two products for each one of the forward pass


class Spread(NamedTuple):
    """A median and what lies round it."""

    median: float
    low: float
    high: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies, with straight lines between the sorted values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def spread(values: Sequence[float]) -> Spread:
    """Median, 10th and 90th percentile."""
    return Spread(*(percentile(values, share) for share in (0.5, 0.1, 0.9)))


def seconds(record: Mapping[str, Any]) -> Spread | None:
    """The time of a step over the blocks of a record; None if it has none that count."""
    return spread([block["median"] for block in record["blocks"]]) if record["status"] == "done" else None


def ratios(reference: Sequence[Block], own: Sequence[Block]) -> list[float]:
    """Reference over own time, round by round; both ran within minutes of each other, so drift falls out."""
    theirs = {block["round"]: block["median"] for block in reference}
    return [theirs[block["round"]] / block["median"] for block in own if block["round"] in theirs]


def break_even(first: Mapping[int, float], second: Mapping[int, float]) -> float | None:
    """The tokens from which the first is faster than the second, for good, interpolated in log-log.

    Args:
        first, second: seconds by tokens; only tokens that both have count.

    Returns:
        None if it never is, or is so at once: then there is no crossing to speak of.
    """
    sizes = sorted(first.keys() & second.keys())
    lead = [math.log(first[size] / second[size]) for size in sizes]
    crossings = [i for i in range(1, len(sizes)) if lead[i - 1] > 0 >= lead[i]]
    if not crossings or lead[-1] > 0:
        return None
    i = crossings[-1]
    share = lead[i - 1] / (lead[i - 1] - lead[i])
    return math.exp(math.log(sizes[i - 1]) + share * math.log(sizes[i] / sizes[i - 1]))


def always_faster(first: Mapping[int, float], second: Mapping[int, float]) -> bool:
    """Whether the first wins at every number of tokens that both have."""
    sizes = first.keys() & second.keys()
    return bool(sizes) and all(first[size] <= second[size] for size in sizes)


def floor(multiply_adds: int, moved_bytes: int, mode: str, flops: float, bandwidth: float) -> float:
    """Seconds that no implementation of the same products can beat: arithmetic or memory, whichever takes longer.

    Args:
        multiply_adds: of one forward pass of the batch.
        moved_bytes: that must be read or written.
        mode: `train` has three times the products of `forward`.
        flops: operations a second of the framework's best measured product; a multiply-add is two.
        bandwidth: bytes a second of a measured pass over memory.
    """
    work = 2 * multiply_adds * (SERVICE if mode == "train" else 1)
    return max(work / flops, moved_bytes / bandwidth)
