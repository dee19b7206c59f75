"""Every wrong call is answered by one sentence that names the argument, the value and what is allowed, and leaves nothing behind."""

import os
import random
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
from keras.src.utils.rng_utils import get_random_seed

from .wrong_calls import NUMBERS, ROWS

BEFORE_WEIGHTS = range(1, 63)  # of `build` and layers


@pytest.fixture
def made(monkeypatch):
    """The weights that are given a value, by their paths."""
    found, initialise = [], keras.Variable._initialize

    def noting(self, *args, **options):
        found.append(self.path)
        return initialise(self, *args, **options)

    monkeypatch.setattr(keras.Variable, "_initialize", noting)
    return found


def state():
    """What a wrong call must leave as it was: files, the policy, seeds, processes."""
    generator = np.random.get_state()
    return {
        "files": {str(path): path.stat().st_mtime_ns for path in Path().rglob("*")},
        "policy": keras.config.dtype_policy().name,
        "python": random.getstate(),
        "numpy": (generator[0], generator[1].tolist(), *generator[2:]),
        "keras": get_random_seed(),
        "processes": {child.pid for child in psutil.Process().children(recursive=True)},
    }


def answer(row, given, capsys):
    """Make the call; the text that it is answered with."""
    if isinstance(row.error, int):
        code = row.call(*given)
        captured = capsys.readouterr()
        assert (code or 0) == row.error, captured.err
        return captured.err if row.error else captured.out
    if issubclass(row.error, Warning):
        with pytest.warns(row.error) as caught:
            row.call(*given)
        (only,) = caught
        return str(only.message)
    with pytest.raises(row.error) as caught:
        row.call(*given)
    return str(caught.value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_wrong_call(row, tmp_path, monkeypatch, capsys, made):
    monkeypatch.chdir(tmp_path)
    given = () if row.given is None else (row.given(),)
    capsys.readouterr()
    made.clear()
    before = state()
    text = answer(row, given, capsys)
    for word in row.words:
        assert word.replace("{cwd}", os.getcwd()) in text, text
    assert "Traceback" not in text
    after = state()
    warned = not isinstance(row.error, int) and issubclass(row.error, Warning)
    if warned:  # what was called has done its work, seeds and weights included
        before["python"] = after["python"]
    assert after == before
    if row.number in BEFORE_WEIGHTS and not isinstance(row.error, int) and not warned:
        assert made == []


def test_weights_are_seen(made):
    keras.layers.Dense(2).build((None, 3))
    assert len(made) == 2


def test_every_number_has_a_row():
    assert {row.number for row in ROWS} == set(NUMBERS)
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)
