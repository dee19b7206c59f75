"""Measures one unit in a fresh process and turns whatever happens to it into a row."""

import contextlib
import dataclasses
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

from . import store
from .environment import discreet
from .outcome import explain, oom_kills
from .unit import failure, remember, Unit

Listener = Callable[[dict[str, Any]], None]
COMMAND = (sys.executable, "-m", "keras_vix.bench.child")
GRACE = 1.0  # seconds that a child has to end after it was asked to
POLL = 0.2  # seconds between two looks at what cannot announce itself: a request to stop, a unit that others measure


class Stopped(Exception):
    """A measurement was given up because of a request to stop."""


def attempt(
    unit: Unit,
    *,
    timeout: float | None = None,
    listener: Listener = lambda event: None,
    command: Sequence[str] = COMMAND,
    stop: threading.Event | None = None,
    weights: Path | None = None,
    keep: bool = True,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Measure one unit in a process of its own, and once more with half the batch if memory ran out. Stores no row.

    Args:
        unit, timeout, command: as in `runner.run`; the second try has what the first has left of the time.
        listener: is told `started`, `epoch`, `retry`, in this thread.
        stop: a request to give up.
        weights: folder of trained weights; the child finds it as `KERAS_VIX_WEIGHTS`.
        keep: whether the child is to leave its own there; if not, it finds `KERAS_VIX_KEEP` to be 0.
        folder: where the child puts its result, which is removed; None takes a temporary folder.

    Returns:
        The row. That of a second try has `retried` and `first_failure`; a failed one has the `history` of its finished
        epochs and the end of its `log`.

    Raises:
        Stopped: there was a request to stop; the child has ended.
        OSError: the child cannot be started, or cannot write its result.
    """
    stop = threading.Event() if stop is None else stop
    deadline = None if timeout is None else time.perf_counter() + timeout
    with contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="keras_vix-") as place:
        once = Attempt(Path(place), timeout, deadline, listener, command, stop, weights, keep)
        row = once.measure(unit)
        half = smaller_batch(unit, row)
        if half is None:
            return row
        listener({"event": "retry", "batch_size": half, "message": row["message"]})
        smaller = dataclasses.replace(unit, batch_size=half)
        first = {"status": row["status"], "message": row["message"], "batch_size": row.get("batch_size") or 2 * half}
        row = once.measure(smaller)
    if weights and (kept := weights / f"{smaller.fingerprint}.weights.h5").exists():
        os.replace(kept, weights / f"{unit.fingerprint}.weights.h5")
    own = {"fingerprint": unit.fingerprint, "unit": unit.to_dict()}
    return row | own | {"retried": True, "first_failure": first}


def smaller_batch(unit: Unit, row: dict[str, Any]) -> int | None:
    """Half the batch that a unit ran out of memory with; None if it did not, or if half a batch is no batch."""
    if row["status"] != "oom":
        return None
    tried = row.get("batch_size") or row.get("cost_batch_size") or unit.batch_size
    if tried is None:
        from ..train import recipe

        try:
            tried = recipe(unit.preset, unit.dataset, unit.profile, **unit.of_recipe).batch_size
        except (ValueError, TypeError):
            return None
    half = tried // 2
    return half if half >= unit.devices and half % unit.devices == 0 else None


@dataclasses.dataclass(frozen=True)
class Attempt:
    """How a unit is measured in a child: where its result goes, how long it may take, who listens."""

    folder: Path
    timeout: float | None
    deadline: float | None
    listener: Listener
    command: Sequence[str]
    stop: threading.Event
    weights: Path | None
    keep: bool

    def measure(self, unit: Unit) -> dict[str, Any]:
        """The row of one try."""
        path = self.folder / f"result-{unit.fingerprint}.json"
        heard: list[dict[str, Any]] = []

        def hear(event: dict[str, Any]) -> None:
            if event["event"] == "unwritten":
                raise OSError(discreet(str(event.get("message"))))
            heard.append(event)
            self.listener(event)

        before = oom_kills()
        try:
            with tempfile.TemporaryFile() as log:
                with child(unit, path, self.command, log, surroundings(unit, self.weights, self.keep)) as process:
                    last = follow(process, self.deadline, hear, self.stop)
                if last == "stopped":
                    raise Stopped(unit.label)
                row = result(path) if last == "done" else None
                if row is None and last == "timeout":
                    row = failure(unit, "timeout", f"stopped after {self.timeout:g} seconds")
                elif row is None:
                    row = failure(unit, *explain(process.returncode, tail(log), oom_kills() != before))
                return row if row["status"] in ("done", "nan") else remember(heard) | row | {"log": tail(log, 40)}
        finally:
            path.unlink(missing_ok=True)


def result(path: Path) -> dict[str, Any] | None:
    """What a child has written; None if that is no row."""
    try:
        return store.read(path)
    except (OSError, ValueError, RecursionError):
        return None


@contextlib.contextmanager
def child(
    unit: Unit, path: Path, command: Sequence[str], log: IO[bytes], environment: dict[str, str]
) -> Iterator[subprocess.Popen]:
    """The process that measures a unit; it never outlives the `with` block.

    It is spawned, not forked: nothing of this process but the environment comes into it. It holds the end of a pipe whose
    other end is here and closes when this process ends, however it ends, whereupon the child ends too.
    """
    theirs, ours = os.pipe()
    own = {"KERAS_VIX_PARENT": str(theirs)} if os.name == "posix" else {}
    try:
        process = subprocess.Popen(
            [*command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            errors="replace", env=environment | own, start_new_session=True,
            pass_fds=(theirs,) if os.name == "posix" else (),
        )
        try:
            with contextlib.suppress(BrokenPipeError):
                with process.stdin:
                    process.stdin.write(json.dumps(unit.to_dict(), allow_nan=False))
            yield process
        finally:
            end(process)
    finally:
        os.close(theirs)
        os.close(ours)


def surroundings(unit: Unit, weights: Path | None = None, keep: bool = True) -> dict[str, str]:
    """The environment of a child: this one's, with the unit's backend and a way to find this very package."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    own = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONIOENCODING": "utf-8"}
    if unit.backend:
        own["KERAS_BACKEND"] = unit.backend
    if weights:
        own |= {"KERAS_VIX_WEIGHTS": str(weights.absolute()), "KERAS_VIX_KEEP": str(int(keep))}
    ours = ("KERAS_VIX_WEIGHTS", "KERAS_VIX_KEEP", "KERAS_VIX_PARENT")
    given = {name: value for name, value in os.environ.items() if name not in ours}
    return {"TF_CPP_MIN_LOG_LEVEL": "2"} | given | own


