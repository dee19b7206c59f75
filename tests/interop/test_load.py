"""Public checkpoints: every weight in its place, in every naming, from files, folders and shards."""

import json
import math

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import build, load_pretrained
from keras_vix.interop import restore, transfer
from keras_vix.interop.transfer import roles

from .layouts import LAYOUTS, PLAIN, hf_vit, jax_vit, timm_pit, timm_swin, timm_vit


def values(model):
    return {role: keras.ops.convert_to_numpy(weight) for role, weight in roles(model).items()}


def pixels(shape=(2, 32, 32, 3)):
    return np.random.default_rng(1).uniform(0, 255, shape).astype("float32")


def logits(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def same(found, wanted):
    assert set(found) == set(wanted)
    for role, value in wanted.items():
        assert np.array_equal(found[role], value), role


def save(made, folder, name="weights.npz"):
    path = folder / name
    if name.endswith(".npz"):
        np.savez(path, **made.tensors)
    else:
        safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors: pip install safetensors")
        safetensors.save_file({key: np.ascontiguousarray(value) for key, value in made.tensors.items()}, path)
    return path


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_weight_is_in_its_place(layout):
    made = layout()
    model = build(made.preset, **made.sizes)
    report = restore(model, made.tensors)
    same(values(model), made.weights)
    assert set(report.copied) == set(made.weights)
    assert report.new == report.interpolated == report.skipped == ()


@pytest.mark.parametrize("name", ["weights.npz", "model.safetensors"])
def test_a_file_and_the_folder_of_a_file(name, tmp_path):
    made = timm_vit()
    path = save(made, tmp_path, name)
    for source in (path, str(path), tmp_path):
        same(values(load_pretrained(made.preset, source, **made.sizes)), made.weights)


def test_a_sharded_folder(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors: pip install safetensors")
    made, index = hf_vit(), {}
    names = list(made.tensors)
    for place, part in enumerate((names[::2], names[1::2])):
        shard = f"model-{place + 1:05}-of-00002.safetensors"
        safetensors.save_file({name: made.tensors[name] for name in part}, tmp_path / shard)
        index |= dict.fromkeys(part, shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    same(values(load_pretrained(made.preset, tmp_path, **made.sizes)), made.weights)
    same(values(load_pretrained(made.preset, tmp_path / "model.safetensors.index.json", **made.sizes)), made.weights)


def numpy_vit(tensors, images, patch, heads, mean, std):
    """A vision transformer with timm's weights, in NumPy and double precision."""
    t = {name: value.astype("float64") for name, value in tensors.items()}

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * t[name + ".weight"] + t[name + ".bias"]

    def dense(x, name):
        return x @ t[name + ".weight"].T + t[name + ".bias"]

    x = (images / 255 - np.array(mean)) / np.array(std)
    batch, high, wide, _ = x.shape
    x = x.reshape(batch, high // patch, patch, wide // patch, patch, 3)
    x = np.einsum("nhpwqc,dcpq->nhwd", x, t["patch_embed.proj.weight"]) + t["patch_embed.proj.bias"]
    dim = x.shape[-1]
    x = x.reshape(batch, -1, dim)
    front = [np.broadcast_to(t[name], (batch, 1, dim)) for name in ("cls_token", "dist_token") if name in t]
    x = np.concatenate([*front, x], 1) + t["pos_embed"]
    block = 0
    while f"blocks.{block}.norm1.weight" in t:
        name = f"blocks.{block}."
        q, k, v = np.split(dense(norm(x, name + "norm1"), name + "attn.qkv"), 3, axis=-1)
        q, k, v = (part.reshape(batch, -1, heads, dim // heads).transpose(0, 2, 1, 3) for part in (q, k, v))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(dim // heads)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        x = x + dense(mixed.transpose(0, 2, 1, 3).reshape(batch, -1, dim), name + "attn.proj")
        hidden = dense(norm(x, name + "norm2"), name + "mlp.fc1")
        hidden = hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2))) / 2
        x = x + dense(hidden, name + "mlp.fc2")
        block += 1
    x = norm(x, "norm")
    if "head_dist.weight" in t:
        return (dense(x[:, 0], "head") + dense(x[:, 1], "head_dist")) / 2
    return dense(x[:, 0], "head")


@pytest.mark.parametrize(
    ("preset", "distilled", "mean", "std"),
    [
        ("vit_b16", False, (0.5,) * 3, (0.5,) * 3),
        ("deit_b", False, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("deit_ti_distilled", True, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_the_logits_are_those_of_a_reference(preset, distilled, mean, std):
    """Also that pixels are normalised as those of the weights' training were."""
    made = timm_vit(distilled)
    model = load_pretrained(preset, made.tensors, **made.sizes)
    wanted = numpy_vit(made.tensors, pixels(), 8, 2, mean, std)
    assert np.abs(wanted).max() > 0.5
    assert np.abs(logits(model, pixels()) - wanted).max() <= 1e-4


def test_pixel_statistics_are_the_callers_where_given():
    made = timm_vit()
    model = load_pretrained("vit_b16", made.tensors, **made.sizes | {"mean": 0.25, "std": (0.2, 0.3, 0.4)})
    wanted = numpy_vit(made.tensors, pixels(), 8, 2, (0.25,) * 3, (0.2, 0.3, 0.4))
    assert np.abs(logits(model, pixels()) - wanted).max() <= 1e-4


@pytest.mark.long
def test_a_loaded_model_is_compiled_and_learns():
    made = timm_vit()
    model = load_pretrained("vit_b16", made.tensors, **made.sizes | {"compile": True})
    before = values(model)
    model.fit(pixels((4, 32, 32, 3)), np.arange(4), batch_size=4, epochs=1, verbose=0)
    assert not np.array_equal(values(model)["head/logits/kernel"], before["head/logits/kernel"])


def test_the_front_door_is_the_same_function():
    assert keras_vix.load_pretrained is keras_vix.interop.load_pretrained


# What is left out by right.


def test_tables_that_follow_from_the_sizes_are_left_out():
    made = timm_swin(before=True)
    extra = {"layers.0.blocks.1.attn.relative_position_index": np.zeros((16, 16), "int64"), "layers.0.blocks.1.attn_mask": np.zeros((16, 16, 16))}
    report = restore(build("swin_t", **made.sizes), made.tensors | extra)
    assert set(report.skipped) == set(extra)


@pytest.mark.parametrize(
    ("made", "extra"),
    [
        (timm_vit, {"pre_logits.fc.weight": (16, 16), "pre_logits.fc.bias": (16,)}),
        (jax_vit, {"pre_logits/kernel": (16, 16), "pre_logits/bias": (16,)}),
        (hf_vit, {"vit.pooler.dense.weight": (16, 16), "vit.pooler.dense.bias": (16,)}),
    ],
)
def test_layers_for_pre_training_only_are_left_out_and_named(made, extra):
    made = made()
    model = build("vit_b16", **PLAIN)
    report = restore(model, made.tensors | {name: np.ones(shape, "float32") for name, shape in extra.items()})
    assert report.skipped == tuple(extra)
    same(values(model), made.weights)


def test_a_model_without_prefix_is_read_too():
    made = hf_vit(prefix="")
    model = build("vit_b16", **PLAIN)
    restore(model, made.tensors)
    same(values(model), made.weights)


# Numbers of other types.


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_floats_become_float32(dtype, tmp_path):
    made = timm_vit()
    tensors = {name: value.astype(dtype) for name, value in made.tensors.items()}
    np.savez(tmp_path / "weights.npz", **tensors)
    found = values(load_pretrained("vit_b16", tmp_path, **made.sizes))
    assert all(value.dtype == "float32" for value in found.values())
    same(found, {role: value.astype(dtype).astype("float32") for role, value in made.weights.items()})


def halved(x):
    """Float32 with the lower half of its bits cut off: what bfloat16 can hold."""
    return (np.ascontiguousarray(x, "float32").view("uint32") & 0xFFFF0000).view("float32")


@pytest.mark.parametrize("name", ["weights.npz", "model.safetensors"])
def test_bfloat16_becomes_float32(name, tmp_path):
    import ml_dtypes

    made = timm_vit()
    made.tensors = {key: halved(value).astype(ml_dtypes.bfloat16) for key, value in made.tensors.items()}
    if name.endswith(".npz"):  # as NumPy stores a type that it does not know
        made.tensors = {key: value.view("V2") for key, value in made.tensors.items()}
    model = load_pretrained("vit_b16", save(made, tmp_path, name), **made.sizes)
    same(values(model), {role: halved(value) for role, value in made.weights.items()})


def test_weights_of_a_mixed_policy_are_float32():
    keras.config.set_dtype_policy("mixed_float16")
    made = timm_vit()
    same(values(load_pretrained("vit_b16", made.tensors, **made.sizes)), made.weights)


# Efficient kernels.


def test_the_weights_of_a_kernel_of_its_own_are_new():
    made = timm_vit()
    model, report = load_pretrained("vit_b16", made.tensors, kernel="linformer", m=4, return_report=True, **made.sizes)
    assert report.new == tuple(f"stage0_block{block}_mixer/mixer/kernel/{name}" for block in range(2) for name in "ef")
    assert set(report.copied) == set(made.weights)


def test_a_loaded_checkpoint_goes_on_to_another_model():
    made = timm_pit()
    source = load_pretrained(made.preset, made.tensors, **made.sizes)
    target = build(made.preset, **made.sizes)
    assert transfer(source, target).new == ()
    assert np.array_equal(logits(source, pixels()), logits(target, pixels()))
