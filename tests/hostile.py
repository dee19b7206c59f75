"""Builders of files that try to do more than a model file, a data set or an experiment may."""

import contextlib
import io
import json
import stat
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn", "socket.connect")
WATCHED: list[list[str]] = []


def _heard(event, details):
    if WATCHED and (event in STARTS or (event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+"))):
        WATCHED[-1].append(f"{event} {details!r}"[:300])


sys.addaudithook(_heard)  # which cannot be taken out again


@contextlib.contextmanager
def watched():
    """Inside, every process, connection and file to write that Python starts or opens is noted in the list."""
    WATCHED.append([])
    try:
        yield WATCHED[-1]
    finally:
        WATCHED.pop()


def sound(folder: Path) -> Path:
    """A small compiled model in a file that nothing is wrong with."""
    path = folder / "sound.keras"
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(2, name="dense")(x), name="tiny")
    model.compile("sgd", "mse")
    model.save(path)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    """What a file holds, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, members: dict[str, bytes], *more, method: int = zipfile.ZIP_STORED) -> Path:
    """An archive of members, and of more pairs of a name (or its ZipInfo) and content, of which any may be there twice."""
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are there twice
        for name, content in (*members.items(), *more):
            archive.writestr(name, content)
    return path


def named(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    """A member of that very name, which may be no plain file."""
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr = name, (kind | 0o777) << 16
    return info


def claiming(path: Path, members: dict[str, bytes], size: int) -> Path:
    """An archive whose last member claims to unpack to `size` bytes and has one million in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("assets/zeros", np.random.default_rng(0).bytes(10**6))
        archive.filelist[-1].file_size = size
    return path


def config_with(members: dict[str, bytes], change) -> dict[str, bytes]:
    """The members with a config that `change` was given to change, or to answer with another."""
    config = json.loads(members[CONFIG])
    other = change(config)
    return members | {CONFIG: json.dumps(config if other is None else other).encode()}


def entry(module, name, config=None, registered=None) -> dict:
    """A class as a config names it."""
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": registered}


def function(module, name) -> dict:
    """A function as a config names it."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def layer(one) -> object:
    """A change that puts a layer in the place of the model's own."""

    def change(config):
        config["config"]["layers"][1] |= one

    return change


def activation(one) -> object:
    """A change that makes something the activation of the model's layer."""

    def change(config):
        config["config"]["layers"][1]["config"]["activation"] = one

    return change


def bytecode() -> dict:
    """Code as Keras writes that of a function without a name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that says how unsafe it is
        return keras.saving.serialize_keras_object(lambda x: __import__("os").system("touch made") or x)


def hdf5(fill) -> bytes:
    """An HDF5 file as bytes, which `fill` is given to fill."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()
