"""Ctrl-C, SIGTERM and a terminal that goes away, while a command runs; and warnings of one line."""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any


class Request:
    """A request to stop, which signals make: at the next good moment, or at once where nothing can be torn.

    Args:
        calm: whether to wait for the good moment, at which somebody looks at `stop`.
    """

    def __init__(self, calm: bool):
        self.stop = threading.Event()
        self.calm = calm

    def __call__(self, *_: Any) -> None:
        if self.stop.is_set():
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # the cursor, which a live display hides
            os._exit(130)  # children notice and end, too
        self.stop.set()
        if not self.calm:
            raise SystemExit(130)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a request need not wait."""
        before, self.calm = self.calm, False
        try:
            yield
        finally:
            self.calm = before


@contextlib.contextmanager
def stopping(calm: bool = True) -> Iterator[Request]:
    """Inside, Ctrl-C, SIGTERM and a terminal that hangs up are requests to stop; the second one ends the process on the spot.

    Signals that somebody had ignored, as `nohup` does, stay ignored.
    """
    request = Request(calm)
    names = ("SIGINT", "SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    found = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heeded = [number for number in found if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, request) for number in heeded}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, a warning is one line on standard error, said once."""
    said = set()

    def say(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            print(f"Warning: {message}", file=sys.stderr)
        said.add(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = say
        yield
