"""An examination of the installation: what is there, what is missing, whether data is whole, and whether training works."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .environment import environment, discreet

OLDEST_KERAS = (3, 15)
LITTLE = 5 * 2**30  # bytes; with less free, a benchmark or a data set may fill the disk
OPTIONAL = {
    "tensorflow_datasets": "data sets other than digits",
    "PIL": "images in files, and sets of TensorFlow Datasets",
    "seaborn": "figures",
    "rich": "tables on the terminal",
    "filelock": "the benchmark",
    "psutil": "the check that the machine is idle",
}
DISTRIBUTIONS = {"PIL": "pillow"}


class Finding(NamedTuple):
    """One line: what was looked at, whether it is good (None: good to know), and in words."""

    what: str
    good: bool | None
    words: str


def examine(data: Sequence[str] = (), redownload: bool = False) -> Iterator[Finding]:
    """All findings, the quick ones first.

    Args:
        data: data sets to look through for damage, as `keras_vix.data.verify` takes them.
        redownload: whether those that are damaged are prepared anew.
    """
    yield from surroundings()
    yield threads()
    yield from packages()
    yield from extras()
    yield prepared_data()
    yield from disks()
    for name in data:
        yield from whole(name, redownload)
    yield training_step()


def surroundings() -> Iterator[Finding]:
    """Keras, its backend, the devices and the machine."""
    import keras

    found = environment()
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    wanted = ".".join(map(str, OLDEST_KERAS))
    yield Finding("keras", version >= OLDEST_KERAS, f"{keras.__version__} (needed: {wanted} or newer)")
    yield Finding("versions", True, ", ".join(f"{name} {number}" for name, number in found["packages"].items()))
    yield Finding("backend", True, f"{found['backend']} on {found['gpu'] or found['device']}, policy {found['policy']}")
    yield Finding("devices", True, devices())
    machine = f"{found['cpu']}, {found['cores']} cores, Python {found['python']}, {found['system']}"
    yield Finding("machine", True, machine)
    others = found["others_percent"] or 0
    yield Finding("load", None if others > 20 else True, f"{others:.0f} % of the machine is in use by other programs")


def devices() -> str:
    """What the backend can compute on."""
    import keras

    try:
        return ", ".join(keras.distribution.list_devices()) or "none that the backend lists"
    except Exception as error:  # a backend without such a list
        return f"not listed by the backend ({type(error).__name__})"


def threads() -> Finding:
    """How many threads the backend uses, as far as it says."""
    import keras

    words = [f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}"]
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        for kind in ("intra", "inter"):
            number = getattr(tf.config.threading, f"get_{kind}_op_parallelism_threads")()
            words.append(f"TensorFlow {kind}-op {number or 'automatic'}")
    elif keras.config.backend() == "torch":
        import torch

        words.append(f"torch {torch.get_num_threads()}")
    return Finding("threads", True, ", ".join(words))


def packages() -> Iterator[Finding]:
    """Each optional package: its version, or what does not work without it."""
    for name, use in OPTIONAL.items():
        if importlib.util.find_spec(name) is None:
            yield Finding(name, None, f"not installed; needed for {use}")
        else:
            yield Finding(name, True, importlib.metadata.version(DISTRIBUTIONS.get(name, name.replace("_", "-"))))


def extras() -> Iterator[Finding]:
    """Each extra of this package: what it would install that is not there."""
    try:
        wanted = importlib.metadata.requires("keras-vix") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("extras", None, "keras-vix itself is not installed, only on the path, so its extras are not known")
        return
    missing: dict[str, list[str]] = {}
    for line in wanted:
        name, extra = re.match(r"[\w.-]+", line)[0], re.search(r"extra == .([\w-]+).", line)
        if extra:
            missing.setdefault(extra[1], []).extend([name] if not installed(name) else [])
    for extra, names in missing.items():
        words = f"without {', '.join(names)}; pip install 'keras-vix[{extra}]'" if names else "complete"
        yield Finding(f"extra {extra}", None if names else True, words)


def installed(distribution: str) -> bool:
    """Whether a package of that name is installed, whatever its version."""
    try:
        return bool(importlib.metadata.version(distribution))
    except importlib.metadata.PackageNotFoundError:
        return False


def prepared_data() -> Finding:
    """Which data sets lie ready, so that no download is needed, and what a stopped preparation left."""
    from ..data.catalogue import data_folder

    try:
        folder = data_folder(None)
    except NotADirectoryError as error:
        return Finding("data", False, str(error))
    marks = sorted((*folder.glob("*/*/dataset_info.json"), *folder.glob("*/*/*/dataset_info.json"))) if folder.is_dir() else []
    names = [" ".join(mark.parent.relative_to(folder).parts) for mark in marks if ".damaged" not in mark.parent.name]
    left = [str(place.relative_to(folder)) for depth in ("*", "*/*") for place in folder.glob(f"{depth}/incomplete.*")]
    words = f"{', '.join(['digits (built in)', *names])}; {discreet(str(folder))}"
    if left:
        words += f"; {', '.join(left)} is of a preparation that was stopped: delete it if none is running"
    return Finding("data", None if left else True, words)


def disks() -> Iterator[Finding]:
    """How much room is left where data sets and results go."""
    from ..data.catalogue import data_folder

    for what, folder in (("disk of data", data_folder), ("disk of results", lambda _: Path("runs"))):
        try:
            wanted = folder(None).absolute()
            nearest = next(place for place in (wanted, *wanted.parents) if place.exists())
            free = shutil.disk_usage(nearest).free
        except OSError as error:
            yield Finding(what, None, discreet(str(error)))
            continue
        little = "; little for a data set or many checkpoints" if free < LITTLE else ""
        yield Finding(what, None if little else True, f"{free / 2**30:.1f} GiB free in {discreet(str(nearest))}{little}")


def whole(name: str, redownload: bool = False) -> Iterator[Finding]:
    """Whether a data set is undamaged; if it is not, and if it may be, it is prepared anew."""
    from ..data import verify
    from ..data.catalogue import data_folder, renew

    begin = time.perf_counter()
    try:
        verdict = verify(name)
    except (ValueError, OSError) as error:
        yield Finding(f"data {name}", False, str(error))
        return
    for problem in verdict.problems:
        yield Finding(f"data {name}", None if redownload else False, problem)
    if not verdict.problems:
        absent = verdict.words.startswith("not on")
        yield Finding(f"data {name}", None if absent else True, f"{verdict.words}, {time.perf_counter() - begin:.1f} s")
    elif redownload:
        try:
            renew(name, data_folder(None))
            problems, words = verify(name).problems, "prepared anew"
        except (ValueError, OSError, ImportError) as error:
            problems, words = (str(error),), ""
        yield Finding(f"data {name}", not problems, "; ".join(problems) or words)


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
