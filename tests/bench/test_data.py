"""The benchmark on images that are not in the list, and what is found before anything is run."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_vix import cli
from keras_vix.bench import doctor, preflight
from keras_vix.bench.child import measure
from keras_vix.bench.unit import Unit
from keras_vix.data import damage


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def pets(elsewhere):
    """Two classes, red and blue, in many shapes."""
    rng = np.random.default_rng(0)
    for name, colour in (("cat", (220, 30, 30)), ("dog", (30, 30, 220))):
        for part, count in (("train", 24), ("val", 6)):
            folder = elsewhere / "pets" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                shape = (int(rng.integers(20, 30)), int(rng.integers(20, 30)), 3)
                Image.fromarray(np.clip(rng.normal(colour, 20, shape), 0, 255).astype(np.uint8)).save(folder / f"{number}.jpg")
    return "./pets"


TINY = {"depth": 1, "dim": 16, "num_heads": 2, "input_shape": [12, 12, 3]}


@pytest.mark.long
def test_a_unit_on_a_folder(pets):
    row = measure(Unit("transformer_global", pets, epochs=2, batch_size=12, overrides=TINY))
    assert row["status"] == "done" and row["train_images"] == 43 and row["test_images"] == 12
    assert list(row["config"]["input_shape"]) == [12, 12, 3]
    assert row["config"]["classes"] == 2 and row["dataset"] == "./pets"


@pytest.mark.long
def test_listed_images_are_resized_to_the_shape_of_the_model():
    row = measure(Unit("transformer_global", "digits", epochs=1, limit=60, overrides={**TINY, "input_shape": [16, 16, 1]}))
    assert row["status"] == "done" and list(row["config"]["input_shape"]) == [16, 16, 1]


def test_the_plan_needs_no_run(pets, elsewhere, capsys):
    before = sorted(elsewhere.rglob("*"))
    call = ["bench", "--dataset", pets, "--models", "transformer_global", "--set", "input_shape=[12,12,3]", "--dry-run"]
    assert cli.main(call) == 0
    text = capsys.readouterr().out
    assert "1 rows into runs/pets" in text and sorted(elsewhere.rglob("*")) == before
    assert cli.main(["bench", "--dataset", pets, "--models", "transformer_global", "--dry-run"]) == 2
    assert "--set input_shape=[height,width,channels]" in capsys.readouterr().err


@pytest.mark.parametrize("name, classes", [("imagenette", 10), ("imagenet100", 100), ("places365_small", 365)])
def test_listed_photographs_are_planned_without_the_images(name, classes):
    ((_, description),) = preflight.check([Unit("transformer_global", name)])
    assert description.config["input_shape"] == (224, 224, 3) and description.config["classes"] == classes


@pytest.mark.parametrize("name", ["./nothing", "../secret", "cifar-10", "no_such_set_of_images"])
def test_what_is_no_data_set_is_refused(name, capsys, elsewhere):
    assert cli.main(["bench", "--dataset", name]) == 2
    error = capsys.readouterr().err
    assert "dataset must be one of" in error and repr(name) in error and not list(elsewhere.iterdir())


def test_a_damaged_set_is_refused_before_anything_is_written(elsewhere, capsys):
    pytest.importorskip("tensorflow_datasets")
    from tests.data.test_preparing import flipped, write

    place = write(elsewhere / "data")
    call = ["bench", "--dataset", "tiny", "--models", "transformer_global", "--set", "depth=1", "--out", "out"]
    flipped(place)
    assert cli.main(call) == 2
    assert "doctor --data tiny --redownload" in capsys.readouterr().err and not (elsewhere / "out").exists()


@pytest.mark.parametrize("shards, more", [(1, ""), (3, " (3 problems; keras-vix doctor --data mnist prints all.)")])
def test_a_listed_set_is_looked_at_too(elsewhere, capsys, shards, more):
    """Its facts are known without its files, of which none is there."""
    place = elsewhere / "data/mnist/3.0.1"
    place.mkdir(parents=True)
    (place / "features.json").write_text("{}")
    (place / "dataset_info.json").write_text(json.dumps({"name": "mnist", "splits": [{"name": "train", "shardLengths": ["5"] * shards}]}))
    assert cli.main("bench --dataset mnist --models performer_relu:m=8 --out out".split()) == 2
    error = capsys.readouterr().err
    first = place / f"mnist-train.tfrecord-00000-of-{shards:05}"
    assert f"The data set 'mnist' is damaged. All files of a set are needed. Received: '{first}', which is missing." in error
    assert error.endswith(f"prepare the set anew.{more}\n") and not (elsewhere / "out").exists()


def test_a_set_that_cannot_be_downloaded_is_told_as_that(capsys, monkeypatch):
    """Not as a name that is none."""
    tfds = pytest.importorskip("tensorflow_datasets")

    def closed(*_, **__):
        raise RuntimeError("closed on Sundays")

    monkeypatch.setattr(tfds, "builder", closed)
    assert cli.main(["bench", "--dataset", "kmnist", "--models", "performer_relu:m=8"]) == 2
    error = capsys.readouterr().err
    assert "The data set 'kmnist' is needed on this machine" in error and "RuntimeError: closed on Sundays" in error
    assert "dataset must be one of" not in error


def test_damage_is_looked_for_once_a_set(monkeypatch):
    asked = []
    monkeypatch.setattr("keras_vix.data.verify", lambda name, full: asked.append((name, full)) or damage.Verdict(name, (), ""))
    preflight.check_data([Unit("performer_relu"), Unit("linformer"), Unit("linformer", "mnist")])
    assert asked == [("digits", False), ("mnist", False)]


# The doctor -------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Without the training step, which has its own tests."""
    monkeypatch.setattr(doctor, "training_step", lambda: doctor.Finding("training", True, "left out"))


