"""The folder of a search after a kill or a damaged disk: what is whole is kept, what is not is run again."""

import contextlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

from ..bench import store
from .oracles import COPY, VALUES

ENDED = ("COMPLETED", "FAILED")
LISTS = ("start_order", "end_order", "retry_queue")


def repair(folder: Path, tuner_id: str, blank: dict[str, Any]) -> bool:
    """Bring the files of a search into a state that Keras Tuner can go on from; every file that was damaged is warned of.

    A trial whose file is damaged, and one that did not end, is run again with what was drawn for it.

    Args:
        folder: of the search.
        tuner_id: whose own file is looked at beside those of the oracle.
        blank: the state of an oracle that has not begun.

    Returns:
        Whether there was anything to go on from.
    """
    names = [path.name.removeprefix("trial_") for path in folder.glob("trial_*") if path.is_dir()]
    state = state_of(folder)
    own = folder / f"{tuner_id}.json"
    if state is None and not names:
        own.unlink(missing_ok=True)  # by it Keras Tuner knows that there is something to go on from
        return False
    drawn = (state or {}).get(VALUES, {})
    trials = {name: trial_of(folder, name, drawn.get(name)) for name in sorted({*names, *drawn}, key=number)}
    spent = sum(len(trial["hyperparameters"]["values"]) for trial in trials.values())  # draws of a state that is lost
    state = agree(state or blank | {"seed_state": blank["seed_state"] + spent}, trials)
    text = store.to_json({**state, VALUES: drawn})
    for name in ("oracle.json", COPY):
        store.write_text(folder / name, text)
    if read(own) is None:
        store.write_text(own, "{}")
    return True


def state_of(folder: Path) -> dict[str, Any] | None:
    """The oracle's state, or its copy, or None."""
    for name in ("oracle.json", COPY):
        state = read(folder / name)
        if state is not None and all(isinstance(state.get(key), list) for key in LISTS):
            return state
    return None


def trial_of(folder: Path, name: str, drawn: dict[str, Any] | None) -> dict[str, Any]:
    """A trial's state; where its file cannot be read one that is to be run again, or a failure if nothing is known of it."""
    path = folder / f"trial_{name}" / "trial.json"
    state = read(path)
    if state is not None and state.get("trial_id") == name and isinstance(state.get("hyperparameters"), dict):
        return state
    message = "" if drawn else "its file is damaged, and what was drawn for it is not known"
    state = {
        "trial_id": name, "hyperparameters": {"space": [], "values": drawn or {}}, "metrics": {"metrics": {}}, "score": None,
        "best_step": 0, "status": "RUNNING" if drawn else "FAILED", "message": message,
    }  # fmt: skip
    if drawn:
        warnings.warn(f"Trial {name} is run again: {path} is missing or damaged.", stacklevel=3)
    store.write_text(path, store.to_json(state))
    return state


def agree(state: dict[str, Any], trials: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An oracle's state that says of every trial what its own file says; those that did not end wait to be run."""
    ended = [name for name, trial in trials.items() if trial["status"] in ENDED]
    waiting = [name for name in trials if name not in ended]
    return state | {
        "ongoing_trials": {},
        "start_order": kept(state["start_order"], trials),
        "end_order": kept(state["end_order"], ended),
        "retry_queue": waiting[::-1],  # the last is taken first
    }


def kept(order: list[str], names) -> list[str]:
    """Those of the names that an order has, in its order, and then the others."""
    return [*(name for name in order if name in names), *(name for name in names if name not in order)]


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file with an object in it; None, and a warning if it exists, for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        reason: object = "it holds no object"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = error
    with contextlib.suppress(OSError):
        if os.path.isfile(path):
            os.replace(path, path.with_name(path.name + ".damaged"))
    warnings.warn(f"{path} is damaged and was put aside: {reason}.", stacklevel=3)
    return None


def number(name: str) -> tuple[int, str]:
    """What trials are sorted by."""
    return int(name) if name.isdecimal() else -1, name
