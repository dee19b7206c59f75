"""The process that measures one unit, giving one row.

`python -m keras_vix.bench.child RESULT.json` reads a unit as JSON from standard input, writes the row to the file, and
prints its progress as JSON lines; the runner starts one such process for each unit.
"""

import contextlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import store
from .outcome import status_of
from .unit import TASKS, Progress, Unit, failure, remember


def measure(unit: Unit, progress: Progress = lambda event: None) -> dict[str, Any]:
    """Measure one unit in this process.

    Args:
        unit: what to measure.
        progress: is called with `{"event": "started", ...}` once the model is ready, and `{"event": "epoch", ...}`
            after each epoch.

    Returns:
        One row: identity, figures, curves, times, configuration and environment. Its `status` is `done`, or `nan` if
        training or validation diverged.

    Raises:
        ValueError, TypeError: the unit makes no sense.
        Whatever stops a training.
    """
    if unit.task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}. Received: task={unit.task!r}.")
    if unit.deterministic:
        from .determinism import enable

        enable()
    if unit.task == "cost":
        from .cost import cost as run
    else:
        from .measure import trained as run
    with dtype_policy(unit.dtype_policy):
        return run(unit, progress)


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Keras' policy within the block; that of the process comes back behind it."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def row_of(unit: Unit, progress: Progress) -> dict[str, Any]:
    """The row of a unit, measured in this process; an exception becomes a row that keeps the epochs before it.

    Raises:
        BrokenPipeError: nobody listens to the progress any more.
    """
    heard: list[dict[str, Any]] = []

    def listen(event: dict[str, Any]) -> None:
        heard.append(event)
        progress(event)

    try:
        return measure(unit, listen)
    except BrokenPipeError:
        raise
    except Exception as error:
        traceback.print_exc()
        return remember(heard) | failure(unit, status_of(error), f"{type(error).__name__}: {error}")


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that does: its end of a pipe closes."""
    handle = os.environ.pop("KERAS_VIX_PARENT", "")

    def wait() -> None:
        os.read(int(handle), 1)
        os._exit(1)

    if handle:
        threading.Thread(target=wait, daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """The child process. 0: the row is written, whatever it says; 1: it cannot be, or nobody listens any more."""
    (path,) = arguments
    end_with_parent()
    unit = Unit(**json.load(sys.stdin))
    speak = sys.stdout

    def progress(event: dict[str, Any]) -> None:
        print(json.dumps(store.plain(event), allow_nan=False), file=speak, flush=True)

    try:
        with contextlib.redirect_stdout(sys.stderr):
            row = row_of(unit, progress)
        try:
            store.write(Path(path), row)
        except OSError as error:
            progress({"event": "unwritten", "message": str(error)})
            return 1
        progress({"event": "done", "status": row["status"]})
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
