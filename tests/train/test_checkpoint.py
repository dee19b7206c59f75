"""Files that are whole at every moment, and what is not saved: F5, F8, F16."""

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.callbacks import AtomicModelCheckpoint
from keras_vix.train import checkpoint

BATCH = 4
NAMES = ("best.keras", "best.weights.h5")


def tiny(bias: float = 0.0) -> keras.Model:
    """`(batch, 3) -> (batch, 1)`, one Dense layer, compiled."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(bias))(inputs))
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
    return model


def numbers(samples: int = 2 * BATCH) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((samples, 3)).astype("float32"), rng.standard_normal((samples, 1)).astype("float32")


class Keep(keras.callbacks.Callback):
    """The weights at the end of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.epochs = [*getattr(self, "epochs", []), self.model.get_weights()]


class Poison(keras.utils.PyDataset):
    """Batches whose inputs are NaN from one step on; steps count from 1 through all epochs."""

    def __init__(self, step: int):
        super().__init__()
        self.step, self.epoch = step, 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        x, y = numbers(BATCH)
        return (x * np.nan if 2 * (self.epoch - 1) + index + 1 >= self.step else x), y

    def on_epoch_end(self):  # which Keras calls once before the first epoch as well
        self.epoch += 1


def equal(one, other) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other))


def weights_of(path) -> list:
    if path.suffix == ".keras":
        return keras_vix.load(path).get_weights()
    model = tiny()
    model.load_weights(path)
    return model.get_weights()


@pytest.mark.parametrize("name", NAMES)
def test_the_last_epoch_is_kept_and_the_one_before(name, tmp_path):
    keep = Keep()
    tiny().fit(*numbers(), epochs=3, verbose=0, callbacks=[keep, AtomicModelCheckpoint(tmp_path / "new" / name)])
    path = tmp_path / "new" / name
    assert equal(weights_of(path), keep.epochs[2]) and equal(weights_of(checkpoint.previous_of(path)), keep.epochs[1])
    assert sorted(os.listdir(path.parent)) == sorted([name, checkpoint.previous_of(path).name])


@pytest.mark.parametrize(("mode", "best"), [("min", 1), ("max", 2)])
def test_the_best_epoch_is_kept(mode, best, tmp_path):
    path = tmp_path / "best.keras"
    callback = AtomicModelCheckpoint(path, "figure", mode, save_best_only=True)
    callback.set_model(tiny())
    callback.on_train_begin()
    for epoch, figure in enumerate((0.5, 0.3, 0.7, float("nan"), float("inf"), float("-inf"))):
        callback.model.set_weights([np.full((3, 1), epoch, "float32"), np.zeros(1, "float32")])
        callback.on_epoch_end(epoch, {"figure": figure})
    assert weights_of(path)[0][0, 0] == best and callback.best == (0.3 if mode == "min" else 0.7)
    assert weights_of(checkpoint.previous_of(path))[0][0, 0] == 0


@pytest.mark.parametrize(
    ("monitor", "sign"), [("val_loss", 1), ("ce", 1), ("val_ce", 1), ("val_accuracy", -1), ("test_top5", -1), ("auc", -1)]
)
def test_auto_knows_the_usual_names(monitor, sign):
    assert checkpoint.direction(monitor, "auto") == sign
    assert checkpoint.direction(monitor, "min") == 1 and checkpoint.direction(monitor, "max") == -1


def test_a_value_to_beat(tmp_path):
    callback = AtomicModelCheckpoint(tmp_path / "a.keras", save_best_only=True, initial_value_threshold=0.2)
    callback.set_model(tiny())
    callback.on_epoch_end(0, {"val_loss": 0.3})
    assert not (tmp_path / "a.keras").exists()
    callback.on_epoch_end(1, {"val_loss": 0.1})
    assert (tmp_path / "a.keras").exists()


@pytest.mark.parametrize("best_only", [False, True])
@pytest.mark.parametrize(("step", "epochs"), [(1, 0), (3, 1), (4, 1)])
def test_f16_nan_in_training_leaves_the_last_finite_epoch(step, epochs, best_only, tmp_path):
    """NaN at step 1, at the first step of epoch 2, and at its last one."""
    path, keep = tmp_path / "best.keras", Keep()
    callbacks = [keep, AtomicModelCheckpoint(path, save_best_only=best_only), keras.callbacks.TerminateOnNaN()]
    tiny().fit(Poison(step), validation_data=numbers(BATCH), epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    assert len(keep.epochs) == epochs + 1 and path.exists() == bool(epochs)
    if epochs:
        assert equal(weights_of(path), keep.epochs[epochs - 1])


@pytest.mark.parametrize("monitor", ["val_loss", "loss", "val_accuracy"])
def test_f16_nan_in_validation_only_is_not_saved_whatever_is_monitored(monitor, tmp_path):
    path = tmp_path / "best.keras"
    callback = AtomicModelCheckpoint(path, monitor, save_best_only=True)
    callback.set_model(tiny())
    callback.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.5, "val_accuracy": 0.5})
    before = path.read_bytes()
    callback.on_epoch_end(1, {"loss": 0.1, "val_loss": float("nan"), "val_accuracy": 0.9})
    assert path.read_bytes() == before and not checkpoint.previous_of(path).exists()


