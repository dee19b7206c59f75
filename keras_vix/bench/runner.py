"""Runs units until each has a row, on this machine or through an engine; any number of runners share a results folder."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .board import Board
from .process import COMMAND, POLL, Listener, Stopped, attempt
from .unit import failure, Unit

Result = tuple[Unit, dict[str, Any]]
Engine = Callable[[Sequence[Unit], dict[str, Any], Listener, threading.Event], Iterator[Result]]


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
