"""Preparing in threads what will be asked for next."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Thing = TypeVar("Thing")


class Ahead(Generic[Key, Thing]):
    """`make(key)` for the key wanted now, while threads already make those wanted next.

    Each thing must depend on its key alone: then it does not matter who made it, or when. At most the keys of
    the last call are kept, so memory is bounded.

    Args:
        make: Turns a key into a thing; called from several threads.
        threads: How many.
    """

    def __init__(self, make: Callable[[Key], Thing], threads: int) -> None:
        self._make, self._threads = make, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="keras_vix_data")
        self._lock = Lock()
        self._pending: dict[Key, Future[Thing]] = {}

    def get(self, key: Key, following: Iterable[Key]) -> Thing:
        """The thing of `key`; those of `following` are begun. An exception of `make` comes out here."""
        with self._lock:
            old, self._pending = self._pending, {}
            for wanted in (key, *following):
                begun = wanted in old
                self._pending[wanted] = old.pop(wanted) if begun else self._pool.submit(self._make, wanted)
            present = self._pending.pop(key)
        for stale in old.values():
            stale.cancel()
        return present.result()

    def __reduce__(self):
        """A copy has threads of its own, and nothing pending."""
        return type(self), (self._make, self._threads)