def test_f16_weights_that_diverged_where_no_figure_has_yet_are_not_saved(tmp_path):
    callback = AtomicModelCheckpoint(tmp_path / "a.weights.h5")
    callback.set_model(tiny(bias=float("inf")))
    callback.on_epoch_end(0, {"loss": 0.5})
    assert os.listdir(tmp_path) == []


def test_a_monitor_that_is_not_there(tmp_path):
    model = tiny()
    with pytest.raises(ValueError, match="monitor='accuracy', and epoch 1 has loss"):
        callback = AtomicModelCheckpoint(tmp_path / "a.keras", "accuracy", save_best_only=True)
        model.fit(*numbers(), verbose=0, callbacks=[callback])
    callback = AtomicModelCheckpoint(tmp_path / "a.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="val_loss.*not saved") as said:
        model.fit(*numbers(), validation_data=numbers(), validation_freq=3, epochs=3, verbose=0, callbacks=[callback])
    assert sum("not saved" in str(warning.message) for warning in said) == 1 and (tmp_path / "a.keras").exists()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"filepath": "a.h5"}, ValueError, ".weights.h5"),
        ({"filepath": ".keras"}, ValueError, ".keras"),
        ({"filepath": "a{epoch}.keras"}, ValueError, "one file"),
        ({"monitor": 3}, TypeError, "monitor=3"),
        ({"mode": "least"}, ValueError, "mode='least'"),
        ({"monitor": "speed"}, ValueError, "monitor='speed'"),
        ({"save_best_only": 1}, TypeError, "save_best_only=1"),
        ({"initial_value_threshold": float("nan")}, ValueError, "nan"),
    ],
)
def test_arguments_that_make_no_sense(options, error, words):
    with pytest.raises(error, match=words):
        AtomicModelCheckpoint(**{"filepath": "a.keras", "save_best_only": True} | options)


