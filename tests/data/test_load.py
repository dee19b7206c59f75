"""`load` from every kind of source that needs no TensorFlow: digits, arrays, archives."""

import sys

import numpy as np
import pytest

from keras_vix.data import Data, Split, load
from keras_vix.facts import DATASETS


def numbers(split):
    """The images' own numbers, from the pixel that carries them."""
    return split.x[:, 0, 0, 0].astype(int).tolist()


def rows(split):
    """Each image as bytes, to be compared in sets."""
    return {image.tobytes() for image in split.x}


def check_contract(data):
    for split in (data.train, data.validation, data.test):
        assert isinstance(split, Split)
        assert split.x.shape[1:] == data.facts.input_shape
        assert split.x.dtype in (np.uint8, np.float32) and split.y.dtype == np.int32
        assert 0 <= split.x.min() and 1 < split.x.max() <= 255
        assert 0 <= split.y.min() and split.y.max() < data.facts.classes
        assert len(split.x) == len(split.y) > 0


# Digits -----------------------------------------------------------------------------------------------------------


def test_digits_sizes_and_contract():
    data = load("digits")
    assert isinstance(data, Data) and data.facts == DATASETS["digits"]
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [1293, 144, 360]
    check_contract(data)


def test_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    data = load("digits")
    splits = (data.train, data.validation, data.test)
    x = np.concatenate([split.x for split in splits])[..., 0]
    y = np.concatenate([split.y for split in splits])
    images = np.rint(theirs.images * 255 / 16).astype(np.uint8)
    expected = {(image.tobytes(), int(label)) for image, label in zip(images, theirs.target)}
    assert {(image.tobytes(), int(label)) for image, label in zip(x, y)} == expected
    assert len(x) == len(theirs.target) == 1797


def test_digits_parts_are_disjoint_and_whole():
    data = load("digits")
    parts = [rows(split) for split in (data.train, data.validation, data.test)]
    # No two of the digits are equal, so their bytes are as good as their positions.
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1797


def test_digits_are_stratified():
    data = load("digits")
    counts = [np.bincount(split.y, minlength=10) for split in (data.train, data.validation, data.test)]
    shares = sum(counts) / 1797
    for count in counts:
        assert np.abs(count - shares * count.sum()).max() < 1.5


def test_the_seed_moves_validation_and_never_the_test_part():
    first, same, other = load("digits"), load("digits", seed=0), load("digits", seed=1)
    assert (first.validation.x == same.validation.x).all() and (first.train.x == same.train.x).all()
    assert rows(first.validation) != rows(other.validation)
    assert (first.test.x == other.test.x).all()


def test_limit_comes_before_validation_and_bounds_the_test_part():
    data = load("digits", limit=200)
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [180, 20, 200]
    assert np.ptp(np.bincount(data.train.y)) <= 3
    assert (data.test.x == load("digits", limit=200, seed=9).test.x).all()
    assert rows(data.train) != rows(load("digits", limit=200, seed=9).train)
    assert len(load("digits", limit=400).test.y) == 360
    assert len(load("digits", limit=10**6).train.y) == 1293


@pytest.mark.parametrize("size, shape", [(16, (16, 16, 1)), ((4, 6), (4, 6, 1)), ([5, 5], (5, 5, 1))])
def test_image_size(size, shape):
    data = load("digits", image_size=size, limit=50)
    assert data.facts.input_shape == shape
    check_contract(data)


def test_no_validation():
    data = load("digits", validation=0)
    assert data.validation is None and len(data.train.y) == 1437


# Arrays -----------------------------------------------------------------------------------------------------------


def test_arrays(arrays):
    data = load(arrays, validation=0.25)
    check_contract(data)
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [30, 10, 10]
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(40))
    assert numbers(data.test) == list(range(40, 50))
    assert np.bincount(data.validation.y).tolist() == [2] * 5
    for split in (data.train, data.validation, data.test):
        assert split.y.tolist() == [number % 5 for number in numbers(split)]


