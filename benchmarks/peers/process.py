"""A worker seen from the controller: ask it something, and get an answer or learn why there is none."""

import contextlib
import json
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any


class WorkerError(Exception):
    """A contender that cannot be measured: `kind` is the word for its cell, the message the reason."""

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind, self.reason = kind, reason


class Worker:
    """One child process that answers JSON lines; a context manager that never leaves it behind.

    Args:
        command: the program.
        environment: its environment variables.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]):
        self.log = tempfile.TemporaryFile()
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, encoding="utf-8",
                errors="replace", env=dict(environment), start_new_session=True,
            )
        except OSError as error:
            self.log.close()
            raise WorkerError("not installed", f"no interpreter: {error.strerror}") from None
        threading.Thread(target=forward, args=(self.process.stdout, self.lines), daemon=True).start()

    def ask(self, timeout: float, **request: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            WorkerError: it says that it failed, it ended, or (kind `> limit`) it gave none in `timeout` seconds; then
                the process is gone.
        """
        self.send(request)
        try:
            reply = self.receive(timeout)
        except WorkerError:
            self.stop()
            raise
        if reply["event"] != "ok":
            raise WorkerError(reply["event"], str(reply.get("reason", "no reason given")))
        return reply

    def send(self, request: Mapping[str, Any]) -> None:
        """Write one request; a process that is gone shows itself when the answer is read."""
        with contextlib.suppress(BrokenPipeError, ValueError, OSError):
            self.process.stdin.write(json.dumps(request, allow_nan=False) + "\n")
            self.process.stdin.flush()

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next line that is an answer; other lines are skipped, and the time runs on."""
        end = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise WorkerError("> limit", f"no answer within {timeout:g} seconds") from None
            if line is None:
                raise WorkerError("failed", self.ending())
            if reply := parse(line):
                return reply

    def ending(self) -> str:
        """Why the process ended, with its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            hint = "; perhaps the machine ran out of memory" if name == "SIGKILL" else ""
            return f"ended by {name}{hint}"
        return f"ended with code {code}: {tail(self.log)}"

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the process, by force if it does not go."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.log.close()


def forward(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Move lines from a stream to a queue; None marks the end."""
    with contextlib.suppress(ValueError, OSError):
        for line in stream:
            lines.put(line)
    stream.close()
    lines.put(None)


def parse(line: str) -> dict[str, Any] | None:
    """An answer, or None for a line that is something else."""
    try:
        reply = json.loads(line)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) and isinstance(reply.get("event"), str) else None


def tail(log: IO[bytes], size: int = 600) -> str:
    """The last of what a process wrote to its error stream, on one line."""
    log.seek(max(0, log.seek(0, 2) - size))
    return " ".join(log.read().decode(errors="replace").split())