def damage(content: bytes) -> dict[str, bytes]:
    """F8: cut short at four places, nothing, a text, zeros."""
    cuts = {f"first {cut}": content[:cut] for cut in (1, 100, len(content) // 2, len(content) - 1)}
    return cuts | {"empty": b"", "text": b"not a model\n" * 20, "zeros": bytes(len(content))}


@pytest.mark.parametrize("name", NAMES)
def test_f8_damaged_files_are_told_in_one_line(name, tmp_path):
    path = tmp_path / name
    checkpoint.save(tiny(), path)
    checkpoint.verify(path)
    for what, content in damage(path.read_bytes()).items():
        path.write_bytes(content)
        with pytest.raises(keras_vix.CheckpointError) as told:
            checkpoint.verify(path)
        message = str(told.value)
        assert f"exists, {len(content):,} bytes, not a valid" in message and name in message and "\n" not in message, what


def empty_archive(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")


def empty_hdf5(path, *groups):
    with h5py.File(path, "w") as file:
        for name in groups:
            file.create_group(name)


@pytest.mark.parametrize(
    ("name", "write", "held", "words"),
    [
        ("a.keras", empty_archive, (), "no config.json, metadata.json, model.weights in it"),
        ("a.keras", empty_archive, ("config.json", "metadata.json"), "ValueError: no model.weights in it"),
        ("a.weights.h5", empty_hdf5, (), "ValueError: no array in it"),
        ("a.weights.h5", empty_hdf5, ("layers/dense/vars",), "ValueError: no array in it"),
    ],
)
def test_f8_a_sound_file_without_a_model_is_told_as_such(name, write, held, words, tmp_path):
    write(tmp_path / name, *held)
    with pytest.raises(keras_vix.CheckpointError, match=f"must be whole.*{name}.*{words}"):
        checkpoint.verify(tmp_path / name)


def test_f8_load_says_so_and_falls_back_where_asked(tmp_path):
    path, model = tmp_path / "best.keras", tiny()
    checkpoint.save(model, path)
    whole = path.read_bytes()
    for content in damage(whole).values():
        path.write_bytes(content)
        with pytest.raises(keras_vix.CheckpointError, match="not a valid archive.*no best.previous.keras"):
            keras_vix.load(path, fall_back=True)
    path.write_bytes(whole)
    checkpoint.save(tiny(bias=1.0), path)
    for content in damage(path.read_bytes()).values():
        path.write_bytes(content)
        with pytest.raises(keras_vix.CheckpointError, match="fall_back=True takes best.previous.keras"):
            keras_vix.load(path)
        with pytest.warns(UserWarning, match="best.previous.keras is taken"):
            assert equal(keras_vix.load(path, fall_back=True).get_weights(), model.get_weights())
    checkpoint.previous_of(path).write_bytes(b"")
    with pytest.raises(keras_vix.CheckpointError, match="previous.keras', which exists, 0 bytes"):
        keras_vix.load(path, fall_back=True)


def test_f8_a_flipped_bit_is_found_or_changes_nothing(tmp_path):
    """Twenty places of the whole file; where none of the checksums covers one, such as a date, the model is the same."""
    path, model = tmp_path / "best.keras", tiny()
    checkpoint.save(model, path)
    whole = path.read_bytes()
    found = 0
    for place in np.linspace(0, len(whole) - 1, 20).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert equal(keras_vix.load(path).get_weights(), model.get_weights()), place
        except keras_vix.CheckpointError:
            found += 1
    assert found >= 15


def test_a_damaged_file_does_not_push_out_the_previous_one(tmp_path):
    path = tmp_path / "a.keras"
    for bias in (1.0, 2.0):
        checkpoint.save(tiny(bias), path)
    path.write_bytes(path.read_bytes()[:-50])
    checkpoint.save(tiny(3.0), path)
    assert weights_of(path)[1][0] == 3.0 and weights_of(checkpoint.previous_of(path))[1][0] == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_read_again_takes_nobodys_place(name, tmp_path, monkeypatch):
    path = tmp_path / name
    checkpoint.save(tiny(), path)
    whole = path.read_bytes()
    for writer in ("write_model", "write_weights"):
        monkeypatch.setattr(checkpoint, writer, lambda model, place: place.write_bytes(whole[: len(whole) // 2]))
    with pytest.raises(OSError, match="could not be saved: .*not a valid"):
        checkpoint.save(tiny(1.0), path)
    assert path.read_bytes() == whole and os.listdir(tmp_path) == [name]


def test_a_file_system_without_links_keeps_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    for bias in (1.0, 2.0):
        checkpoint.save(tiny(bias), tmp_path / "a.keras")
    assert weights_of(tmp_path / "a.previous.keras")[1][0] == 1.0
    assert sorted(os.listdir(tmp_path)) == ["a.keras", "a.previous.keras"]


FULL = """
import hashlib, os, pathlib, resource, sys
import keras_vix
from keras_vix.train import checkpoint
folder = pathlib.Path(sys.argv[1])
model = keras_vix.build("performer_exp", dataset="digits", depth=1)
def files():
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
for name in ("a.keras", "a.weights.h5"):
    checkpoint.save(model, folder / name)
    checkpoint.save(model, folder / name)
before = files()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in (100, 20_000, 65_000):
    for name in ("a.keras", "a.weights.h5"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            checkpoint.save(model, folder / name)
        except OSError as error:
            assert name in str(error) and "bytes are free" in str(error), error
        else:
            raise SystemExit(f"{name} was written in spite of the limit {limit}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert files() == before, (name, limit)
checkpoint.save(model, folder / "a.keras")
checkpoint.verify(folder / "a.keras")
print("fine")
"""


@pytest.mark.skipif(os.name != "posix", reason="a limit for files is set there")
def test_f5_a_full_disk_is_told_and_nothing_is_lost(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().endswith("fine"), done.stderr[-3000:]


def test_a_folder_that_may_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="could not be saved.*bytes are free.*file"):
        checkpoint.save(tiny(), tmp_path / "file" / "a.keras")


ENDLESS = """
import sys, keras, numpy as np
from keras_vix.callbacks import AtomicModelCheckpoint
inputs = keras.Input((64,))
model = keras.Model(inputs, keras.layers.Dense(2000)(inputs))
callback = AtomicModelCheckpoint(sys.argv[1])
callback.set_model(model)
callback.on_train_begin()
print("ready", flush=True)
for epoch in range(10**6):
    model.layers[-1].bias.assign(np.full(2000, epoch, "float32"))
    callback.on_epoch_end(epoch, {"loss": 1.0})
"""


def killed_while_saving(path, moments) -> None:
    """Start a process that saves without end, kill it at each moment (seconds after its first file), and look what is there."""
    backend = {"KERAS_BACKEND": "jax"} if importlib.util.find_spec("jax") else {}  # starts in half the time of TensorFlow
    options = {"stdout": subprocess.PIPE, "text": True, "env": os.environ | backend}
    for moment in moments:
        process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], **options)
        try:
            process.stdout.readline()
            deadline = time.monotonic() + 60
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(moment)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        checkpoint.verify(path)
        if checkpoint.previous_of(path).exists():
            checkpoint.verify(checkpoint.previous_of(path))
    AtomicModelCheckpoint(path).on_train_begin()
    assert not [name for name in os.listdir(path.parent) if "tmp" in name]


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_kill_while_saving_leaves_a_whole_file(tmp_path):
    killed_while_saving(tmp_path / "a.keras", (0.013, 0.101))


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    own, gone = (tmp_path / f".a[1].keras.{process}-00.tmp.keras" for process in (os.getpid(), 2**30))
    for path in (own, gone):
        path.write_text("")
    AtomicModelCheckpoint(tmp_path / "a[1].keras").on_train_begin()
    assert own.exists() and not gone.exists()
