"""Files of earlier releases: each loads, and gives what it gave when it was written."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.zoo.config import AXES

from . import golden
from .laws import feed

FILES = sorted(golden.FOLDER.glob("*/*.keras"))
# The largest output is 1: what is left is rounding, in the order in which a machine and a backend add
TOLERANCE = {"tensorflow": 2e-6, "jax": 1e-5, "torch": 1e-5}[keras.config.backend()]


def test_every_registered_part_has_a_file():
    """A new part fails here until `python -m tests.golden` has written its file."""
    written = {tuple(name.split("-")[0].split(".")[:2]) for name in golden.recipes() if f"{name}.keras" in {path.name for path in FILES}}
    assert written >= {(axis, name) for axis, table in AXES.items() for name, part in table.items() if part is not None}


def outputs(model, arrays):
    """On JAX compiled as a whole: operation by operation takes four minutes."""
    if keras.config.backend() != "jax":
        return model(feed(arrays), training=False)
    import jax

    return jax.jit(lambda x: model(x, training=False))(feed(arrays))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_gives_what_it_gave(path):
    assert path.stat().st_size <= golden.LIMIT
    with np.load(path.with_suffix(".npz")) as kept:
        assert kept["version"] == path.parent.name
        arrays, expected = ([kept[name] for name in kept.files if name.startswith(start)] for start in ("in_", "out_"))
    model = keras_vix.load(path)
    found = [ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs(model, arrays))]
    assert len(found) == len(expected) >= 1
    for one, other in zip(found, expected):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= TOLERANCE * np.abs(other).max()


def test_a_file_is_written_once_and_alike(tmp_path, monkeypatch):
    name = "kernel.performer-positive"
    recipe = golden.recipes()[name]
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.setattr(golden, "recipes", lambda: {name: recipe})
    golden.main([])
    path = tmp_path / keras_vix.__version__ / f"{name}.keras"
    with np.load(path.with_suffix(".npz")) as kept:
        first = dict(kept)
    path.write_bytes(b"another")
    golden.main([])
    assert path.read_bytes() == b"another"
    golden.main(["--again", name])
    assert keras_vix.load(path).count_params() == 8 * 4 + 1
    with np.load(path.with_suffix(".npz")) as kept:
        assert kept.files == list(first) and all(np.array_equal(kept[key], first[key]) for key in first)
