"""An examination of the installation: what is there, what is missing, and whether training works."""

import importlib.metadata
import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .environment import environment, without_home

OLDEST_KERAS = (3, 15)
OPTIONAL = {
    "tensorflow_datasets": "data sets other than digits",
    "seaborn": "figures",
    "rich": "tables on the terminal",
    "filelock": "the benchmark",
    "psutil": "the check that the machine is idle",
}


class Finding(NamedTuple):
    """One line: what was looked at, whether it is good (None: good to know), and in words."""

    what: str
    good: bool | None
    words: str


def examine() -> Iterator[Finding]:
    """All findings, the quick ones first."""
    yield from surroundings()
    yield from packages()
    yield prepared_data()
    yield training_step()


def surroundings() -> Iterator[Finding]:
    """Keras, its backend, the device and the machine."""
    import keras

    found = environment()
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    wanted = ".".join(map(str, OLDEST_KERAS))
    yield Finding("keras", version >= OLDEST_KERAS, f"{keras.__version__} (needed: {wanted} or newer)")
    yield Finding("backend", True, f"{found['backend']} on {found['gpu'] or found['device']}, policy {found['policy']}")
    machine = f"{found['cpu']}, {found['cores']} cores, Python {found['python']}, {found['system']}"
    yield Finding("machine", True, machine)
    others = found["others_percent"] or 0
    yield Finding("load", None if others > 20 else True, f"{others:.0f} % of the machine is in use by other programs")


def packages() -> Iterator[Finding]:
    """Each optional package: its version, or what does not work without it."""
    for name, use in OPTIONAL.items():
        if importlib.util.find_spec(name) is None:
            yield Finding(name, None, f"not installed; needed for {use}")
        else:
            yield Finding(name, True, importlib.metadata.version(name.replace("_", "-")))


def prepared_data() -> Finding:
    """Which data sets lie ready, so that no download is needed."""
    folder = Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")
    names = sorted(place.name for place in folder.iterdir() if place.is_dir()) if folder.is_dir() else []
    return Finding("data", True, f"{', '.join(['digits (built in)', *names])}; {without_home(str(folder))}")


def training_step() -> Finding:
    """One training step of a small model on real digits."""
    try:
        import numpy as np

        from .. import build
        from ..data import load

        begin = time.perf_counter()
        x, y = load("digits", limit=100).train
        model = build("performer_softmax", dataset="digits")
        loss = model.train_on_batch(x[:16], y[:16], return_dict=True)["loss"]
        seconds = time.perf_counter() - begin
    except Exception as error:
        return Finding("training", False, f"{type(error).__name__}: {error}")
    words = f"one step on digits, loss {loss:.3f}, {seconds:.1f} s with compiling"
    return Finding("training", bool(np.isfinite(loss)), words)