def test_facts_of_arrays_are_measured(arrays):
    facts = load(arrays).facts
    x = arrays[0].astype(float) / 255
    assert (facts.name, facts.input_shape, facts.classes, facts.flip) == ("arrays", (6, 5, 3), 5, False)
    np.testing.assert_allclose(facts.mean, x.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(facts.std, x.std(axis=(0, 1, 2)), atol=1e-5)


def test_nested_pairs_and_label_columns_as_keras_gives_them(arrays):
    x_train, y_train, x_test, y_test = arrays
    data = load(((x_train, y_train[:, None]), (x_test, y_test[:, None])))
    assert data.train.y.shape == (36,)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_images_that_end_at_one_are_multiplied(arrays, dtype):
    x_train, y_train, x_test, y_test = arrays
    data = load(((x_train / 200).astype(dtype), y_train, (x_test / 200).astype(dtype), y_test))
    assert data.train.x.dtype == np.float32 and data.train.x.max() == 255


def test_float_images_on_the_byte_scale_are_left_alone(arrays):
    x_train, y_train, x_test, y_test = arrays
    # A test part that ends at 1 by itself must follow the training part.
    data = load((x_train.astype(np.float64), y_train, x_test * 0 + 1.0, y_test))
    assert data.train.x.dtype == np.float32 and data.train.x.max() == 200
    assert data.test.x.max() == 1


def test_wide_integers_become_bytes(arrays):
    x_train, y_train, x_test, y_test = arrays
    assert load((x_train.astype(np.int64), y_train, x_test.astype(np.int64), y_test)).train.x.dtype == np.uint8


def test_three_axes_get_a_channel(arrays):
    x_train, y_train, x_test, y_test = arrays
    assert load((x_train[..., 0], y_train, x_test[..., 0], y_test)).facts.input_shape == (6, 5, 1)


def test_whole_numbers_that_end_at_one_are_warned_about(arrays):
    x_train, y_train, x_test, y_test = arrays
    with pytest.warns(UserWarning, match="pixels up to 1") as caught:
        data = load((x_train // 200, y_train, x_test // 200, y_test))
    assert data.train.x.max() == 1
    assert caught[0].filename == __file__


# Archives ---------------------------------------------------------------------------------------------------------


def test_user_archive(tmp_path, arrays):
    path = tmp_path / "my set.npz"
    np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays)))
    for source in (path, str(path)):
        data = load(source)
        assert data.facts.name == "my set" and len(data.train.y) == 36
        check_contract(data)


def save_parts(folder, arrays, names):
    x_train, y_train, x_test, y_test = arrays
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    part = np.repeat([0, 1], [len(x_train), len(x_test)]).astype(np.uint8)
    # Parts of unequal length, cut in the middle of the training images.
    cuts = [23] if len(names) == 2 else []
    for name, where in zip(names, np.split(np.arange(len(y)), cuts)):
        np.savez(folder / name, x=x[where], y=y[where], split=part[where])


@pytest.mark.parametrize("names", [["my_set.npz"], ["my_set-0.npz", "my_set-1.npz"]])
@pytest.mark.parametrize("by_environment", [False, True])
def test_named_parts_are_read_without_tensorflow(tmp_path, arrays, names, by_environment, monkeypatch):
    save_parts(tmp_path, arrays, names)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # an import would now fail
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    data = load("my_set", data_dir=None if by_environment else tmp_path, download=False)
    check_contract(data)
    assert (data.facts.name, data.facts.classes) == ("my_set", 5)
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(40))
    assert numbers(data.test) == list(range(40, 50))


def test_parts_of_a_listed_set_have_its_facts(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "mnist.npz", x=x, y=np.arange(60) % 10, split=np.arange(60) % 6 == 0)
    data = load("mnist", data_dir=tmp_path)
    assert data.facts == DATASETS["mnist"]
    assert [len(split.y) for split in (data.train, data.validation, data.test)] == [45, 5, 10]


def test_parts_without_a_test_part_give_a_fixed_fifth(tmp_path, arrays):
    x_train, y_train = arrays[:2]
    np.savez(tmp_path / "my_set.npz", x=x_train, y=y_train, split=np.zeros(40, int))
    first, other = (load("my_set", data_dir=tmp_path, seed=seed) for seed in (0, 1))
    assert len(first.test.y) == 8 and numbers(first.test) == numbers(other.test)
    assert np.ptp(np.bincount(first.test.y)) <= 1
