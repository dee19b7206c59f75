"""The operations against plain NumPy, and NumPy's kit against that of tensors."""

import keras
import numpy as np
import pytest

from keras_vix.data import augment, operations
from keras_vix.data.layer import KerasKit
from keras_vix.data.operations import CODES, NAMES, operate

N = 6


def images(channels=3, dtype=np.float32):
    return np.random.default_rng(3).integers(0, 256, (N, 9, 8, channels)).astype(dtype)


def changed(name, amount, x=None, fill=operations.GREY):
    """Every image changed alike."""
    x = images() if x is None else x
    kit = augment.NumpyKit(np.random.default_rng(0))
    return operate(kit, x.copy(), np.full(len(x), CODES[name]), np.full(len(x), amount, np.float32), fill)


def equalized(x):
    """Image by image, level by level, in whole numbers."""
    out = x.copy()
    for image in out:
        for c in range(image.shape[-1]):
            counts = np.bincount(image[..., c].astype(int).ravel(), minlength=256)
            step = (counts.sum() - counts[counts > 0][-1]) // 255
            if step:
                table = [min(255, (step // 2 + counts[:level].sum()) // step) for level in range(256)]
                image[..., c] = np.array(table)[image[..., c].astype(int)]
    return out


def test_equalize_against_a_loop():
    x = np.random.default_rng(3).binomial(255, 0.3, (2, 40, 33, 3)).astype(np.float32)
    x[1, ..., 0] = 7  # one level only: stays
    np.testing.assert_array_equal(changed("equalize", 0, x), equalized(x))
    assert np.ptp(changed("equalize", 0, x)[0]) > 250 > np.ptp(x[0])


def test_points_against_their_definitions():
    x = images()
    low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    np.testing.assert_allclose(changed("autocontrast", 0), (x - low) / (high - low) * 255, atol=1e-3)
    np.testing.assert_array_equal(changed("invert", 0), 255 - x)
    np.testing.assert_array_equal(changed("posterize", 3), x.astype(int) & 0b11100000)
    np.testing.assert_array_equal(changed("posterize", 0), x.astype(int) & 0b10000000)
    np.testing.assert_array_equal(changed("solarize", 100), np.where(x < 100, x, 255 - x))
    np.testing.assert_array_equal(changed("solarize_add", 50), np.where(x < 128, np.minimum(x + 50, 255), x))
    np.testing.assert_allclose(changed("brightness", 1.5), np.minimum(1.5 * x, 255), atol=1e-3)
    dull = (x @ np.array([0.299, 0.587, 0.114]))[..., None]
    mean = dull.mean((1, 2, 3), keepdims=True)
    for name, base in (("color", dull), ("contrast", mean)):
        np.testing.assert_allclose(changed(name, 1.7), np.clip(base + 1.7 * (x - base), 0, 255), atol=1e-3)


def test_sharpness_smooths_all_but_the_frame():
    x = images(1)
    smooth = x.copy()
    weights = np.ones((3, 3))
    weights[1, 1] = 5
    for b, i, j in np.ndindex(N, 7, 6):
        smooth[b, i + 1, j + 1, 0] = (x[b, i : i + 3, j : j + 3, 0] * weights).sum() / 13
    np.testing.assert_allclose(changed("sharpness", 0, x), smooth, atol=1e-3)
    np.testing.assert_allclose(changed("sharpness", 1.9, x), np.clip(smooth + 1.9 * (x - smooth), 0, 255), atol=1e-3)
    tiny = x[:, :2, :2]
    np.testing.assert_array_equal(changed("sharpness", 0, tiny), tiny)


@pytest.mark.parametrize("name", ["color", "contrast", "brightness", "sharpness"])
def test_an_amount_of_one_changes_nothing(name):
    np.testing.assert_allclose(changed(name, 1), images(), atol=1e-3)


def test_moves():
    x = images()
    np.testing.assert_allclose(changed("translate_x", 0.25)[:, :, :6], x[:, :, 2:], atol=1e-3)
    np.testing.assert_allclose(changed("translate_x", 0.25)[:, :, 6:], 128, atol=1e-3)
    np.testing.assert_allclose(changed("translate_y", -3 / 9, fill=7.0)[:, 3:], x[:, :6], atol=1e-3)
    np.testing.assert_allclose(changed("translate_y", -3 / 9, fill=7.0)[:, :3], 7, atol=1e-3)
    square = np.ascontiguousarray(x[:, :8])
    np.testing.assert_allclose(changed("rotate", np.pi / 2, square), np.rot90(square, -1, (1, 2)), atol=0.05)
    # A shear by one takes pixel centre (i + 1/2, j + 1/2) from column j + 1/2 + i + 1/2: half-way between two pixels.
    sheared = changed("shear_x", 1.0)
    np.testing.assert_allclose(sheared[:, 2, :5], (x[:, 2, 2:7] + x[:, 2, 3:8]) / 2, atol=0.01)
    sheared = changed("shear_y", 1.0)
    np.testing.assert_allclose(sheared[:, :5, 3], (x[:, 3:8, 3] + x[:, 4:9, 3]) / 2, atol=0.01)


def test_cutout_hides_a_square():
    x = np.zeros((500, 20, 20, 1), np.float32)
    hidden = changed("cutout", 0.5, x)[..., 0] == 128
    sides = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert (hidden.sum((1, 2)) == sides[0] * sides[1]).all()
    assert max(map(np.max, sides)) == 10 and min(map(np.min, sides)) in (5, 6)  # cut at the edge


AMOUNTS = {
    "rotate": 0.4, "shear_x": 0.2, "shear_y": -0.2, "translate_x": 0.3, "translate_y": -0.3, "posterize": 3, "solarize": 90,
    "solarize_add": 70, "brightness": 1.4, "contrast": 0.4, "color": 2.1, "sharpness": 1.8,
}  # fmt: skip


def test_tensors_give_what_numpy_gives():
    names = [name for name in NAMES if name != "cutout"]  # which draws
    x = np.random.default_rng(3).integers(0, 256, (len(names), 9, 8, 3)).astype(np.float32)
    x[names.index("equalize")] = np.random.default_rng(3).binomial(255, 0.3, (9, 8, 3))
    codes = np.array([CODES[name] for name in names], np.int32)
    amounts = np.array([AMOUNTS.get(name, 0) for name in names], np.float32)
    fill = np.array([10, 128, 200], np.float32)
    expected = operate(augment.NumpyKit(np.random.default_rng(0)), x.copy(), codes, amounts, fill)
    tensors = [keras.ops.convert_to_tensor(value) for value in (x, codes, amounts, fill)]
    found = keras.ops.convert_to_numpy(operate(KerasKit(keras.random.SeedGenerator(0)), *tensors))
    for name, one, other in zip(names, found, expected):
        np.testing.assert_allclose(one, other, atol=0.05, err_msg=name)
