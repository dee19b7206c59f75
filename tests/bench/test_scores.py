"""Best epochs, hits and confusions, and the pictures of a row."""

import base64
import io
import math

import numpy as np
import pytest

from keras_vix.bench import scores


@pytest.mark.parametrize(
    ("curves", "by", "best"),
    [
        ({"val_accuracy": [0.1, 0.3, 0.2]}, "val_accuracy", 2),
        ({"val_accuracy": [0.3, 0.3, 0.2], "val_ce": [2.0, 1.0, 0.0]}, "val_accuracy", 2),
        ({"val_accuracy": [0.3, 0.3]}, "val_accuracy", 1),
        ({"val_accuracy": [0.3, math.nan, None]}, "val_accuracy", 1),
        ({"val_accuracy": [0.3, 0.3], "val_ce": [math.nan, 5.0]}, "val_accuracy", 2),
        ({"val_accuracy": [math.nan]}, "val_accuracy", None),
        ({"val_loss": [3.0, 1.0, 2.0]}, "val_loss", 2),
        ({"val_ce": [3.0, 1.0, 2.0]}, "val_ce", 2),
    ],
)
def test_the_best_epoch(curves, by, best):
    assert scores.best_epoch(curves, by) == best


def logits_of(ranks, classes=12):
    """Logits in which the label 3 of each image stands at a given place, from 0."""
    rows = []
    for rank in ranks:
        others = [c for c in range(classes) if c != 3]
        order = others[:rank] + [3] + others[rank:]
        rows.append([float(-order.index(c)) for c in range(classes)])
    return np.array(rows), np.full(len(ranks), 3)


def test_top_one_and_top_five_count_places():
    logits, labels = logits_of([0, 0, 4, 5])
    found = scores.scores(logits, labels, "val")
    assert found["val_accuracy"] == 0.5 and found["val_top5"] == 0.75
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["val_ce"] == pytest.approx(-np.log(odds[:, 3]).mean())


def test_logits_that_are_no_numbers_are_neither_hits_nor_misses():
    logits, labels = logits_of([0, 0])
    logits[1, 5] = math.nan
    assert scores.scores(logits, labels) == {"test_accuracy": None, "test_top5": None, "test_ce": None}
    assert scores.confusion(logits, labels) is None
    assert scores.samples(np.zeros((2, 4, 4, 1)), logits, labels) is None


def test_rows_of_the_confusions_are_true_classes():
    logits = np.eye(3)[[0, 1, 1, 2]]
    assert scores.confusion(logits, np.array([0, 0, 1, 2])) == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert scores.confusion(np.zeros((1, 101)), np.array([0])) is None
    assert len(scores.confusion(np.zeros((1, 100)), np.array([0]))) == 100


@pytest.mark.parametrize("shape, size", [((8, 8, 1), (8, 8)), ((28, 30, 3), (30, 28)), ((256, 128, 3), (32, 64))])
def test_pictures_are_small_pngs_of_the_first_ten_images(shape, size):
    image = pytest.importorskip("PIL.Image")
    images = np.random.default_rng(0).uniform(0, 255, (12, *shape)).astype("float32")
    logits, labels = logits_of(range(12), classes=13)
    found = scores.samples(images, logits, labels)
    assert len(found) == 10 and [one["label"] for one in found] == [3] * 10
    assert found[0]["predicted"] == 3 and all(one["predicted"] != 3 for one in found[1:])
    assert all(0 < one["confidence"] < 1 for one in found)
    picture = image.open(io.BytesIO(base64.b64decode(found[0]["png"])))
    assert picture.size == size and picture.mode == {1: "L", 3: "RGB"}[shape[2]]
    if max(shape[:2]) <= 64:
        pixels = np.asarray(picture).reshape(shape)
        assert np.abs(pixels - images[0]).max() <= 0.5


def test_without_pillow_there_are_no_pictures(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    logits, labels = logits_of([0])
    assert scores.samples(np.zeros((1, 4, 4, 1)), logits, labels) is None
