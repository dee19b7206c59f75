"""Sets by name through TensorFlow Datasets: real ones where they are, small ones written here. No network."""

import sys

import numpy as np
import pytest

from keras_vix.data import DatasetUnavailable, load
from keras_vix.facts import DATASETS

tfds = pytest.importorskip("tensorflow_datasets")


FEATURES = {
    "image": tfds.features.Image(shape=(6, 6, 1)),
    "label": tfds.features.ClassLabel(names=["ant", "bee", "cat", "dog"]),
}
UNEVEN = FEATURES | {"image": tfds.features.Image(shape=(None, None, 1))}


def write(folder, name="tiny", version="1.0.0", splits=("train",), features=FEATURES, count=20, taller=0):
    """A small set prepared by TensorFlow Datasets itself; image k is full of k and of class k % 4.

    `taller` lets the height of the images grow by one pixel up to so many.
    """
    rows = [
        {"image": np.full((6 + k % (taller + 1), 6, 1), k, np.uint8), "label": k % 4} for k in range(count)
    ]
    rows = [dict(zip(features, row.values())) for row in rows]
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=version,
        data_dir=str(folder),
        split_datasets={split: list(enumerate(rows)) for split in splits},
        features=tfds.features.FeaturesDict(features),
        disable_shuffling=True,
    )


@pytest.mark.long
def test_mnist(mnist):
    assert [len(split.y) for split in (mnist.train, mnist.validation, mnist.test)] == [54000, 6000, 10000]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (np.bincount(mnist.train.y) + np.bincount(mnist.validation.y)).tolist() == counts
    assert np.abs(np.bincount(mnist.validation.y) - np.array(counts) / 10).max() < 1
    assert np.bincount(mnist.test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.facts == DATASETS["mnist"] and mnist.train.x.dtype == np.uint8


@pytest.mark.long
def test_cifar10(cifar10):
    assert np.bincount(cifar10.train.y).tolist() == [4500] * 10
    assert np.bincount(cifar10.validation.y).tolist() == [500] * 10
    assert np.bincount(cifar10.test.y).tolist() == [1000] * 10
    assert cifar10.facts == DATASETS["cifar10"] and cifar10.train.x.shape[1:] == (32, 32, 3)


@pytest.mark.long
@pytest.mark.parametrize("name", ["mnist", pytest.param("cifar10", marks=pytest.mark.long)])
def test_statistics_are_those_of_the_training_images(name, request):
    data = request.getfixturevalue(name)
    pixels = np.concatenate([data.train.x, data.validation.x]).reshape(-1, data.facts.input_shape[2])
    for channel, values in enumerate(pixels.T):
        # A histogram is exact and small, whatever the number of images.
        share = np.bincount(values, minlength=256) / len(values)
        mean = share @ np.arange(256) / 255
        deviation = np.sqrt(share @ (np.arange(256) / 255 - mean) ** 2)
        assert data.facts.mean[channel] == pytest.approx(mean, abs=5e-4)
        assert data.facts.std[channel] == pytest.approx(deviation, abs=5e-4)


def numbers(split):
    return split.x[:, 0, 0, 0].tolist()


def test_an_unlisted_set_and_its_facts(tmp_path):
    write(tmp_path, splits=("train", "validation", "test"))
    data = load("tiny", data_dir=tmp_path, download=False)
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [18, 2, 20]
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(20))
    assert (data.train.y == np.array(numbers(data.train)) % 4).all()
    facts = data.facts
    assert (facts.name, facts.input_shape, facts.classes, facts.flip) == ("tiny", (6, 6, 1), 4, False)
    assert facts.class_names == ("ant", "bee", "cat", "dog") and "tiny/1.0.0" in facts.source
    assert facts.mean[0] == pytest.approx(np.arange(20).mean() / 255, abs=1e-5)
    assert facts.std[0] == pytest.approx(np.arange(20).std() / 255, abs=1e-5)


def test_a_validation_part_serves_as_test_part(tmp_path):
    write(tmp_path, splits=("train", "validation"))
    data = load("tiny", data_dir=tmp_path, validation=0)
    assert numbers(data.test) == list(range(20)) == numbers(data.train)


