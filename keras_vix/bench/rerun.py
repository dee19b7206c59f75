"""The command that measures one row again."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from .tables import Row, one_line
from .typed import pair, rows_of


def command_of(row: Row) -> str | None:
    """A line for a POSIX shell that runs this very unit, and it alone, into a folder of its own.

    None where a command line cannot say it: a row that starts from another row's weights, one that is not trained, or a
    record that is no unit. The suite's own command runs those.
    """
    unit = row.get("unit") or {}
    overrides = unit.get("overrides") or {}
    if unit.get("start") or unit.get("task", "train") != "train" or not plain(unit, overrides):
        return None
    preset = unit["preset"]
    short = [preset, *(f"{key}={written(value)}" for key, value in overrides.items())]
    together = reads_back(":".join(short), preset, overrides)
    words = ["keras-vix", "bench", "--models", ":".join(short) if together else preset]
    if not together:
        for key, value in overrides.items():
            words += ["--set", f"{key}={written(value)}"]
    words += ["--dataset", unit.get("dataset", "digits")]
    words += ["--profile", unit["profile"]] if unit.get("profile", "default") != "default" else []
    words += ["--seed", str(unit.get("seed", 0))]
    for key in ("epochs", "batch_size", "limit"):
        words += [f"--{key.replace('_', '-')}", str(unit[key])] if unit.get(key) is not None else []
    words += ["--devices", str(unit["devices"])] if unit.get("devices", 1) != 1 else []
    words += ["--deterministic"] if unit.get("deterministic") else []
    words += ["--out", f"runs/{row.get('fingerprint')}"]
    backend = unit.get("backend")
    return f"KERAS_BACKEND={backend} {shlex.join(words)}" if backend in ("jax", "torch") else shlex.join(words)


def plain(unit: Mapping[str, Any], overrides: Mapping[str, Any]) -> bool:
    """Whether a unit can be written on one line: names that are names, and options that come back as they were."""
    names = [unit.get(key, "x") for key in ("preset", "dataset", "profile")]
    sound = all(isinstance(name, str) and name.isidentifier() for name in names) and unit.get("preset")
    whole = all(unit.get(key) is None or type(unit[key]) is int for key in ("seed", "epochs", "batch_size", "limit", "devices"))
    known = unit.get("backend") in (None, "tensorflow", "jax", "torch")
    return bool(sound and whole and known) and all(comes_back(key, value) for key, value in overrides.items())


def comes_back(key: str, value: Any) -> bool:
    """Whether `key=value`, typed on a command line, is that option again."""
    text = f"{key}={written(value)}"
    try:
        return one_line(text) == text and pair(text) == (key, value) and type(pair(text)[1]) is type(value)
    except ValueError:
        return False


def reads_back(text: str, preset: str, overrides: Mapping[str, Any]) -> bool:
    """Whether a row of `--models` is read as this preset with these options."""
    try:
        return rows_of(text) == [{"preset": preset, **overrides}]
    except ValueError:
        return False


def written(value: Any) -> str:
    """A value as it is typed: words as they are, everything else as JSON without spaces."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
