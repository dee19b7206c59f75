"""Public checkpoints into models of another resolution, window, number of classes, or with another number of tokens in front."""

import keras
import numpy as np
import pytest

from keras_vix import build, load_pretrained
from keras_vix.interop import restore
from keras_vix.interop.resample import resize_offsets, resize_positions
from keras_vix.interop.transfer import roles

from .layouts import PLAIN, PYRAMID, WINDOWS, hf_deit_distilled, hf_swin, jax_vit, timm_cait, timm_pit, timm_swin, timm_vit
from .test_load import numpy_vit, pixels, same, values

HEADS = ("head/logits/kernel", "head/logits/bias")


def but(weights, *without):
    return {role: value for role, value in weights.items() if role not in without}


def bicubic(table, old, new):
    """Bicubic positions place by place: four taps a side of Keys' kernel with a = -0.75, the border repeated."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.25 * x**3 - 2.25 * x**2 + 1
        return -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3 if x < 2 else 0.0

    out = np.zeros((*new, table.shape[-1]))
    for row in range(new[0]):
        for column in range(new[1]):
            y, x = (row + 0.5) * old[0] / new[0] - 0.5, (column + 0.5) * old[1] / new[1] - 0.5
            for i in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
                for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                    place = table[np.clip(i, 0, old[0] - 1), np.clip(j, 0, old[1] - 1)]
                    out[row, column] += kernel(y - i) * kernel(x - j) * place
    return out


@pytest.mark.parametrize("image", [(48, 48), (16, 16), (32, 64), (48, 24)])
@pytest.mark.parametrize("layout", [timm_vit, jax_vit, hf_deit_distilled])
def test_positions_are_interpolated_and_those_of_the_tokens_in_front_are_not(layout, image):
    made = layout()
    model = build(made.preset, **made.sizes | {"input_shape": (*image, 3)})
    report = restore(model, made.tensors)
    assert report.interpolated == ("position/table",) and report.new == report.skipped == ()
    found, wanted = values(model), made.weights["position/table"]
    same(but(found, "position/table"), but(made.weights, "position/table"))
    front, new = len(wanted) - 16, (image[0] // 8, image[1] // 8)
    assert np.array_equal(found["position/table"][:front], wanted[:front])
    grid = bicubic(wanted[front:].reshape(4, 4, 16).astype("float64"), (4, 4), new)
    assert np.abs(found["position/table"][front:] - grid.reshape(-1, 16)).max() <= 1e-6


def test_the_logits_of_oblong_images_are_those_of_a_reference():
    made = timm_vit()
    model = load_pretrained("vit_b16", made.tensors, **made.sizes | {"input_shape": (32, 48, 3)})
    table = made.weights["position/table"]
    grid = bicubic(table[1:].reshape(4, 4, 16), (4, 4), (4, 6)).reshape(24, 16)
    tensors = made.tensors | {"pos_embed": np.concatenate([table[:1], grid])[None]}
    images = pixels((2, 32, 48, 3))
    wanted = numpy_vit(tensors, images, 8, 2, (0.5,) * 3, (0.5,) * 3)
    found = keras.ops.convert_to_numpy(model(images, training=False))
    assert np.abs(found - wanted).max() <= 1e-4


def test_as_many_places_in_another_shape_are_interpolated():
    """16 tokens of 4 x 4 are not those of 2 x 8."""
    made = timm_vit()
    model = build("vit_b16", **PLAIN | {"input_shape": (16, 64, 3)})
    assert restore(model, made.tensors).interpolated == ("position/table",)
    wanted = resize_positions(made.weights["position/table"], (4, 4), (2, 8))
    assert np.array_equal(values(model)["position/table"], wanted)


def test_an_oblong_checkpoint_needs_its_grid():
    made = timm_vit(grid=(2, 6))
    model = build("vit_b16", **PLAIN)
    before = values(model)
    with pytest.raises(ValueError, match=r"pos_embed.*grid=\(rows, columns\)"):
        restore(model, made.tensors)
    with pytest.raises(ValueError, match=r"pos_embed.*grid=\(3, 5\)"):
        restore(model, made.tensors, grid=(3, 5))
    same(values(model), before)
    restore(model, made.tensors, grid=(2, 6))
    wanted = resize_positions(made.weights["position/table"], (2, 6), (4, 4))
    assert np.array_equal(values(model)["position/table"], wanted)


def test_the_same_oblong_grid_is_copied():
    made = timm_vit(grid=(2, 6))
    model, report = load_pretrained(
        "vit_b16", made.tensors, grid=(2, 6), return_report=True, **made.sizes | {"input_shape": (16, 48, 3)}
    )
    assert report.interpolated == ()
    same(values(model), made.weights)


def test_a_map_of_positions_says_its_own_grid():
    made = timm_pit(grid=(5, 9))
    model = build("pit_ti", **PYRAMID)
    assert restore(model, made.tensors).interpolated == ("position/table",)
    wanted = resize_positions(made.weights["position/table"], (5, 9), (7, 7))
    assert np.array_equal(values(model)["position/table"], wanted)
    with pytest.raises(ValueError, match="pos_embed"):
        restore(model, made.tensors, grid=(7, 7))


def test_cait_has_positions_of_places_only():
    made = timm_cait()
    model = build("cait_xxs24", **PLAIN | {"input_shape": (48, 32, 3)})
    assert restore(model, made.tensors).interpolated == ("position/table",)
    wanted = resize_positions(made.weights["position/table"], (4, 4), (6, 4))
    assert np.array_equal(values(model)["position/table"], wanted)


@pytest.mark.parametrize("layout", [timm_swin, hf_swin])
def test_tables_of_offsets_go_to_another_window(layout):
    made = layout()
    model = build("swin_t", **WINDOWS | {"window": 8, "shift": 4, "input_shape": (64, 64, 3)})
    report = restore(model, made.tensors)
    tables = [role for role in made.weights if role.endswith("relative_bias")]
    assert sorted(report.interpolated) == sorted(tables)
    found = values(model)
    for role in tables:
        assert np.array_equal(found[role], resize_offsets(made.weights[role], (4, 4), (8, 8)))
    same(but(found, *tables), but(made.weights, *tables))


def test_another_image_of_the_same_window_changes_nothing():
    made = timm_swin()
    model = build("swin_t", **WINDOWS | {"input_shape": (64, 96, 3)})
    assert restore(model, made.tensors).interpolated == ()
    same(values(model), made.weights)


# Classes.


def test_a_head_for_other_classes_keeps_its_start():
    made = timm_vit(classes=11)
    model = build("vit_b16", **PLAIN)
    start = values(model)
    report = restore(model, made.tensors)
    assert report.new == HEADS and report.skipped == ("head.weight", "head.bias")
    same(values(model), made.weights | {role: start[role] for role in HEADS})


def test_both_heads_of_a_distilled_model_keep_their_start():
    made = timm_vit(distilled=True, classes=11)
    report = restore(build("deit_ti_distilled", **PLAIN), made.tensors)
    assert set(report.new) == {*HEADS, "head/logits_distilled/kernel", "head/logits_distilled/bias"}
    assert set(report.skipped) == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}


def test_other_classes_that_nobody_asked_for_are_a_warning():
    made = timm_vit(classes=11)
    sizes = {name: value for name, value in PLAIN.items() if name != "classes"}
    with pytest.warns(UserWarning, match="head of vit_b16 is new.*1000"):
        load_pretrained("vit_b16", made.tensors, **sizes)
    load_pretrained("vit_b16", made.tensors, classes=7, **sizes)  # asked for: no warning


def test_a_checkpoint_without_a_head():
    made = timm_vit()
    tensors = {name: value for name, value in made.tensors.items() if not name.startswith("head")}
    model = build("vit_b16", **PLAIN)
    start = values(model)
    with pytest.raises(ValueError, match=r"missing \(2\): head.weight, head.bias\nnew_head=True"):
        restore(model, tensors)
    report = restore(model, tensors, new_head=True)
    assert report.new == HEADS and report.skipped == ()
    same(values(model), made.weights | {role: start[role] for role in HEADS})


def test_a_new_head_of_as_many_classes():
    made = timm_vit()
    model = build("vit_b16", **PLAIN)
    start = values(model)
    report = restore(model, made.tensors, new_head=True)
    assert report.new == HEADS and report.skipped == ("head.weight", "head.bias")
    assert np.array_equal(values(model)["head/logits/kernel"], start["head/logits/kernel"])
    with pytest.raises(TypeError, match="new_head"):
        restore(model, made.tensors, new_head="yes")


# Distillation tokens.


@pytest.mark.parametrize(
    ("layout", "preset", "left"),
    [
        (lambda: timm_vit(distilled=True), "deit_ti", ("dist_token", "head_dist.weight", "head_dist.bias")),
        (
            hf_deit_distilled,
            "deit_ti",
            ("deit.embeddings.distillation_token", "distillation_classifier.weight", "distillation_classifier.bias"),
        ),
        (lambda: timm_pit(distilled=True), "pit_ti", ("head_dist.weight", "head_dist.bias")),
    ],
)
def test_a_plain_model_leaves_what_a_distilled_one_has_besides(layout, preset, left):
    made = layout()
    model = build(preset, **made.sizes)
    report = restore(model, made.tensors)
    assert report.skipped == left and report.new == ()
    found = values(model)
    assert np.array_equal(found["prefix/tokens"], made.weights["prefix/tokens"][:1])
    table = made.weights["position/table"]
    wanted = table if preset == "pit_ti" else np.delete(table, 1, axis=0)
    assert np.array_equal(found["position/table"], wanted)


def test_a_distilled_model_of_the_same_classes_needs_both_heads():
    made = timm_vit()
    model = build("deit_ti_distilled", **PLAIN)
    before = values(model)
    with pytest.raises(ValueError, match=r"missing \(3\): dist_token, head_dist.weight, head_dist.bias"):
        restore(model, made.tensors)
    same(values(model), before)
    made = timm_pit()
    with pytest.raises(ValueError, match=r"missing \(3\): a second token in cls_token, head_dist"):
        restore(build("pit_ti_distilled", **PYRAMID), made.tensors)


@pytest.mark.parametrize("image", [(32, 32), (48, 48)])
def test_a_distilled_model_of_other_classes_starts_its_token_anew(image):
    made = timm_vit(classes=11)
    model = build("deit_ti_distilled", **PLAIN | {"input_shape": (*image, 3)})
    start = values(model)
    report = restore(model, made.tensors)
    assert {"prefix/tokens", "position/table", *HEADS} < set(report.new) and report.interpolated == ()
    assert not set(report.new) & set(report.copied) and len(report.new) + len(report.copied) == len(roles(model))
    found, old = values(model), made.weights
    for role in ("prefix/tokens", "position/table"):
        assert np.array_equal(found[role][0], old[role][0]) and np.array_equal(found[role][1], start[role][1])
    wanted = resize_positions(old["position/table"], (4, 4), (image[0] // 8, image[1] // 8))
    assert np.array_equal(found["position/table"][2:], wanted[1:])