def test_without_any_other_part_a_fixed_fifth_is_held_out(tmp_path):
    write(tmp_path)
    first, other = (load("tiny", data_dir=tmp_path, validation=0, seed=seed) for seed in (0, 1))
    assert np.bincount(first.test.y).tolist() == [1] * 4
    assert numbers(first.test) == numbers(other.test)
    assert sorted(numbers(first.train) + numbers(first.test)) == list(range(20))


def test_versions(tmp_path):
    for version, count in (("1.9.0", 20), ("1.10.0", 24)):
        write(tmp_path, version=version, count=count, splits=("train", "test"))
    assert len(load("tiny", data_dir=tmp_path).test.y) == 24
    assert len(load("tiny:1.9.0", data_dir=tmp_path).test.y) == 20


def test_images_of_many_shapes_need_a_size(tmp_path):
    write(tmp_path, features=UNEVEN, taller=3, splits=("train", "test"))
    with pytest.raises(ValueError, match="give image_size"):
        load("tiny", data_dir=tmp_path)
    data = load("tiny", data_dir=tmp_path, image_size=(5, 4))
    assert data.facts.input_shape == (5, 4, 1)
    assert sorted(numbers(data.test)) == list(range(20)) and np.ptp(data.test.x, axis=(1, 2, 3)).max() == 0


def test_sets_that_are_not_image_classification_are_refused(tmp_path):
    write(tmp_path, features={"picture": FEATURES["image"], "number": tfds.features.Scalar(np.int64)})
    with pytest.raises(ValueError, match="'tiny' with features number, picture|'tiny' with features picture, number"):
        load("tiny", data_dir=tmp_path)


def test_sets_without_a_training_part_are_refused(tmp_path):
    write(tmp_path, splits=("test",))
    with pytest.raises(ValueError, match="train split"):
        load("tiny", data_dir=tmp_path)


@pytest.mark.parametrize(
    "classes, words", [(["bee", "eel"], "one of 'tiny'. Received: 'eel'; mend the list"), (["dog"], "Received: none in the part train")]
)
def test_classes_that_a_set_has_no_images_of(tmp_path, classes, words):
    write(tmp_path, count=3)  # of the first three classes of four
    with pytest.raises(ValueError, match=words):
        load("tiny", data_dir=tmp_path, classes=classes)


def test_a_read_only_folder_serves(tmp_path):
    write(tmp_path)
    for path in [*tmp_path.rglob("*"), tmp_path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(tmp_path.rglob("*"))
    try:
        assert len(load("tiny", data_dir=tmp_path).test.y) == 4
        assert sorted(tmp_path.rglob("*")) == before
    finally:
        for path in [tmp_path, *tmp_path.rglob("*")]:
            path.chmod(0o755)


def test_not_prepared_and_not_to_be_downloaded(tmp_path):
    with pytest.raises(DatasetUnavailable) as caught:
        load("cifar100", data_dir=tmp_path, download=False)
    message = str(caught.value)
    assert all(words in message for words in ("download=False", str(tmp_path / "cifar100"), "cifar100.npz", "copy"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses before a download is tried again, which nobody waits for here."""
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


class Unreachable:
    """A builder whose server does not answer."""

    def download_and_prepare(self):
        raise ConnectionError("no route to host")


def test_a_download_that_fails_says_what_was_tried(tmp_path, monkeypatch, pauses):
    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Unreachable())
    with pytest.raises(DatasetUnavailable, match="ConnectionError: no route to host.*copy a folder") as caught:
        load("cifar100", data_dir=tmp_path / "new")
    assert isinstance(caught.value.__cause__, ConnectionError) and pauses == [1.0, 2.0, 4.0]


def test_preparation_happens_under_a_lock_and_is_read_at_once(tmp_path, monkeypatch):
    write(tmp_path / "elsewhere", splits=("train", "test"))
    builder = tfds.builder_from_directory(str(tmp_path / "elsewhere" / "tiny" / "1.0.0"))
    held = []
    monkeypatch.setattr(builder, "download_and_prepare", lambda: held.extend(tmp_path.glob(".*.lock")))
    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: builder)
    monkeypatch.setattr(tfds, "list_builders", lambda **options: ["tiny"])
    assert len(load("tiny", data_dir=tmp_path).test.y) == 20
    assert [path.name for path in held] == [".tiny.lock"]


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="writable to download"):
        load("cifar100", data_dir=tmp_path)


def test_without_tensorflow_datasets_what_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"pip install tensorflow-datasets.*mnist.npz"):
        load("mnist", data_dir=tmp_path)
