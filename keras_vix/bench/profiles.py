"""The default profile beside the reference profile of the same row: what it gains, and what it costs."""

import statistics
from collections.abc import Sequence
from typing import Any

from . import seeds
from .columns import Column, count, fraction, seconds
from .seeds import Family, mean_and_sd
from .tables import DASH, Cell, Grid, Row, noisy, value_of, varying

PROFILES = ("default", "reference")
NAMES = Column("label", "Model")
FIGURES = (
    Column("n", "Seeds", count),
    Column("default_accuracy", "Test accuracy, default", fraction),
    Column("reference_accuracy", "Test accuracy, reference", fraction),
    Column("points", "Points gained", "{:+.1f}".format),
    Column("default_seconds", "Time/epoch (s), default", seconds),
    Column("reference_seconds", "Time/epoch (s), reference", seconds),
    Column("times", "Times faster", "{:.1f}".format),
)
NOTES = (
    "Points gained: hundredths of test accuracy that the default profile has more than the reference profile of the same row, "
    "mean ± standard deviation over the seeds that both were run at. Times faster: the time of an epoch of the reference over "
    "that of the default, each the median over these seeds; `?` marks a pair of which one has steps that differ much."
)


def grid(rows: Sequence[Row]) -> Grid | None:
    """One line for each row that was run in both profiles; None if there is none."""
    found = pairs(rows)
    if not found:
        return None
    firsts = [default[0] for default, _ in found]
    settings = [column for column in varying(firsts) if column.key not in ("profile", "seed", "batch_size")]
    lines = []
    for default, reference in found:
        own = [value_of(default[0], column.key) for column in (NAMES, *settings)]
        known = figures(default, reference)
        unsure = "?" if any(map(noisy, (*default, *reference))) else ""
        cells = [Cell(DASH if value is None else column.write(value), value) for value, column in zip(own, (NAMES, *settings))]
        lines.append(cells + [written(column, *known[column.key], unsure) for column in FIGURES])
    return Grid("Default beside reference profile", (NAMES, *settings, *FIGURES), lines, firsts, [NOTES])


def pairs(rows: Sequence[Row]) -> list[tuple[Family, Family]]:
    """Rows of the default and of the reference profile that share all but the profile, at the seeds that both have."""
    found: dict[str, dict[str, Family]] = {}
    for family in seeds.families(rows):
        profile = family[0].get("profile")
        if profile in PROFILES:
            unit = {**(family[0].get("unit") or {}), "profile": None}
            found.setdefault(seeds.identity({**family[0], "unit": unit}), {})[profile] = family
    return [both for known in found.values() if len(known) == 2 and all(both := at_common_seeds(*map(known.get, PROFILES)))]


def at_common_seeds(default: Family, reference: Family) -> tuple[Family, Family]:
    """The rows of both at the seeds that both have, in one order."""
    own, others = ({row.get("seed"): row for row in family} for family in (default, reference))
    common = [seed for seed in own if seed in others]
    return [own[seed] for seed in common], [others[seed] for seed in common]


def figures(default: Family, reference: Family) -> dict[str, tuple[float | None, float | None]]:
    """Each figure of a pair and its standard deviation over seeds, each None where there is none."""
    found: dict[str, tuple[float | None, float | None]] = {"n": (len(default), None)}
    accuracies, times = ([[row.get(key) for row in family] for family in (default, reference)]
                         for key in ("test_accuracy", "epoch_seconds"))  # fmt: skip
    for name, values in zip(PROFILES, accuracies):
        found[f"{name}_accuracy"] = (None, None) if None in values else mean_and_sd(values)
    gained = [100 * (a - b) for a, b in zip(*accuracies) if None not in (a, b)]
    found["points"] = mean_and_sd(gained) if gained else (None, None)
    middle = [None if None in values else statistics.median(values) for values in times]
    for name, value in zip(PROFILES, middle):
        found[f"{name}_seconds"] = (value, None)
    found["times"] = (middle[1] / middle[0] if all(middle) else None, None)
    return found


def written(column: Column, value: Any, sd: float | None, unsure: str) -> Cell:
    """One figure, with its standard deviation where it has one."""
    if value is None:
        return Cell(DASH)
    text = column.write(value)
    if sd is not None:
        text += f" ± {column.write(sd).lstrip('+')}"
    return Cell((unsure if column.key == "times" else "") + text, value)
