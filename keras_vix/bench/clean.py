"""Stored rows before anything is made of them: whatever a file says, afterwards texts are text and numbers are numbers."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .columns import COLUMNS, COST, EXTRA, OPTIONAL, SETTINGS, SOMETIMES
from .tables import one_line

TEXT = (
    "label", "fingerprint", "status", "preset", "dataset", "profile", "backend", "device", "cpu", "gpu", "folder", "source",
    "init", "task", "memory_source", "weights_sha256",
)
LONG = ("message", "log")  # texts of several lines
SWITCHES = ("deterministic", "retried", "busy_at_start", "jit_compile")
NUMBERS = {
    *(c.key for c in (*COLUMNS, *SOMETIMES, *COST, *SETTINGS) if c.write is not str and c.key != "input_shape"),
    *EXTRA, *OPTIONAL, "seed", "step_spread", "train_loss", "train_ce", "train_seconds", "validation_seconds",
    "first_epoch_seconds", "planned_epochs",
} - {*TEXT, *LONG, *SWITCHES}
RECORDS = ("unit", "environment", "history", "config", "recipe", "first_failure")
SHORTEST, LONGEST = 200, 20_000  # characters of a name, and of a message


def clean(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with every value of a wrong type taken out, and every text without control characters."""
    return [cleaned(row) for row in rows]


def cleaned(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row; equal to the one given if all is as it should be, the missing label and status aside."""
    kept = dict(row)
    for key in (*TEXT, *LONG):
        if kept.get(key) is not None:
            kept[key] = words(kept[key]) if key in LONG else one_line(kept[key])[:SHORTEST]
    for key in NUMBERS & kept.keys():
        kept[key] = number(kept[key])
    for key in SWITCHES:
        if key in kept:
            kept[key] = kept[key] is True
    for key in RECORDS:
        if key in kept and not isinstance(kept[key], Mapping):
            kept[key] = {}
    if isinstance(kept.get("history"), Mapping):
        kept["history"] = curves(kept["history"])
    if not isinstance((kept.get("unit") or {}).get("overrides", {}), Mapping):
        kept["unit"] = {**kept["unit"], "overrides": {}}
    if kept.get("config") and not shape((kept["config"]).get("input_shape")):
        kept["config"] = {key: value for key, value in kept["config"].items() if key != "input_shape"}
    kept["slow_epochs"] = [one for one in listed(kept.get("slow_epochs")) if isinstance(one, int)]
    return kept | {"label": kept.get("label") or "unnamed", "preset": kept.get("preset") or "unnamed",
                   "status": kept.get("status") or "error"}


def number(value: Any) -> int | float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 1e18:
        return None
    return value


def words(value: Any) -> str:
    """Text of several lines, or a list of lines, each without control characters."""
    lines = value if isinstance(value, list) else str(value)[-LONGEST:].splitlines()
    return "\n".join("".join(c if c.isprintable() else " " for c in str(line)).rstrip() for line in lines)[-LONGEST:].strip("\n")


def curves(history: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Those entries of a history that are lists, with None for what is no number."""
    return {one_line(key): [number(value) for value in values] for key, values in history.items() if isinstance(values, list)}


def shape(value: Any) -> bool:
    """Whether a value is a list of positive whole numbers."""
    return bool(listed(value)) and all(isinstance(one, int) and one > 0 for one in value)


def listed(value: Any) -> list:
    """The value if it is a list, else none."""
    return list(value) if isinstance(value, (list, tuple)) else []
