"""Runs units, each in a fresh process, and turns whatever happens into rows; any number of runners share a results folder."""

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
from .board import Board
from .child import UNWRITTEN
from .environment import discreet
from .outcome import explain, oom_kills
from .unit import failure, remember, Unit

Listener = Callable[[dict[str, Any]], None]
Result = tuple[Unit, dict[str, Any]]
Engine = Callable[[Sequence[Unit], dict[str, Any], Listener, threading.Event], Iterator[Result]]
COMMAND = (sys.executable, "-m", "keras_vix.bench.child")
GRACE = 1.0  # seconds that a child has to end after it was asked to
POLL = 0.2  # seconds between two looks at what cannot announce itself: a request to stop, a unit that others measure


class Stopped(Exception):
    """A measurement was given up because of a request to stop."""


# ---- many units ----------------------------------------------------------------------------------------------------


def run(
    units: Sequence[Unit],
    out: Path,
    *,
    redo: bool = False,
    timeout: float | None = None,
    listener: Listener = lambda event: None,
    command: Sequence[str] = COMMAND,
    jobs: int = 1,
    engine: Engine | None = None,
    stop: threading.Event | None = None,
) -> list[dict[str, Any]]:
    """Measure units; one that is stored as done is not run again, and one that another runner measures is waited for.

    Args:
        units: what to measure.
        out: folder of the results; one file for each unit goes into its `rows`.
        redo: run finished units again.
        timeout: seconds that one unit may take, its start included; None for no limit.
        listener: is told of everything as dictionaries, in this thread: `skipped`, `unit`, `started`, `epoch`, `retry`,
            `row`; and once `waiting` if all that is left is measured by others.
        command: the program that measures a unit; it gets the path of the result as its last argument.
        jobs: how many units to measure at once, each in a process of its own; what they measure of time says little then.
        engine: what measures units instead of this machine. It gets units, the keywords of `attempt` that all share, a
            listener (whose events name their unit by `fingerprint`) and a request to stop, and yields a row for each unit
            as it ends. What it is given at once does not depend on each other.
        stop: set it, from a signal handler or another thread, to end the run.

    Returns:
        One row for each unit, in order: `done`, or `nan`, `oom`, `error`, `killed`, `timeout`.

    Raises:
        KeyboardInterrupt: Ctrl-C, or `stop`, after the running children have been stopped; finished rows stay.
        ValueError: jobs is below 1, or a unit starts from weights that are nowhere.
        OSError: a result cannot be stored; the running children have been stopped, and what was stored stays.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1. Received: jobs={jobs}.")
    stop = threading.Event() if stop is None else stop
    board = Board(units, out, redo)
    options: dict[str, Any] = {"timeout": timeout, "command": command}
    if board.wanted:
        options["weights"] = board.weights

    def hear(event: dict[str, Any], unit: Unit | None = None) -> None:
        unit = unit or board.units.get(event.get("fingerprint", ""))
        listener(event if unit is None else event | {"label": unit.label, "place": board.numbers[unit.fingerprint]})

    def tell(event: str, unit: Unit, **more: Any) -> None:
        number = board.numbers[unit.fingerprint]
        listener({"event": event, "number": number, "units": len(board.units), "label": unit.label, **more})

    source = here(board, jobs, options, hear, tell, stop) if engine is None else there(board, engine, options, hear, tell, stop)
    with contextlib.closing(board), contextlib.closing(source):
        for unit, row in source:
            extra = {} if engine else {"jobs": jobs}
            tell("row", unit, row=board.settle(unit, row | extra))
    if stop.is_set() and not board.complete:
        raise KeyboardInterrupt
    return [board.rows[unit.fingerprint] for unit in units]


def free(board: Board, tell: Callable[..., None]) -> Iterator[Unit]:
    """The units that are free now, each claimed; of settled ones on the way the listener is told."""
    while (found := board.claim()) is not None:
        unit, row = found
        if row is None:
            yield unit
        else:
            tell("skipped" if row["status"] == "done" else "row", unit, row=row)


def here(
    board: Board, jobs: int, options: dict[str, Any], hear: Callable[..., None], tell: Callable[..., None],
    stop: threading.Event,
) -> Iterator[Result]:
    """Measure what is free in children of this process, `jobs` at once, until everything has a row."""
    news: queue.SimpleQueue[tuple[Unit, Any]] = queue.SimpleQueue()
    running: dict[str, threading.Thread] = {}
    waited = False

    def work(unit: Unit) -> None:
        try:
            end = attempt(
                unit, **options, keep=unit.fingerprint in board.wanted, folder=board.hidden, stop=stop,
                listener=lambda event: news.put((unit, event)),
            )
        except BaseException as error:
            news.put((unit, error))
        else:
            news.put((unit, (end,)))

    try:
        while True:
            for unit in free(board, tell) if len(running) < jobs and not stop.is_set() else ():
                tell("unit", unit)
                running[unit.fingerprint] = threading.Thread(target=work, args=(unit,), daemon=True)
                running[unit.fingerprint].start()
                if len(running) == jobs:
                    break
            if not running and (stop.is_set() or board.complete):
                return
            if not running and board.foreign and not waited:
                waited = True
                tell("waiting", board.foreign[0])
            try:
                unit, what = news.get(timeout=POLL)
            except queue.Empty:
                continue
            if isinstance(what, dict):
                hear(what, unit)
                continue
            running.pop(unit.fingerprint).join()
            if isinstance(what, Stopped):
                board.let_go(unit)
            elif isinstance(what, BaseException):
                raise what
            else:
                yield unit, what[0]
    finally:
        if running:
            stop.set()
        for thread in running.values():
            thread.join()


def there(
    board: Board, engine: Engine, options: dict[str, Any], hear: Callable[..., None], tell: Callable[..., None],
    stop: threading.Event,
) -> Iterator[Result]:
    """Hand everything that is free to an engine, wave by wave, until everything has a row."""
    while not (stop.is_set() or board.complete):
        wave = {unit.fingerprint: unit for unit in free(board, tell)}
        if not wave:
            time.sleep(POLL)
            continue
        results = engine(list(wave.values()), options, hear, stop)
        try:
            for unit, row in results:
                del wave[unit.fingerprint]
                yield unit, row
        except BaseException:
            stop.set()
            raise
        finally:
            getattr(results, "close", lambda: None)()
        for unit in wave.values() if not stop.is_set() else ():
            yield unit, failure(unit, "error", "the engine gave no result")


# ---- one unit ------------------------------------------------------------------------------------------------------


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
        unit, timeout, command: as in `run`; the second try has what the first has left of the time.
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
            heard.append(event)
            self.listener(event)

        before = oom_kills()
        try:
            with tempfile.TemporaryFile() as log:
                with child(unit, path, self.command, log, surroundings(unit, self.weights, self.keep)) as process:
                    last = follow(process, self.deadline, hear, self.stop)
                if last == "stopped":
                    raise Stopped(unit.label)
                if last == "ended" and process.returncode == UNWRITTEN:
                    raise OSError(tail(log, 1))
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
