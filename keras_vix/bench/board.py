"""Who does what in a results folder: which units are finished, which are somebody else's, and which one comes next.

Every unit has a lock, which its runner holds while it measures it, so that any number of runners share one folder. The
system gives up a lock when its process ends, however it ends, so that a dead runner is in nobody's way; a network file
system does the same if it supports `flock`, as NFS since version 4 and Lustre (mounted with `flock`) do. Where it does
not, filelock warns and falls back on a file that exists while the lock is held, which a machine that crashed leaves
behind: delete `.running` then.
"""

import contextlib
import datetime
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import checks
from . import store
from .unit import Unit, failure

HIDDEN = ".running"


class Board:
    """The units of one run, and what has become of each.

    Args:
        units: what is to be measured; a unit comes after the one that it starts from.
        out: the results folder.
        redo: measure finished units again.

    Raises:
        ValueError: a unit starts from another that is neither among the units nor stored.
        ImportError: filelock is missing.
        OSError: the folder cannot be written.
    """

    def __init__(self, units: Sequence[Unit], out: Path, redo: bool = False):
        self.filelock = checks.package("filelock", "The benchmark")
        self.units = {unit.fingerprint: unit for unit in units}
        self.numbers = {fingerprint: number for number, fingerprint in enumerate(self.units, 1)}
        self.out, self.redo = out, redo
        self.rows: dict[str, dict[str, Any]] = {}
        self.locks: dict[str, Any] = {}
        self.foreign: list[Unit] = []
        self.weights = out / "weights"
        self.before = {fingerprint: signature(self.path(unit)) for fingerprint, unit in self.units.items()}
        self.wanted = {unit.start for unit in units if unit.start and not self.finished(unit)}
        self.check_starts()
        with store.explained(self.hidden / "x"):
            self.hidden.mkdir(parents=True, exist_ok=True)
        self.clean()

    @property
    def hidden(self) -> Path:
        """The folder of locks, of marks of what has been started, and of results on their way."""
        return self.out / HIDDEN

    @property
    def complete(self) -> bool:
        """Whether every unit has a row."""
        return len(self.rows) == len(self.units)

    def path(self, unit: Unit) -> Path:
        """Where the row of a unit is stored."""
        return store.path_of(self.out, unit.label, unit.fingerprint)

    def mark(self, unit: Unit) -> Path:
        """The file that says who has started a unit."""
        return self.hidden / f"{store.slug(unit.label)}-{unit.fingerprint}.started"

    def check_starts(self) -> None:
        """Refuse a unit that starts from weights which nobody makes."""
        for unit in self.units.values():
            if unit.start in self.wanted - self.units.keys() and not self.weights_of(unit.start).exists():
                raise ValueError(
                    f"A unit starts from the weights of another one. Received: {unit.label!r} with start={unit.start!r}, which "
                    "is neither here nor stored; measure that one too."
                )

    def weights_of(self, fingerprint: str) -> Path:
        """The file that a unit leaves for those that start from it."""
        return self.weights / f"{fingerprint}.weights.h5"

    def finished(self, unit: Unit) -> bool:
        """Whether a unit had a good result before this run, which is to be kept."""
        try:
            return not self.redo and store.read(self.path(unit))["status"] == "done"
        except (OSError, ValueError, RecursionError):
            return False

    def clean(self) -> None:
        """Remove what dead runs have left: temporary files and marks."""
        for folder in (self.out, self.out / "rows", self.out / "figures", self.weights, self.hidden):
            store.clean(folder)
        for path in self.hidden.glob("*.started"):
            owner = started(path)
            if owner.get("host") == platform.node() and not store.alive(int(owner.get("pid", 0))):
                path.unlink(missing_ok=True)
                (self.hidden / f"result-{path.stem.rpartition('-')[2]}.json").unlink(missing_ok=True)

    # ---- taking and giving back ------------------------------------------------------------------------------------

    def claim(self) -> tuple[Unit, dict[str, Any] | None] | None:
        """The next unit that is settled or free, in order.

        Returns:
            A unit and its row, if it is finished or cannot be measured; a unit and None, if it is now the caller's to
            measure; None if there is nothing to do at the moment. `foreign` then lists what others are measuring.
        """
        self.foreign = []
        for fingerprint, unit in self.units.items():
            if fingerprint in self.rows or fingerprint in self.locks or not self.may_start(unit):
                continue
            if not self.hold(fingerprint):
                self.foreign.append(unit)
                continue
            row = self.known(unit) or self.hopeless(unit)
            if row is None:
                store.write_text(self.mark(unit), store.to_json({
                    "pid": os.getpid(), "host": platform.node(), "fingerprint": fingerprint,
                    "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                }))
            else:
                self.rows[fingerprint] = row
                self.let_go(unit)
            return unit, row
        return None

    def may_start(self, unit: Unit) -> bool:
        """Whether the unit that this one starts from, if any, has ended."""
        return unit.start not in self.units or unit.start in self.rows

    def hold(self, fingerprint: str) -> bool:
        """Take the lock of a unit, if nobody has it."""
        lock = self.filelock.FileLock(self.hidden / f"{fingerprint}.lock")
        with store.explained(Path(lock.lock_file)):
            try:
                lock.acquire(timeout=0)
            except self.filelock.Timeout:
                return False
        self.locks[fingerprint] = lock
        return True

    def known(self, unit: Unit) -> dict[str, Any] | None:
        """The row of a unit that need not be measured: it was finished before, or somebody has measured it meanwhile."""
        row = store.take(self.out, unit.label, unit.fingerprint)
        if row is None:
            return None
        done = row["status"] == "done"
        if done and unit.fingerprint in self.wanted and not self.weights_of(unit.fingerprint).exists():
            return None
        fresh = signature(self.path(unit)) != self.before[unit.fingerprint]
        return row if fresh or (done and not self.redo) else None

    def hopeless(self, unit: Unit) -> dict[str, Any] | None:
        """The stored row of a unit whose weights never came to be."""
        origin = self.rows.get(unit.start) if unit.start else None
        if origin is None or origin["status"] == "done":
            return None
        row = failure(unit, "error", f"{origin['label']}, whose weights it starts from, has failed: {origin['status']}")
        store.write(self.path(unit), row)
        return row

    def settle(self, unit: Unit, row: dict[str, Any]) -> dict[str, Any]:
        """Store the row of a unit that was claimed, and give the unit back; returns the row as it is stored."""
        store.write(self.path(unit), row)
        self.rows[unit.fingerprint] = row = store.read(self.path(unit))
        self.let_go(unit)
        return row

    def let_go(self, unit: Unit) -> None:
        """Give a unit back, measured or not."""
        lock = self.locks.pop(unit.fingerprint)
        with contextlib.suppress(OSError):
            self.mark(unit).unlink(missing_ok=True)
        lock.release()

    def close(self) -> None:
        """Give everything back."""
        for fingerprint in list(self.locks):
            self.let_go(self.units[fingerprint])
        store.clean(self.hidden)


@contextlib.contextmanager
def pages(out: Path, wait: bool) -> Iterator[bool]:
    """Hold the pages of a results folder, so that what two runners write is of one moment; yields whether they are held.

    Args:
        out: the results folder.
        wait: for whoever holds them; else give up at once.
    """
    filelock = checks.package("filelock", "The benchmark")
    place = out / HIDDEN / "pages.lock"
    with store.explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except filelock.Timeout:
            yield False
            return
    try:
        yield True
    finally:
        lock.release()


def signature(path: Path) -> tuple[int, int] | None:
    """What tells a file from another that has taken its place; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def started(path: Path) -> dict[str, Any]:
    """Who has started a unit, as its mark says; empty if it says nothing sensible."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("pid"), int) else {}
