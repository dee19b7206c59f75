"""What the adviser found: candidates, a table of them, and a sentence."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

EXACT = "exact attention"
EVEN = 0.1  # times that differ by no more than this share are called even


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What one mixer takes, in a block of its own size.

    Args:
        name: in words; options: what `keras_vix.build` is told to have it.
        step_seconds: median of a training step of one block's mixer: forward, backward and a plain gradient step.
        pass_seconds: median of its forward pass.
        memory_bytes: what passes and training steps of a whole model with two such blocks held at their peak beyond the idle
            process (on an accelerator: all that they held), in a process of its own; `None` where nobody asked.
        multiply_adds: of one image in one block, products only.
        parameters: trainable ones of one block.
        error: relative error of the attention beside exact softmax attention on queries, keys and values of unit variance;
            `None` for a mixer that does not estimate softmax attention over all tokens.
        runs: timed steps.
        problem: why it was not measured; empty if it was.
    """

    name: str
    options: Mapping[str, Any]
    step_seconds: float | None = None
    pass_seconds: float | None = None
    memory_bytes: int | None = None
    multiply_adds: int | None = None
    parameters: int | None = None
    error: float | None = None
    runs: int = 0
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Advice:
    """The candidates, fastest training step first, and where they were measured; prints as a table with a sentence below.

    Args:
        candidates: all of them; those that could not be measured are last.
        input_shape, patch, grid, tokens: of the images and what is made of them.
        dim, num_heads, batch_size: of the blocks and the steps.
        backend, device: where they ran.
        seconds: that the measuring took, compiling included.
    """

    candidates: tuple[Candidate, ...]
    input_shape: tuple[int, ...]
    patch: int
    grid: tuple[int, int]
    tokens: int
    dim: int
    num_heads: int
    batch_size: int
    backend: str
    device: str
    seconds: float

    @property
    def best(self) -> Candidate:
        """The one with the fastest training step."""
        return self.candidates[0]

    @property
    def exact(self) -> Candidate | None:
        """Exact attention, if it was measured."""
        return next((one for one in self.candidates if one.name == EXACT and not one.problem), None)

    def sentence(self) -> str:
        """What to take, in words."""
        best, exact = self.best, self.exact
        if best.problem:
            return "None of the mixers could be measured."
        how = ", ".join(f"{key}={value!r}" for key, value in best.options.items())
        if best is exact:
            return f"At {self.tokens:,} tokens exact attention is the fastest here: nothing is gained by an approximation."
        told = f"At {self.tokens:,} tokens {best.name} has the fastest training step here: build(..., {how})"
        if exact is None or not exact.step_seconds or not best.step_seconds:
            return told + "."
        gain = exact.step_seconds / best.step_seconds
        if gain < 1 + EVEN:
            return told + f". Exact attention is even with it ({gain:.2f} times its time) and approximates nothing."
        return told + f", {gain:.1f} times as fast as exact attention. {self.caveat(best)}"

    def caveat(self, best: Candidate) -> str:
        """What the fastest one gives up."""
        if best.error is not None:
            return f"Its attention is {best.error:.0%} away from exact attention's, at unit scale and before any training."
        return "It estimates no attention over all tokens: what it costs in accuracy only training tells."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain dictionaries, lists and numbers; `pandas.DataFrame(advice.to_dict()["candidates"])` is a table."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return plain | {"candidates": [vars(one) | {"options": dict(one.options)} for one in self.candidates]}

    def __str__(self) -> str:
        head = (
            f"{self.input_shape[0]} x {self.input_shape[1]} pixels, patches of {self.patch}: {self.tokens:,} tokens of width "
            f"{self.dim}, {self.num_heads} heads, batches of {self.batch_size}; {self.backend} on {self.device}, "
            f"measured in {self.seconds:.0f} s"
        )
        return "\n".join([head, "", *table(self.candidates), "", self.sentence()])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def table(candidates: Sequence[Candidate]) -> list[str]:
    """Lines of a plain table, numbers to the right; a line of its own for each that could not be measured."""
    exact = next((one.step_seconds for one in candidates if one.name == EXACT), None)
    weighed = any(one.memory_bytes is not None for one in candidates)
    memory = ["memory"] if weighed else []
    lines = [("mixer", "step", "exact / it", "pass", *memory, "multiply-adds", "parameters", "error", "runs")]
    for one in candidates:
        if one.problem or not one.step_seconds:
            continue
        memory = ["-" if one.memory_bytes is None else f"{one.memory_bytes / 2**20:,.0f} MiB"] if weighed else []
        lines.append((
            one.name, milliseconds(one.step_seconds), f"{exact / one.step_seconds:.2f}" if exact else "-",
            milliseconds(one.pass_seconds), *memory, f"{(one.multiply_adds or 0) / 1e6:,.1f} M",
            f"{one.parameters:,}", "-" if one.error is None else f"{one.error:.1%}", str(one.runs),
        ))  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    written = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return [*written, *(f"{one.name}: {one.problem}" for one in candidates if one.problem)]


def milliseconds(seconds: float | None) -> str:
    """`12.3 ms`."""
    return "-" if seconds is None else f"{1000 * seconds:,.3g} ms"
