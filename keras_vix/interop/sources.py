"""Tensors by name from files, folders and the hub. Nothing here runs what a file says: no pickle is ever opened."""

import hashlib
import json
import os
import pathlib
import shlex
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import checks
from .hub import PREFIX, fetch

PICKLES = frozenset({".bin", ".pth", ".pt", ".ckpt", ".pkl", ".pickle"})
INDEX = ".safetensors.index.json"
BLOCK = 1 << 20  # bytes that are hashed at once

CONVERT = """Convert it where you trust it, with torch and safetensors:
python -c "import sys, torch; from safetensors.torch import save_file; s = torch.load(sys.argv[1], weights_only=True); \
s = s.get('model', s.get('state_dict', s)); \
save_file({k.removeprefix('module.'): v.clone().contiguous() for k, v in s.items() if hasattr(v, 'shape')}, sys.argv[2])" """


def read(source, revision: str | None = None, sha256: str | None = None) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by their names there; floats of 16 bits whose type NumPy lacks are float32.

    >>> np.savez("weights.npz", kernel=np.ones((3, 4)))
    >>> {name: array.shape for name, array in keras_vix.interop.read("weights.npz").items()}
    {'kernel': (3, 4)}

    Args:
        source: path of a `.safetensors` or `.npz` file, of a `.safetensors.index.json` beside its shards, or of a folder with
            `model.safetensors`, such an index, or just one file of these kinds; or `"hf:owner/name"`, `"hf:owner/name/file"`,
            what the hub has under that name (`hub.fetch`); or the tensors themselves.
        revision: of a hub name.
        sha256: hexadecimal, of the file, which is refused if it has another.

    Raises:
        TypeError: `source` is none of these.
        FileNotFoundError: nothing is there, or it cannot be fetched.
        ValueError: it is a pickle, cut short, damaged, of another kind, or has another hash; shards are missing.
        ImportError: a package is missing; the message names the command that installs it.
    """
    if isinstance(source, Mapping):
        return {name: np.asarray(value) for name, value in source.items()}
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"`source` must be a path or a hub name. Received: source={source!r}.")
    if str(source).startswith(PREFIX):
        path, sha256 = fetch(str(source), revision, sha256)
    elif revision is not None:
        raise ValueError(f"`revision` is for hub names, {PREFIX}owner/name. Received: revision={revision!r}, source={source!r}.")
    else:
        path = pathlib.Path(source)
    path = inside(path) if path.is_dir() else path
    refuse_pickle(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint at {path.absolute()}.")
    if sha256 is not None:
        check_hash(path, sha256)
    if path.name.endswith(INDEX):
        return read_shards(path)
    if path.suffix not in READERS:
        raise ValueError(f"A checkpoint ends in {' or '.join(READERS)}. Received: source={str(path)!r}.")
    return READERS[path.suffix](path)


def inside(folder: pathlib.Path) -> pathlib.Path:
    """The checkpoint in a folder."""
    for name in ("model.safetensors", "model" + INDEX):
        if (folder / name).is_file():
            return folder / name
    files = sorted(path for path in folder.iterdir() if path.is_file())
    fit = [path for path in files if path.suffix in READERS]
    if len(fit) == 1:
        return fit[0]
    if not fit:
        for path in files:
            refuse_pickle(path)
    names = ", ".join(path.name for path in fit or files) or "nothing"
    wanted = f"A folder holds model.safetensors, model{INDEX} with its shards, or one file ending in {' or '.join(READERS)}"
    raise FileNotFoundError(f"{wanted}. Received: source={str(folder)!r} with {names}; name the file.")


def refuse_pickle(path: pathlib.Path) -> None:
    """Refuse what would have to be opened as a pickle."""
    if path.suffix in PICKLES:
        reason = "a pickle, which can run any code while it is read"
        files = f"{shlex.quote(str(path))} {shlex.quote(str(path.with_suffix('.safetensors')))}"
        ends = " or ".join(READERS)
        raise ValueError(f"A checkpoint ends in {ends}. Received: source={str(path)!r}, {reason}. {CONVERT}{files}")


def check_hash(path: pathlib.Path, sha256: str) -> None:
    """Refuse a file of another SHA-256."""
    if path.name.endswith(INDEX):
        raise ValueError(f"`sha256` is of one file. Received: sha256={sha256!r} for the shards of {path.name}.")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != sha256.lower():
        raise ValueError(f"The file must have sha256={sha256}. Received: {path}, {digest.hexdigest()}; nothing was loaded.")


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a `.safetensors` file."""
    package = checks.package("safetensors", "Reading .safetensors files")
    numpy = checks.package("safetensors.numpy", "Reading .safetensors files")
    checks.package("ml_dtypes", "Reading bfloat16")  # gives NumPy the type; Keras needs it too
    try:
        tensors = numpy.load_file(path)
    except (package.SafetensorError, ValueError, TypeError, KeyError, OSError) as error:
        raise damaged(path, error) from error
    return {name: value.astype("float32") if value.dtype.name == "bfloat16" else value for name, value in tensors.items()}


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file; two bytes without a type are bfloat16, as JAX writes it."""
    if not zipfile.is_zipfile(path):
        raise damaged(path, "it is no zip archive, or its end is missing")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error
    return {name: from_bfloat16(value) if value.dtype == "V2" else value for name, value in arrays.items()}


def from_bfloat16(x: np.ndarray) -> np.ndarray:
    """Float32 of bfloat16, which is its upper half."""
    return (x.view("uint16").astype("uint32") << 16).view("float32")


READERS = {".safetensors": read_safetensors, ".npz": read_npz}


def read_shards(index: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of all shards that an index names, which lie beside it."""
    try:
        places: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(index, error) from error
    if odd := [shard for shard in shards if not isinstance(shard, str) or pathlib.PurePath(shard).name != shard]:
        raise ValueError(f"Shards lie beside their index. Received: {index} with {', '.join(map(repr, odd))}.")
    if absent := [shard for shard in shards if not (index.parent / shard).is_file()]:
        raise ValueError(f"An index needs all its shards. Received: {index} without {', '.join(absent)}; nothing was loaded.")
    for shard in shards:
        refuse_pickle(index.parent / shard)
    tensors = {name: value for shard in shards for name, value in read_safetensors(index.parent / shard).items()}
    if lost := [name for name in places if name not in tensors]:
        raise ValueError(f"Shards must hold what their index says. Received: {index}, without {', '.join(lost)}.")
    return tensors


def damaged(path: pathlib.Path, error) -> ValueError:
    """What to raise for a file that cannot be read."""
    return ValueError(f"A checkpoint must be whole. Received: {path}, which cannot be read: {error}. Fetch it again.")
