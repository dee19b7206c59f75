"""Runs units one after another, each in a fresh process, and turns whatever happens into rows."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from . import store, weights
from .unit import Unit, failure

Listener = Callable[[dict[str, Any]], None]
COMMAND = (sys.executable, "-m", "keras_vix.bench.unit")
GRACE = 5.0  # seconds that a child has to end after it was asked to


def run(
    units: Sequence[Unit],
    out: Path,
    *,
    redo: bool = False,
    timeout: float | None = None,
    listener: Listener = lambda event: None,
    command: Sequence[str] = COMMAND,
) -> list[dict[str, Any]]:
    """Measure units in turn; a unit that is stored as done is not run again.

    Args:
        units: what to measure.
        out: folder of the results; one file for each unit goes into its `rows`.
        redo: run finished units again.
        timeout: seconds that one unit may take, its start included; None for no limit.
        listener: is told of everything as dictionaries: `skipped`, `unit`, `started`, `epoch`, `row`.
        command: the program that measures a unit; it gets the path of the result as its last argument.

    Returns:
        One row for each unit, in order: `done`, or `nan`, `error`, `killed`, `timeout`.

    Raises:
        KeyboardInterrupt: after the running child has been stopped; finished rows stay.
        ValueError: another benchmark writes to the same folder.
    """
    rows = []
    with alone(out):
        stored = [None if redo else store.find(out, unit.label, unit.fingerprint) for unit in units]
        kept = out / "weights" if any(unit.start for unit in units) else None
        wanted = needed(units, stored, out / "weights")
        for number, unit in enumerate(units, 1):
            place = {"number": number, "units": len(units), "label": unit.label}
            known = stored[number - 1]
            if done(known) and unit.fingerprint not in wanted:
                row = known
                listener({"event": "skipped", **place, "row": row})
            else:
                listener({"event": "unit", **place})
                row = run_unit(unit, out, timeout, listener, command, kept)
                listener({"event": "row", **place, "row": row})
            rows.append(row)
    return rows


def needed(units: Sequence[Unit], stored: Sequence[dict[str, Any] | None], folder: Path) -> set[str]:
    """The units whose trained weights have to be made, because one that is to be run starts from them and they are missing."""
    found: set[str] = set()
    for unit, row in reversed(list(zip(units, stored, strict=True))):
        runs = not done(row) or unit.fingerprint in found
        if runs and unit.start and not weights.path_of(folder, unit.start).exists():
            found.add(unit.start)
    return found


def done(row: dict[str, Any] | None) -> bool:
    """Whether a stored row is that of a finished unit."""
    return row is not None and row["status"] == "done"


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the folder, so that two benchmarks never write to it at once.

    Raises:
        ValueError: somebody else holds it.
    """
    import filelock

    out.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ValueError(
            f"A results folder needs to be free. Received: out={str(out)!r}, which another benchmark is writing to; "
            "wait for it, or give another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def run_unit(
    unit: Unit, out: Path, timeout: float | None, listener: Listener, command: Sequence[str], kept: Path | None = None
) -> dict[str, Any]:
    """One unit in a process of its own; its row is on disk when this returns."""
    path = store.path_of(out, unit.label, unit.fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = None if timeout is None else time.monotonic() + timeout
    with tempfile.TemporaryFile() as log:
        with child(unit, path, command, log, kept) as process:
            last = follow(process, deadline, listener)
        if last == "done" and (row := store.find(out, unit.label, unit.fingerprint)):
            return row
        status, message = explain(last, process.returncode, timeout, tail(log))
    row = failure(unit, status, message)
    store.write(path, row)
    return row


@contextlib.contextmanager
def child(
    unit: Unit, path: Path, command: Sequence[str], log: IO[bytes], kept: Path | None = None
) -> Iterator[subprocess.Popen]:
    """The process that measures a unit; it never outlives the `with` block."""
    process = subprocess.Popen(
        [*command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        encoding="utf-8", env=surroundings(unit, kept), start_new_session=True,
    )
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(unit.to_dict(), allow_nan=False))
            process.stdin.close()
        yield process
    finally:
        stop(process)


def surroundings(unit: Unit, kept: Path | None = None) -> dict[str, str]:
    """The environment of a child: this one's, with the unit's backend and a way to find this very package."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    own = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONIOENCODING": "utf-8"}
    if unit.backend:
        own["KERAS_BACKEND"] = unit.backend
    if kept:
        own[weights.FOLDER] = str(kept.absolute())
    return {"TF_CPP_MIN_LOG_LEVEL": "2"} | os.environ | own


def stop(process: subprocess.Popen) -> None:
    """Make sure that a process has ended: ask it to, and if it does not within the grace, force it."""
    for act in (process.terminate, process.kill):
        if process.poll() is None:
            act()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    process.wait()
    process.stdout.close()


def follow(process: subprocess.Popen, deadline: float | None, listener: Listener) -> str:
    """Pass the child's events on until it ends or time is up.

    Returns:
        `done` if it said so, `timeout` if it was too slow, else `ended`.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=read_lines, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return "timeout"
        if line is None:
            finish(process)
            return "ended"
        event = parse(line)
        if event.get("event") == "done":
            finish(process)
            return "done"
        if event:
            listener(event)


def read_lines(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Move lines from a stream to a queue; None marks the end."""
    with contextlib.suppress(ValueError, OSError):  # the stream is closed when the child is stopped
        for line in stream:
            lines.put(line)
    lines.put(None)


def finish(process: subprocess.Popen) -> None:
    """Let a child that has closed its output, or said that it is done, end by itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2 * GRACE)


def parse(line: str) -> dict[str, Any]:
    """An event from a line; an empty one if the line is something that a library printed."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def tail(log: IO[bytes], size: int = 1500) -> str:
    """The last lines of what a child wrote to its error stream."""
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - size))
    return "\n".join(log.read().decode(errors="replace").strip().splitlines()[-8:])


def explain(last: str, code: int, timeout: float | None, words: str) -> tuple[str, str]:
    """Status and message of a child that left no result."""
    if last == "timeout":
        return "timeout", f"stopped after {timeout:g} seconds"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "; perhaps the machine ran out of memory" if name == "SIGKILL" else ""
        return "killed", f"the process was ended by {name}{hint}"
    return "error", f"the process ended with code {code} and no result" + (f": {words}" if words else "")
