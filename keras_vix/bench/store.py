"""Results on disk: one strict JSON file for each unit, written whole or not at all."""

import json
import math
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = 1
NEEDED = ("schema", "status", "label", "fingerprint", "unit")


def write_bytes(path: Path, content: bytes) -> None:
    """Put content at path so that a reader, or a crash at any moment, sees the old file or the new one.

    Raises:
        OSError: the folder cannot be written; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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


def slug(label: str) -> str:
    """A label as part of a file name: `performer_relu m=16` becomes `performer_relu-m-16`."""
    return re.sub(r"[^a-z0-9_.]+", "-", label.lower()).strip("-.")[:60] or "unit"


def path_of(out: Path, label: str, fingerprint: str) -> Path:
    """Where the row of a unit lives."""
    return out / "rows" / f"{slug(label)}-{fingerprint}.json"


def write(path: Path, row: Mapping[str, Any]) -> None:
    """Store a row."""
    write_text(path, to_json({"schema": SCHEMA, **row}, indent=None))


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
    if not path.stem.endswith(f"-{row['fingerprint']}"):
        raise ValueError(f"it holds the result {row['fingerprint']}")
    return row


def find(out: Path, label: str, fingerprint: str) -> dict[str, Any] | None:
    """The stored row of a unit; None if there is none, or (with a warning) if its file cannot be used."""
    path = path_of(out, label, fingerprint)
    return read_or_warn(path) if path.exists() else None


def read_all(out: Path) -> list[dict[str, Any]]:
    """All usable rows under `out`, by file name; every file that cannot be used is named in a warning."""
    rows = (read_or_warn(path) for path in sorted((out / "rows").glob("*.json")))
    return [row for row in rows if row is not None]


def read_or_warn(path: Path) -> dict[str, Any] | None:
    """One row, or None and a warning that names the file and says what is wrong with it."""
    try:
        return read(path)
    except (ValueError, OSError, RecursionError) as error:
        warnings.warn(f"Skipped {path}: {error}", stacklevel=2)
        return None
