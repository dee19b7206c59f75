"""Every wrong call of `load`: the kind of error, and words that say what was received."""

import numpy as np
import pytest

from keras_vix.data import load

BYTES = np.full((10, 4, 4, 1), 9, np.uint8)
LABELS = np.arange(10) % 5


def part(x=BYTES, y=LABELS):
    """Four arrays whose training part may be spoilt."""
    return x, y, BYTES, LABELS


def pixels(value):
    x = BYTES.astype(np.float32)
    x[3, 1, 2, 0] = value
    return x


NAMES = [
    ("cifar-10", "cifar-10'. Did you mean 'cifar10'"),
    ("cifer10", "cifer10'. Did you mean 'cifar10'"),
    ("CIFAR10", "lower case"),
    ("", "source=''"),
    ("../secret", "source='../secret'"),
    ("mnist/../x", "mnist/../x"),
    ("/etc/passwd", "/etc/passwd"),
    ("mnist:latest", "mnist:latest"),
    ("mnist\n", "name:1.2.3"),
    ("m" * 65, "source="),
]


@pytest.mark.parametrize("name, words", NAMES)
def test_names(name, words, tmp_path):
    with pytest.raises(ValueError) as caught:
        load(name, data_dir=tmp_path, download=False)
    assert words in str(caught.value)


OPTIONS = [
    ({"validation": 1.0}, ValueError, "validation=1.0"),
    ({"validation": -0.1}, ValueError, "validation=-0.1"),
    ({"validation": float("nan")}, ValueError, "validation=nan"),
    ({"validation": "0.1"}, TypeError, "validation='0.1'"),
    ({"validation": True}, TypeError, "validation=True"),
    ({"seed": -1}, ValueError, "seed=-1"),
    ({"seed": 2**32}, ValueError, "seed=4294967296"),
    ({"seed": 1.5}, TypeError, "seed=1.5"),
    ({"limit": 0}, ValueError, "limit=0"),
    ({"limit": 2.5}, TypeError, "limit=2.5"),
    ({"limit": 1}, ValueError, "1 training images"),
    ({"image_size": 0}, ValueError, "image_size=0"),
    ({"image_size": (32,)}, ValueError, r"image_size=\(32,\)"),
    ({"image_size": (4, 4, 3)}, ValueError, "pair"),
    ({"image_size": 1e5}, ValueError, "image_size=100000.0"),
    ({"image_size": 100_000}, ValueError, "1..4096"),
    ({"image_size": True}, ValueError, "image_size=True"),
    ({"image_size": "32"}, ValueError, "image_size='32'"),
    ({"download": "no"}, TypeError, "download='no'"),
]


@pytest.mark.parametrize("options, error, words", OPTIONS)
def test_options(options, error, words):
    with pytest.raises(error, match=words):
        load("digits", **options)


ARRAYS = [
    (None, TypeError, "NoneType"),
    (7, TypeError, "int"),
    (part()[:3], TypeError, "3 parts"),
    (part(y=LABELS - 1), ValueError, "a label -1"),
    ((BYTES, LABELS, BYTES, LABELS + 6), ValueError, "labels from 6 to 10"),
    (part(y=LABELS[:9]), ValueError, "10 images and 9 labels"),
    (part(y=np.eye(5)[LABELS]), ValueError, "one-hot"),
    (part(y=np.eye(5, dtype=int)[LABELS]), ValueError, "one-hot"),
    (part(y=LABELS / 1.0), TypeError, "float64"),
    (part(y=np.array(list("abcdefghij"))), TypeError, "<U1"),
    (part(y=np.zeros((10, 1, 1), int)), ValueError, "shape=.10, 1, 1."),
    (part(x=pixels(np.nan)), ValueError, "NaN or infinite"),
    (part(x=pixels(np.inf)), ValueError, "NaN or infinite"),
    (part(x=pixels(-1)), ValueError, "pixels from -1"),
    (part(x=pixels(256)), ValueError, "to 256"),
    (part(x=BYTES.astype(np.uint16) * 256), ValueError, "to 2304"),
    (part(x=BYTES > 3), TypeError, "dtype=bool"),
    (part(x=BYTES.astype(object)), TypeError, "dtype=object"),
    (part(x=BYTES[:0], y=LABELS[:0]), ValueError, "empty"),
    (part(y=LABELS[:0]), ValueError, "empty"),
    (part(x=BYTES[:, :, :, :0]), ValueError, "empty"),
    (part(x=BYTES[0, 0]), ValueError, r"shape=\(4, 1\)"),
    (part(x=np.zeros((10, 3, 8, 8), np.uint8)), ValueError, "channels last"),
    (part(x=np.zeros((10, 5, 4, 1), np.uint8)), ValueError, r"x_train.shape=\(10, 5, 4, 1\)"),
]


@pytest.mark.parametrize("source, error, words", ARRAYS)
def test_arrays(source, error, words):
    with pytest.raises(error, match=words):
        load(source)


def save(folder, **arrays):
    np.savez(folder / "set.npz", **arrays)


def test_archive_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.npz"):
        load(tmp_path / "gone.npz")


def test_archive_without_its_keys(tmp_path):
    save(tmp_path, x_train=BYTES, y_train=LABELS)
    with pytest.raises(ValueError, match="add x_test, y_test"):
        load(tmp_path / "set.npz")


def test_archive_of_objects_is_never_unpickled(tmp_path):
    save(tmp_path, x_train=np.array([{}, []], object), y_train=LABELS, x_test=BYTES, y_test=LABELS)
    with pytest.raises(ValueError, match="x_train must be a plain array.*allow_pickle"):
        load(tmp_path / "set.npz")


@pytest.mark.parametrize("cut", [0, 1, 100, -30])
def test_torn_archive(tmp_path, cut):
    save(tmp_path, x_train=BYTES, y_train=LABELS, x_test=BYTES, y_test=LABELS)
    path = tmp_path / "set.npz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="set.npz"):
        load(path)


def test_archive_with_a_flipped_byte(tmp_path):
    save(tmp_path, x_train=BYTES, y_train=LABELS, x_test=BYTES, y_test=LABELS)
    path = tmp_path / "set.npz"
    content = bytearray(path.read_bytes())
    content[250] ^= 255  # among the pixels of the first array
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load(path)


PARTS = [
    ({"x": BYTES, "y": LABELS}, "add split"),
    ({"x": BYTES, "y": LABELS, "split": np.full(10, 2)}, r"values=\[2\]"),
    ({"x": BYTES, "y": LABELS, "split": np.ones(10, int)}, r"values=\[1\]"),
    ({"x": BYTES, "y": LABELS, "split": np.zeros(9, int)}, "9 marks"),
    ({"x": BYTES, "y": LABELS[:9], "split": np.zeros(10, int)}, "10 images, 9 labels"),
    ({"x": BYTES, "y": LABELS, "split": np.zeros(10, int)}, r"shape=\(4, 4, 1\)"),
    ({"x": np.full((10, 28, 28), 9, np.uint8), "y": LABELS + 6, "split": LABELS % 2}, r"0\.\.9.*to 10"),
]


@pytest.mark.parametrize("arrays, words", PARTS)
def test_parts_that_are_not_the_named_set(tmp_path, arrays, words):
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        load("mnist", data_dir=tmp_path, download=False)


def test_data_dir_that_is_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(NotADirectoryError, match="file"):
        load("mnist", data_dir=path)
