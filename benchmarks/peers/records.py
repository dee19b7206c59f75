"""The measurements on disk: one strict JSON file, written whole after every set, from which a stopped run goes on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .plan import Group

SCHEMA, NAME = 1, "measurements.json"
FINAL = ("done", "> limit")  # another run of the same contender would tell nothing new


def empty(kind: dict[str, Any]) -> dict[str, Any]:
    """A file without measurements."""
    return {
        "schema": SCHEMA, "kind": kind, "settings": {}, "commands": [], "machine": {}, "environments": {}, "sets": [],
        "records": [],
    }


def load(folder: Path) -> dict[str, Any]:
    """What a folder holds.

    Raises:
        ValueError: the file is none of this schema.
        OSError: there is none.
    """
    found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError(
            f"A folder of results needs a {NAME} of schema {SCHEMA}. Received: out={folder.name!r}; give another."
        )
    return found


def resume(folder: Path, kind: dict[str, Any], redo: bool = False) -> dict[str, Any]:
    """The file to go on with: the folder's, or an empty one.

    Raises:
        ValueError: the folder holds measurements of another kind, which must not be mixed with these.
    """
    if redo or not (folder / NAME).exists():
        return empty(kind)
    found = load(folder)
    if found["kind"] != kind:
        raise ValueError(
            f"A folder holds one kind of run. Received: out={folder.name!r}, which holds {found['kind']}, for {kind}; "
            "give another folder, or --redo."
        )
    return found


def save(folder: Path, measurements: dict[str, Any]) -> None:
    """Write the file so that a crash leaves the old one or the new one."""
    from keras_vix.bench.store import to_json, write_text

    write_text(folder / NAME, to_json(measurements))


def missing(group: Group, measurements: dict[str, Any], reference: str | None) -> Group | None:
    """What of a set is still to be measured, with its reference; None if it is complete.

    Doubling compares all its contenders with each other, so it is measured whole or not at all.
    """
    known = {key(record) for record in measurements["records"] if record["status"] in FINAL}
    left = [one for one in group.contenders if (group.group, group.mode, one.case.name, one.tokens) not in known]
    if not left:
        return None
    keep = [one for one in group.contenders if one in left or one.case.name == reference or group.group == "doubling"]
    return Group(group.group, group.mode, tuple(keep))


def key(record: dict[str, Any]) -> tuple[Any, ...]:
    """What a record is about."""
    return record["group"], record["mode"], record["case"], record["tokens"]


def add(measurements: dict[str, Any], group: Group, reference: str | None, records: Sequence[dict[str, Any]],
        loads: Sequence[Any], seconds: float) -> None:
    """Take in the records of one set under a number of its own.

    A contender's older record makes way for the new one; the reference's stays, for those that took turns with it.
    """
    number = len(measurements["sets"])
    measurements["sets"].append({
        "set": number, "group": group.group, "mode": group.mode, "rounds": len(loads), "seconds": round(seconds, 1),
        "background": list(loads),
    })
    new = [{"set": number, **record} for record in records]
    replaced = {key(record) for record in new}
    kept = [old for old in measurements["records"] if key(old) not in replaced or old["case"] == reference]
    measurements["records"] = kept + new
