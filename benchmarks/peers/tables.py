"""Measurements as Markdown tables."""

from collections.abc import Callable, Sequence
from typing import Any

from . import summary
from .case import Case
from .results import Results, rate
from .summary import Spread

DASH = "–"
Cell = Callable[[Case, int], str]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with names at the left and figures at the right."""
    lines = ["| " + " | ".join(heads) + " |", "|:---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def digits(value: float) -> str:
    """About three digits: 0.87, 12.3, 456, 4,780."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def spread_text(value: Spread, scale: float = 1.0) -> str:
    """`12.3 (12.1 to 13.0)`: the median and its 10 to 90 % spread."""
    median, low, high = (digits(scale * part) for part in value)
    return f"{median} ({low} to {high})" if low != high else median


def outcome(record: Any) -> str:
    """The words for a cell without a figure."""
    return DASH if record is None else record["status"]


def name(case: Case) -> str:
    """A row's name; this package's in bold."""
    return f"**{case.label}**" if case.ours else case.label


def grid(results: Results, group: str, mode: str, cell: Cell, sizes: Sequence[int] | None = None,
         cases: Sequence[Case] | None = None) -> str:
    """A row for each case and a column for each number of tokens; rows without any figure or word are left out."""
    sizes = results.tokens(group, mode) if sizes is None else sizes
    rows = [[name(case), *(cell(case, size) for size in sizes)] for case in cases or results.cases(group)]
    rows = [row for row in rows if set(row[1:]) != {DASH}]
    return markdown(["", *(f"N = {size:,}" for size in sizes)], rows)


def speed_ups(results: Results, group: str, mode: str) -> str:
    """Times faster than the reference; the reference itself in milliseconds."""
    sizes = [size for size in results.tokens(group, mode) if has_reference(results, group, mode, size)]

    def cell(case: Case, size: int) -> str:
        record = results.find(group, mode, case.name, size)
        if record is not None and results.reference(record) is record:
            return f"{digits(1000 * summary.seconds(record).median)} ms"
        value = results.speed_up(record) if record else None
        return spread_text(value) if value else outcome(record)

    return grid(results, group, mode, cell, sizes)


def has_reference(results: Results, group: str, mode: str, size: int) -> bool:
    """Whether a column of speed-ups can have figures."""
    return any(
        results.reference(record) is record for key, record in results.index.items()
        if (key[0], key[1], key[3]) == (group, mode, size)
    )


def milliseconds(results: Results, group: str, mode: str) -> str:
    """Median milliseconds of a step and their spread over the blocks."""
    def cell(case: Case, size: int) -> str:
        record = results.find(group, mode, case.name, size)
        value = summary.seconds(record) if record else None
        return spread_text(value, 1000.0) if value else outcome(record)

    return grid(results, group, mode, cell)


def memory(results: Results, group: str = "attention") -> str:
    """MiB at the peak of forward + backward over what the process held before."""
    def cell(case: Case, size: int) -> str:
        record = results.find(group, "train", case.name, size)
        if record is None or record["status"] != "done":
            return outcome(record)
        value = record.get("memory_bytes")
        return DASH if value is None else f"{value / 2**20:,.0f}"

    return grid(results, group, "train", cell)


def over_floors(results: Results, mode: str) -> str:
    """Measured time over the floor, for contenders whose products are counted."""
    def cell(case: Case, size: int) -> str:
        record = results.find("attention", mode, case.name, size)
        value = results.over_floor(case, record) if record else None
        return digits(value) if value else DASH

    return grid(results, "attention", mode, cell)


def machine(results: Results) -> str:
    """What each framework gets out of the machine."""
    rows = []
    for case in results.cases("floors"):
        record = results.find("floors", "forward", case.name, 0)
        unit = "GFLOP/s" if case.maker == "product" else "GB/s"
        done = record["status"] == "done"
        rows.append([case.label, f"{digits(rate(case, record) / 1e9)} {unit}" if done else record["status"]])
    return markdown(["", "measured"], rows)


def models(results: Results) -> str:
    """Whole models: parameters, a training step, a prediction, and how many times faster than the reference."""
    rows = []
    for size in results.tokens("models", "train") or results.tokens("models", "forward"):
        for case in results.cases("models"):
            found = [results.find("models", mode, case.name, size) for mode in ("train", "forward")]
            cells = [text for record in found for text in time_and_ratio(results, record)]
            if any(found):
                rows.append([name(case), f"{size:,}", parameters(found), *cells])
    heads = ["", "tokens", "parameters", "training step (ms)", "faster", "prediction (ms)", "faster"]
    return markdown(heads, rows)


def parameters(found: Sequence[Any]) -> str:
    """The number of trainable scalars, from whichever record has it."""
    counts = [record["parameters"] for record in found if record and record.get("parameters")]
    return f"{counts[0]:,}" if counts else DASH


def time_and_ratio(results: Results, record: Any) -> tuple[str, str]:
    """Milliseconds and speed-up of one record, each with its spread."""
    value = summary.seconds(record) if record else None
    if value is None:
        return outcome(record), DASH
    ratio = results.speed_up(record)
    return spread_text(value, 1000.0), spread_text(ratio) if ratio else DASH


def break_evens(results: Results, mode: str) -> str:
    """From how many tokens this package's kernels win against two exact attentions on the same backend."""
    rows = []
    for case in results.cases("attention"):
        if case.ours and not case.quadratic:
            rivals = (f"{case.environment}-mha", f"{case.environment}-vix-exact")
            rows.append([name(case), *(crossing(results, mode, case.name, rival) for rival in rivals)])
    return markdown(["faster than", "keras MultiHeadAttention there", "keras_vix exact attention there"], rows)


def crossing(results: Results, mode: str, case: str, rival: str) -> str:
    """The number of tokens, or in words why there is none."""
    own, other = (results.curve(mode, one) for one in (case, rival))
    if not own.keys() & other.keys():
        return DASH
    if summary.always_faster(own, other):
        return f"from {min(own.keys() & other.keys()):,} or fewer"
    found = summary.break_even(own, other)
    return f"from {found:,.0f}" if found else "not within the sizes measured"


def doubling(results: Results) -> str:
    """Time at twice the tokens over time; 2 is linear, 4 quadratic."""
    sizes = results.tokens("doubling", "train")
    found = [(case, results.doubling(case.name)) for case in results.cases("doubling")]
    rows = [[name(case), spread_text(value) if value else DASH] for case, value in found]
    return markdown(["", f"time at {sizes[-1]:,} / time at {sizes[-2]:,}" if len(sizes) > 1 else "ratio"], rows)
