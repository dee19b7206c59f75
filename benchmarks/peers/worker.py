"""The process of one contender: JSON lines in, JSON lines out, and asleep in between.

`python -m peers.worker` answers `start`, `prepare`, `block` and `stop`. Whatever a library prints goes to the error
stream, so that it never mixes with the answers.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
from typing import IO, Any

from . import memory, timing
from .case import Case
from .cases import find


class Session:
    """What one worker holds between requests: its case, its framework, and the step that is prepared."""

    def __init__(self) -> None:
        self.case: Case | None = None
        self.frame: Any = None
        self.job: Any = None
        self.idle: int | None = None

    def start(self, case: str, threads: int | None, core: int | None) -> dict[str, Any]:
        """Pin the process, import the framework, and tell what is there; no framework is imported before the pin."""
        if core is not None:
            os.sched_setaffinity(0, {core})
        self.case = find(case)
        self.frame = importlib.import_module(f"peers.frames.{self.case.environment}_frame")
        if threads is not None:
            self.frame.limit_threads(threads)
        if ":" in self.case.maker:
            importlib.import_module(f"peers.contenders.{self.case.maker.split(':')[0]}")
        return self.frame.describe() | {"packages": versions(), "cores": len(os.sched_getaffinity(0))}

    def prepare(self, tokens: int, mode: str, batch: int) -> dict[str, Any]:
        """Build the contender at one size and run its first step, which traces and compiles."""
        self.job = None
        gc.collect()
        memory.trim()
        self.job = self.make(tokens, mode, batch)
        gc.collect()
        memory.trim()
        on_device = self.frame.device_bytes(reset=True)
        self.idle = on_device[0] if on_device else memory.resident()
        facts = {name: getattr(self.job, name) for name in ("parameters", "multiply_adds", "moved_bytes")}
        return facts | {"first_seconds": timing.timed(self.job.step)}

    def make(self, tokens: int, mode: str, batch: int) -> Any:
        """The job of this case: a probe of the machine, a whole model, or a layer."""
        from .place import Job, Place  # needs numpy, which starts threads: only after the pin

        if ":" not in self.case.maker:
            return Job(self.frame.probe(self.case.maker, tuple(self.case.options["sizes"])), 0, None, 0)
        module, function = self.case.maker.split(":")
        maker = getattr(importlib.import_module(f"peers.contenders.{module}"), function)
        place = Place(tokens, batch)
        build = self.frame.model_job if "models" in self.case.groups else self.frame.job
        return build(maker(place, **self.case.options), place, mode, self.case.jit)

    def block(self, steps: int, memory_too: bool = False) -> dict[str, Any]:
        """Run a block; with `memory_too` also the most memory it held over that before the first step."""
        if memory_too:
            memory.reset_peak()
        found = timing.block(self.job.step, steps) | {"resident_bytes": memory.resident()}
        return found | ({"memory_bytes": self.extra_memory()} if memory_too else {})

    def extra_memory(self) -> int | None:
        """The peak over what the process, or the GPU, held before the first step."""
        on_device = self.frame.device_bytes()
        most = on_device[1] if on_device else memory.peak()
        return None if most is None or self.idle is None else max(0, most - self.idle)


def versions() -> dict[str, str]:
    """Versions of the packages that take part, as installed here."""
    from importlib import metadata

    names = ("keras", "numpy", "tensorflow", "tf_keras", "jax", "jaxlib", "torch", "keras-hub", "tf-models-official",
             "vit-pytorch", "performer-pytorch", "linformer", "nystrom-attention")
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def failure(error: Exception) -> dict[str, Any]:
    """What went wrong, and whether only an import is missing."""
    kind = "not installed" if isinstance(error, ImportError) else "failed"
    return {"event": kind, "reason": f"{type(error).__name__}: {error}"}


def answer(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """The reply to one request; an error of the contender is a reply too."""
    arguments = {key: value for key, value in request.items() if key != "do"}
    try:
        handler = {"start": session.start, "prepare": session.prepare, "block": session.block}[request["do"]]
        return {"event": "ok", **handler(**arguments)}
    except Exception as error:  # a cell of the table, whatever it is
        return failure(error)


def private_output() -> IO[str]:
    """The real standard output, for answers alone; whatever else is printed from now on goes to the error stream."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> int:
    """Answer until told to stop, or until nobody asks any more."""
    answers, session = private_output(), Session()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "stop":
            break
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer(session, request), allow_nan=False), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