def test_the_doctor_looks_through_data(elsewhere, capsys, quick):
    pytest.importorskip("tensorflow_datasets")
    from tests.data.test_preparing import flipped, write

    place = write(elsewhere / "data")
    assert cli.main(["doctor", "--data", "tiny", "--data", "digits", "--data", "cifar100"]) == 0
    text = capsys.readouterr().out
    assert "ok   data tiny: 80 records in 2 files, every checksum compared" in text and "tiny 1.0.0" in text
    assert "ok   data digits: comes with this package" in text and "note data cifar100: not on this machine" in text
    flipped(place)
    assert cli.main(["doctor", "--data", "tiny"]) == 1
    assert "FAIL data tiny: Records as they were written are needed" in capsys.readouterr().out
    assert cli.main(["doctor", "--data", "TINY"]) == 1
    assert "FAIL data TINY: A data set's name" in capsys.readouterr().out


def test_the_doctor_downloads_a_damaged_set_anew(elsewhere, capsys, quick, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    from tests.data.test_preparing import flipped, write

    place = write(elsewhere / "data")
    flipped(place)

    def renew(name, folder):
        shutil.rmtree(place)
        return write(folder)

    monkeypatch.setattr("keras_vix.data.catalogue.renew", renew)
    assert cli.main(["doctor", "--data", "tiny", "--redownload"]) == 0
    text = capsys.readouterr().out
    assert "note data tiny: Records as they" in text and "ok   data tiny: prepared anew" in text
    assert cli.main(["doctor", "--redownload"]) == 2
    assert "--data NAME" in capsys.readouterr().err


def test_the_doctor_as_json(capsys, quick):
    assert cli.main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(set(finding) == {"what", "good", "words"} for finding in found)
    assert {"keras", "versions", "backend", "devices", "threads", "data", "disk of data", "disk of results", "training"} <= {f["what"] for f in found}


def test_extras_say_what_is_missing(monkeypatch):
    wanted = ["keras>=3", "no-such-package>=1; extra == 'strange'", "numpy>=2; extra == 'strange'", "numpy; extra == 'plain'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: wanted)
    found = {finding.what: finding for finding in doctor.extras()}
    assert found["extra strange"].good is None and found["extra plain"] == ("extra plain", True, "complete")
    assert found["extra strange"].words == "without no-such-package; pip install 'keras-vix[strange]'"


def test_a_full_disk_and_a_stopped_preparation_are_noted(elsewhere, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 2**30})())
    assert [(finding.good, "little" in finding.words) for finding in doctor.disks()] == [(None, True)] * 2
    (elsewhere / "data/mnist/incomplete.ABC_3.0.1").mkdir(parents=True)
    assert doctor.prepared_data().good is None and "mnist/incomplete.ABC_3.0.1" in doctor.prepared_data().words
