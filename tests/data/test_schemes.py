"""Levels as published, and what is drawn for them."""

import math

import numpy as np
import pytest

from keras_vix.data import POLICIES, augment, schemes
from keras_vix.data.operations import CODES, NAMES

# (Mixup, RandAugment magnitude): arXiv:2106.10270.
PUBLISHED = {
    "light1": (0, 0), "light2": (0.2, 10), "medium1": (0.2, 15), "medium2": (0.5, 15), "strong1": (0.5, 20), "strong2": (0.8, 20),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_levels_of_augreg(name):
    policy = POLICIES[name]
    assert (policy.mixup, policy.magnitude) == PUBLISHED[name]
    assert (policy.operations, policy.cutmix, policy.erase, policy.flip) == ("augreg", 0, 0, True)


def test_none_changes_nothing_at_all():
    assert POLICIES["none"] == augment.Policy() and not POLICIES["none"].mixes


def drawn(scheme, magnitude=0.0, n=40_000):
    return schemes.draw(augment.NumpyKit(np.random.default_rng(5)), scheme, magnitude, n)


def of(name, codes, amounts):
    return np.unique(amounts[codes == CODES[name]].round(4))


def test_randaugment_of_augreg():
    codes, amounts = drawn("augreg", 15)
    share = np.bincount(codes.ravel(), minlength=len(NAMES)) / codes.size
    assert share[0] == 0 and np.abs(share[1:] - 1 / 16).max() < 0.005  # sixteen operations, none left out
    turn = round(math.radians(45), 4)
    assert of("rotate", codes, amounts).tolist() == pytest.approx([-turn, turn], abs=2e-4)
    assert of("shear_x", codes, amounts).tolist() == pytest.approx([-0.45, 0.45], abs=2e-4)
    assert of("translate_y", codes, amounts).tolist() == pytest.approx([-150 / 224, 150 / 224], abs=2e-4)
    assert of("color", codes, amounts).tolist() == pytest.approx([2.8], abs=2e-4)
    for name, value in (("posterize", 6), ("solarize", 384), ("solarize_add", 165)):
        assert of(name, codes, amounts).tolist() == [value]
    codes, amounts = drawn("augreg", 0)
    assert of("brightness", codes, amounts).tolist() == pytest.approx([0.1]) and of("rotate", codes, amounts).tolist() == [0]


def test_randaugment_of_deit():
    codes, amounts = drawn("deit", 9)
    share = np.bincount(codes.ravel(), minlength=len(NAMES)) / codes.size
    assert abs(share[0] - 0.5) < 0.01 and share[CODES["cutout"]] == 0
    assert np.abs(np.delete(share, [0, CODES["cutout"]]) - 0.5 / 15).max() < 0.004
    turns = np.abs(amounts[codes == CODES["rotate"]])
    assert abs(np.degrees(turns.mean()) - 27) < 0.2 and np.degrees(turns.max()) <= 30.001 and 1 < np.degrees(turns.std()) < 1.6
    assert set(of("posterize", codes, amounts)) <= {0, 1, 2} and 1 in of("posterize", codes, amounts)
    assert np.all(of("solarize", codes, amounts) == of("solarize", codes, amounts).astype(int))
    factors = amounts[codes == CODES["color"]]
    assert factors.min() >= 0.0999 and factors.max() <= 1.9001 and abs(np.mean(factors > 1) - 0.5) < 0.05


@pytest.mark.parametrize("policy", schemes.POLICIES)
def test_autoaugment_has_25_pairs(policy):
    table = schemes.pairs(policy)
    assert len(table) == 25
    assert all(name in schemes.AUTO and 0 <= p <= 1 and 0 <= level <= 9 for pair in table for name, p, level in pair)


def test_autoaugment_draws_its_pairs():
    codes, amounts = drawn("cifar")
    # The 22nd pair alone translates twice: met with 0.9 and 0.7.
    both = (codes == CODES["translate_y"]).all(1).mean()
    assert abs(both - 0.63 / 25) < 0.004
    expected = sum(p for pair in schemes.pairs("cifar") for name, p, _ in pair if name == "equalize") / 25
    assert abs((codes == CODES["equalize"]).sum(1).mean() - expected) < 0.02
    assert of("posterize", codes, amounts).round().tolist() == [5]  # the level 7 of 8, 7.56, ... 4 bits
    turn = math.radians(30) * 2 / 9
    assert of("rotate", codes, amounts).tolist() == pytest.approx([-turn, turn], abs=2e-4)
