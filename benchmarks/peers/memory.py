"""What this process holds, from the kernel's own account. Every figure is None where the system does not say."""

import contextlib
import ctypes
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def field(name: str) -> int | None:
    """A figure of `/proc/self/status` in bytes, such as VmRSS."""
    try:
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    figures = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(figures[0]) if figures else None


def resident() -> int | None:
    """Bytes in memory now."""
    return field("VmRSS")


def reset_peak() -> bool:
    """Let the peak begin anew; False if the system does not allow it."""
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak() -> int | None:
    """The most bytes in memory since the last reset."""
    return field("VmHWM")


def trim() -> None:
    """Give freed memory back to the system, so that a later peak is not hidden in it."""
    with contextlib.suppress(OSError, AttributeError):  # a C library without malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
