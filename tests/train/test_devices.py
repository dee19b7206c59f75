"""Several devices compute what one computes; calls that make no sense; batches that devices divide."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_vix.data import Split, batches
from keras_vix.train import devices

PROGRAM = Path(__file__).parent / "devices_program.py"


def apart(backend: str, case: str, folder: Path) -> dict[str, float]:
    """How far training on two devices is from training on one, in a process of its own."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    command = [sys.executable, str(PROGRAM), case, str(folder)]
    root = str(Path(devices.__file__).parents[2])
    surroundings = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": root}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=230)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.long
def test_two_devices_are_one(tmp_path):
    """Clipped gradients, random features that are redrawn, averaged weights, smaller last batches, the saved file on one device."""
    assert_equal(apart("tensorflow", "exact", tmp_path))


def assert_equal(found: dict[str, float]) -> None:
    """Curves, test figures and outputs differ by rounding only."""
    assert found.pop("loss_1") > 0 and found.pop("loss_2") > 0
    assert set(found) >= {"loss", "val_loss", "val_ce", "val_accuracy", "outputs", "file"}
    assert {key: value for key, value in found.items() if value > 1e-4} == {}


def split(images: int) -> Split:
    return Split(np.arange(images, dtype="float32").reshape(images, 1, 1, 1), np.arange(images) % 10)


@pytest.mark.parametrize(("images", "sizes"), [(12, [4, 4, 4]), (14, [4, 4, 4]), (15, [4, 4, 4]), (13, [4, 4, 4]), (3, [])])
def test_what_is_cut(images, sizes):
    cut = devices.cut(batches(split(images), 4), 4)
    assert [len(cut[index][0]) for index in range(len(cut))] == sizes
    assert cut.images == sum(sizes)


def test_a_last_batch_is_cut_to_a_multiple():
    cut = devices.cut(batches(split(15), 4), 2)
    assert [len(cut[index][1]) for index in range(len(cut))] == [4, 4, 4, 2] and cut.images == 14
    cut.on_epoch_end()
    assert cut.batches.epoch == 1


@pytest.mark.parametrize("images", [8, 9, 11])
def test_padded_means_are_those_of_the_images(images):
    padded = devices.padded(batches(split(images), 4), 4)
    parts = [padded[index] for index in range(len(padded))]
    assert all(len(x) == len(y) == len(weight) == 4 for x, y, weight in parts)
    x, y, weight = (np.concatenate(part) for part in zip(*parts))
    assert np.array_equal(x[:images].ravel(), np.arange(images)) and (x[images:] == images - 1).all()
    values = np.random.default_rng(0).standard_normal(len(x))
    assert padded.images == images and np.isclose((values * weight).mean(), values[:images].mean())
    assert np.isclose((values * weight).sum() / weight.sum(), values[:images].mean())


def test_one_device_changes_nothing():
    own = batches(split(5), 4)
    assert devices.present() == 1 and devices.cut(own) is own and devices.padded(own) is own
    optimizer = keras.optimizers.AdamW(clipnorm=1.0)
    assert devices.together(optimizer) is optimizer and "_clip_gradients" not in vars(optimizer)
    with devices.parallel(1, batch_size=7):
        assert devices.present() == 1


@pytest.mark.parametrize(
    ("number", "options", "error", "words"),
    [
        (0, {}, ValueError, "devices=0"),
        (True, {}, TypeError, "devices=True"),
        (2.0, {}, TypeError, "devices=2.0"),
        (2, {"batch_size": 33, "backend": "jax"}, ValueError, "batch_size=33; take for example batch_size=32"),
        (2, {"backend": "torch"}, ValueError, "devices=2, backend='torch'; set KERAS_BACKEND=jax"),
    ],
)
def test_calls_that_make_no_sense(number, options, error, words):
    with pytest.raises(error, match=words):
        devices.check(number, **options)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="refused before devices are counted")
def test_more_devices_than_there_are():
    with pytest.raises(ValueError, match="devices=64; found"):
        with devices.parallel(64):
            pass
    assert devices.present() == 1
