"""A model without values in its weights: shapes are known, nothing is allocated."""

import dataclasses
import threading
from collections.abc import Callable

import keras

from ..base import seed_kept
from .assemble import assemble
from .config import Config


def outline(config: Config, name: str) -> keras.Model:
    """What `assemble` would make of the same arguments, to be counted and not called: its weights have shapes and no values.

    Raises:
        ValueError: as `assemble`, for sizes that fit no model.
    """
    return without_values(lambda: assemble(dataclasses.replace(config, init="keras"), name))


def check(config: Config, name: str) -> None:
    """Raise what `assemble` would for parts that do not fit, before any weight has a value and any seed is drawn.

    Two blocks of each stage stand for all of them: the others repeat these.
    """
    with seed_kept():
        outline(dataclasses.replace(config, depth=tuple(min(depth, 2) for depth in config.depth)), name)


def without_values(make: Callable[[], keras.Model]) -> keras.Model:
    """The model that `make` returns, made so that none of its variables is given a value.

    Keras remembers such variables, and would give them values at the end of another scope; it does so for each thread apart,
    so that a thread of its own, which ends, leaves nothing behind.
    """
    found: dict = {}

    def run() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                found["model"] = make()
        except Exception as error:  # raised again by the caller's thread
            found["error"] = error

    thread = threading.Thread(target=run, name="keras_vix-outline")
    thread.start()
    thread.join()
    if "error" in found:
        raise found["error"]
    return found["model"]
