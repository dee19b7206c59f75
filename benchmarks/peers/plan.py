"""Which contenders run side by side: one set for each group, number of tokens, and mode; and how long that takes."""

import dataclasses
import math
from collections.abc import Sequence

from .case import GROUPS, MODES, Case
from .settings import Settings

CROWDED = 4096  # tokens from which exact attention is measured apart
REFERENCES = {"attention": "mha", "windows": "mha-windows", "models": "mha-model"}


@dataclasses.dataclass(frozen=True)
class Contender:
    """A case at one size."""

    case: Case
    tokens: int


@dataclasses.dataclass(frozen=True)
class Group:
    """Contenders that take turns within the same rounds."""

    group: str
    mode: str
    contenders: tuple[Contender, ...]

    @property
    def title(self) -> str:
        """For people: `attention, 1024 tokens, train`."""
        tokens = " and ".join(str(n) for n in sorted({one.tokens for one in self.contenders}) if n)
        return f"{self.group}{f', {tokens} tokens' if tokens else ''}, {self.mode}"


def reference(group: str, backend: str) -> str | None:
    """The name of the case that speed-ups in a group are over."""
    return f"{backend}-{REFERENCES[group]}" if group in REFERENCES else None


def sets(cases: Sequence[Case], groups: Sequence[str], tokens: Sequence[int] | None, modes: Sequence[str],
         backend: str = "tensorflow") -> list[Group]:
    """All sets, in the order in which they run; `tokens` replaces the groups' own where a group has a choice."""
    found = []
    for group in groups:
        sizes = GROUPS[group] if tokens is None or group == "floors" else tuple(tokens)
        for together in [sizes] if group == "doubling" else [(size,) for size in sizes]:
            for part in parts(chosen(cases, group, together), reference(group, backend)):
                found += [Group(group, mode, part) for mode in group_modes(group, modes)]
    return found


def parts(contenders: tuple[Contender, ...], reference: str | None) -> list[tuple[Contender, ...]]:
    """Who takes turns with whom: all together, or, where scores fill gigabytes, exact attention apart from the rest.

    Workers that wait hold memory too, and one step of exact attention then needs most of a small machine's. The
    reference is in both parts.
    """
    exact = tuple(one for one in contenders if one.case.quadratic and one.tokens >= CROWDED)
    others = tuple(one for one in contenders if one not in exact or one.case.name == reference)
    if len(others) <= sum(one.case.name == reference for one in others):
        others = ()
    return [part for part in (exact, others) if part]


def group_modes(group: str, modes: Sequence[str]) -> list[str]:
    """The modes of a group: a probe of the machine has one, and doubling is about training."""
    own = {"floors": ("forward",), "doubling": ("train",)}.get(group)
    return list(own) if own else [mode for mode in MODES if mode in modes]


def chosen(cases: Sequence[Case], group: str, sizes: Sequence[int]) -> tuple[Contender, ...]:
    """The contenders of one set."""
    return tuple(Contender(case, size) for case in cases for size in sizes if case.fits(group, size))


def with_references(cases: Sequence[Case], known: Sequence[Case], backend: str) -> list[Case]:
    """The cases, and before them the reference of each group that they stand in; without it there is no speed-up."""
    names = {reference(group, backend) for case in cases for group in case.groups}
    missing = [case for case in known if case.name in names and case not in cases]
    return [*missing, *cases]


# ---- how long it takes, from a table of rough costs: seconds for a token, and for a pair of tokens, forward + backward

COSTS = {"attention": (1.5e-4, 2.2e-7), "windows": (6e-5, 0.0), "models": (1.2e-3, 1.2e-6), "doubling": (1.2e-4, 0.0)}
START, FIRST = 4.0, 0.7  # importing a framework; tracing and compiling


def step_seconds(one: Contender, group: str, mode: str) -> float:
    """A guess at one step on one core."""
    token, pair = COSTS.get(group, (0.0, 0.0))
    whole = one.tokens * token + (one.tokens**2 * pair if one.case.quadratic else 0.0) if one.tokens else 0.1
    return whole if mode == "train" else whole / 3


def rounds_of(seconds_per_round: float, settings: Settings) -> int:
    """How many rounds fit the budget of a set: what was asked for, or fewer, but no fewer than 3."""
    affordable = int(settings.budget / seconds_per_round) if seconds_per_round else settings.rounds
    return min(settings.rounds, max(3, affordable))


def block_steps(step: float, settings: Settings) -> int:
    """Steps of a block: enough for its least duration, within 1 and the most."""
    return max(1, min(settings.most_steps, math.ceil(settings.block / max(step, 1e-9))))


def estimate(plan: Sequence[Group], settings: Settings) -> float:
    """Seconds that a run will take, roughly."""
    starts = len({(one.group, contender.case.name) for one in plan for contender in one.contenders})
    return START * starts + sum(set_seconds(one, settings) for one in plan)


def set_seconds(one: Group, settings: Settings) -> float:
    """Seconds of one set: first steps, warm-up and rounds."""
    steps = [min(settings.limit, step_seconds(contender, one.group, one.mode)) for contender in one.contenders]
    per_round = sum(max(step, settings.block) for step in steps)
    return FIRST * len(steps) + 2 * sum(steps) + per_round * (rounds_of(per_round, settings) + 0.5)
