"""How a run ended: which errors mean that memory ran out, and what a child that left no result died of."""

import contextlib
import re
import signal
from pathlib import Path

# What allocators say: TensorFlow, JAX, torch on a GPU and on a CPU, CUDA's libraries, C++, Python and the kernel.
MEMORY = re.compile(
    r"ResourceExhaustedError|RESOURCE_EXHAUSTED|OOM when allocating|OutOfMemoryError|\bout of memory\b|CUDA_ERROR_OUT_OF_MEMORY|"
    r"(?:CUDNN|CUBLAS)_STATUS_ALLOC_FAILED|DefaultCPUAllocator: |not enough memory: you tried to allocate|std::bad_alloc|"
    r"\bMemoryError\b|Unable to allocate .* for an array|Cannot allocate memory|failed to allocate memory",
    re.IGNORECASE,
)
# The same codes stand for other things that ran out.
ELSE = re.compile(r"No space left on device|Received message larger than max|Disk quota exceeded", re.IGNORECASE)


def is_memory(text: str) -> bool:
    """Whether the words of an error, or the end of a log, say that memory ran out."""
    return MEMORY.search(text) is not None and ELSE.search(text) is None


def status_of(error: BaseException) -> str:
    """`oom` if the error, or one that it came from, is of memory that ran out; else `error`."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        if isinstance(link, MemoryError) or is_memory(f"{type(link).__name__}: {link}"):
            return "oom"
        seen.append(link)
        link = link.__cause__ or link.__context__
    return "error"


def oom_kills() -> int | None:
    """How many processes of this one's control group the kernel has ended for want of memory; None where it does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            root, name = Path("/sys/fs/cgroup"), "memory.events"
            if controllers:
                root, name = root / "memory", "memory.oom_control"
            if controllers in ("", "memory"):
                for file in (root / path.strip("/") / name, root / name):
                    if file.exists():
                        return int(dict(pair.split() for pair in file.read_text().splitlines())["oom_kill"])
    return None


def explain(code: int, log: str, starved: bool) -> tuple[str, str]:
    """Status and message of a child that ended without a result.

    Args:
        code: what it ended with; below zero the number of the signal that ended it.
        log: the last lines that it wrote to its error stream.
        starved: whether the kernel has ended processes for want of memory while it ran.
    """
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        message = f"the process was ended by {name}"
        if is_memory(log):
            return "oom", f"{message}: {log}"
        if name == "SIGKILL" and starved:
            return "oom", f"{message}; the kernel ended a process for want of memory meanwhile"
        return "killed", f"{message}; perhaps the machine ran out of memory" if name == "SIGKILL" else message
    status = "oom" if is_memory(log) else "error"
    return status, f"the process ended with code {code} and no result" + (f": {log}" if log else "")