def end(process: subprocess.Popen) -> None:
    """Make sure that a process and what it has started have ended: ask it to, and if it does not within the grace, force it."""
    for polite in (True, False):
        if process.poll() is None:
            send(process, polite)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    send(process, polite=False)
    process.wait()


def send(process: subprocess.Popen, polite: bool) -> None:
    """A request to end, or the end itself, to a process and all of its group."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM if polite else signal.SIGKILL)
    elif process.poll() is None:
        (process.terminate if polite else process.kill)()


def follow(process: subprocess.Popen, deadline: float | None, listener: Listener, stop: threading.Event) -> str:
    """Pass the child's events on until it ends, time is up, or there is a request to stop.

    Returns:
        `done` if it said so, `timeout` if it was too slow, `stopped`, else `ended`.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=read_lines, args=(process.stdout, lines), daemon=True).start()
    silent = 0  # looks since it ended; its output stays open if something that it started lives on
    while silent < 3:
        left = POLL if deadline is None else deadline - time.perf_counter()
        if stop.is_set() or left <= 0:
            return "stopped" if stop.is_set() else "timeout"
        try:
            line = lines.get(timeout=min(POLL, left))
        except queue.Empty:
            silent += process.poll() is not None
            continue
        if line is None:
            break
        event = parse(line)
        if event.get("event") == "done":
            finish(process)
            return "done"
        if event:
            listener(event)
    finish(process)
    return "ended"


def read_lines(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Move lines from a stream to a queue, and close it; None marks the end."""
    with stream, contextlib.suppress(ValueError, OSError):
        for line in stream:
            lines.put(line)
    lines.put(None)


def finish(process: subprocess.Popen) -> None:
    """Let a child that has closed its output, or said that it is done, end by itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(4 * GRACE)


def parse(line: str) -> dict[str, Any]:
    """An event from a line; an empty one if the line is something that a library printed."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def tail(log: IO[bytes], lines: int = 8) -> str:
    """The last lines of what a child wrote to its error stream, without the name of the home folder and without secrets."""
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 2**16))
    said = discreet(log.read().decode(errors="replace")).strip()[-200 * lines :]  # a secret cut in two would not be known
    return "\n".join(said.splitlines()[-lines:])
