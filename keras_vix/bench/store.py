"""Results on disk: one strict JSON file for each unit, written whole or not at all."""

import contextlib
import hashlib
import json
import math
import os
import platform
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .environment import discreet

SCHEMA = 1
NEEDED = ("schema", "status", "label", "fingerprint", "unit")
TEMPORARY = re.compile(r"\.(?P<host>[0-9a-f]{6})-(?P<pid>\d+)\.[^.]+\.tmp$")
FOREIGN = 24 * 3600.0  # seconds after which a temporary file of another machine, or of no known process, is left over
# Names that Windows keeps for devices, whatever follows their first dot.
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def write_bytes(path: Path, content: bytes) -> None:
    """Put content at path so that a reader, or a crash at any moment, sees the old file or the new one.

    Raises:
        OSError: the folder cannot be written, or is full; it names the path and the free bytes. The old file is untouched.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name[:40]}.{host()}-{os.getpid()}."
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Inside, an OSError is raised anew, with the same number, and says which file was to be written and what room there is."""
    try:
        yield
    except OSError as error:
        room = free_bytes(path)
        words = "an unknown number of bytes" if room is None else f"{room:,} bytes"
        reason = error.strerror or str(error)
        message = (
            f"A result needs a folder that can be written and has room. Received: path={str(path)!r}, with {words} free: "
            f"{reason}; make room or give another folder. What was stored before is untouched."
        )
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from error


def free_bytes(path: Path) -> int | None:
    """What is free on the disk of the nearest folder that exists; None where the system does not say."""
    for folder in path.absolute().parents:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free
    return None


def host() -> str:
    """Six hexadecimal digits that stand for this machine's name, which itself goes into no file name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    if os.name != "posix":
        import psutil

        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def clean(folder: Path) -> None:
    """Remove temporary files whose writer is dead; those of other machines and of unknown writers once they are a day old."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            found = TEMPORARY.search(path.name)
            if found and found["host"] == host():
                dead = not alive(int(found["pid"]))
            else:
                dead = now() - path.stat().st_mtime > FOREIGN
            if dead:
                path.unlink()


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable, on systems that can open a folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text, as UTF-8 with plain newlines."""
    write_bytes(path, text.encode())


def plain(value: Any) -> Any:
    """The value with strict JSON types only: NaN and infinities become None, tuples lists, NumPy numbers Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)


def to_json(value: Any, indent: int | None = 1) -> str:
    """Strict JSON text of any nest of plain values."""
    return json.dumps(plain(value), allow_nan=False, ensure_ascii=False, indent=indent) + "\n"


def now() -> float:
    """The wall clock in seconds, for the age of a file, which knows no other; never for how long something took."""
    return time.time()


def slug(label: str) -> str:
    """A label as part of a file name, on any system: `performer_relu m=16` becomes `performer_relu-m-16`."""
    name = re.sub(r"[^a-z0-9_.]+", "-", label.lower()).strip("-.")[:60] or "unit"
    return f"_{name}" if name.split(".")[0] in RESERVED else name


def path_of(out: Path, label: str, fingerprint: str) -> Path:
    """Where the row of a unit lives."""
    return out / "rows" / f"{slug(label)}-{fingerprint}.json"


def write(path: Path, row: Mapping[str, Any]) -> None:
    """Store a row, without the home folder's name and without secrets that an error may have told."""
    write_text(path, to_json(told({"schema": SCHEMA, **row}), indent=None))


def told(value: Any) -> Any:
    """The value with every text in it made discreet."""
    if isinstance(value, Mapping):
        return {key: told(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [told(item) for item in value]
    return discreet(value) if isinstance(value, str) else value


def read(path: Path) -> dict[str, Any]:
    """One stored row.

    Raises:
        ValueError: the file is torn, or is no row of this schema, or carries another unit's name.
        OSError: it cannot be read.
    """
    row = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(row, dict) or row.get("schema") != SCHEMA:
        raise ValueError(f"not a result of schema {SCHEMA}")
    missing = [name for name in NEEDED if name not in row]
    if missing:
        raise ValueError(f"no {', '.join(missing)} in it")
    if not all(isinstance(row[name], str) for name in NEEDED[1:4]) or not isinstance(row["unit"], dict):
        raise ValueError("its names are no text")
    if not path.stem.endswith(f"-{row['fingerprint']}"):
        raise ValueError(f"it holds the result {row['fingerprint']}")
    return row


def quarantine(out: Path, path: Path, reason: object) -> None:
    """Move a file that cannot be used to `corrupt`, under a name that is free there, and say so in a warning."""
    folder = out / "corrupt"
    folder.mkdir(parents=True, exist_ok=True)
    names = (path.name, *(f"{path.stem}.{number}{path.suffix}" for number in range(1, 1000)))
    place = next((folder / name for name in names if not (folder / name).exists()), folder / path.name)
    os.replace(path, place)
    warnings.warn(f"Moved {path} to {place}: {reason}", stacklevel=2)


def take(out: Path, label: str, fingerprint: str) -> dict[str, Any] | None:
    """The stored row of a unit, for the one who is about to run it: what cannot be used, and other files that claim to be
    of the same unit, are moved to `corrupt`; None if nothing is left."""
    own, row = path_of(out, label, fingerprint), None
    for path in sorted(own.parent.glob(f"*-{fingerprint}.json")):
        try:
            if path != own:
                raise ValueError(f"the unit's result belongs into {own.name}")
            row = read(path)
        except (ValueError, RecursionError) as error:
            quarantine(out, path, error)
    return row


def find(out: Path, label: str, fingerprint: str) -> dict[str, Any] | None:
    """The stored row of a unit; None if there is none, or (with a warning) if its file cannot be used."""
    path = path_of(out, label, fingerprint)
    return read_or_warn(path) if path.exists() else None


def read_all(out: Path) -> list[dict[str, Any]]:
    """All usable rows under `out`, by file name; every file that cannot be used, or is of a unit that has a file already, is
    named in a warning."""
    rows: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in sorted((out / "rows").glob("*.json")):
        row = read_or_warn(path)
        if row is None:
            continue
        new, old = (path, row), rows.get(row["fingerprint"])
        if old is not None:
            own = path_of(out, row["label"], row["fingerprint"])
            new, spare = (new, old) if path == own else (old, new)
            warnings.warn(f"Skipped {spare[0]}: {new[0].name} holds the result of the same unit", stacklevel=2)
        rows[row["fingerprint"]] = new
    return [row for _, row in rows.values()]


def read_or_warn(path: Path) -> dict[str, Any] | None:
    """One row, or None and a warning that names the file and says what is wrong with it."""
    try:
        return read(path)
    except (ValueError, OSError, RecursionError) as error:
        warnings.warn(f"Skipped {path}: {error}", stacklevel=2)
        return None
