"""Checkpoints that are refused: one error says everything, and the model is as it was."""

import json
import re
import types

import numpy as np
import pytest

from keras_vix import build, load_pretrained
from keras_vix.interop import checkpoints, hub, restore, sources

from .layouts import PLAIN, WINDOWS, jax_vit, timm_pit, timm_swin, timm_vit
from .test_load import same, save, values

REVISION, HASH = "0123456789abcdef" * 2 + "01234567", "ab" * 32


def refused(model, tensors, *words, error=ValueError):
    before = values(model)
    with pytest.raises(error) as caught:
        restore(model, tensors)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    same(values(model), before)
    return str(caught.value)


def test_one_error_lists_everything():
    made = timm_vit()
    tensors = dict(made.tensors)
    del tensors["blocks.0.attn.qkv.weight"], tensors["norm.bias"]
    tensors["blocks.2.norm1.weight"] = np.ones(16, "float32")
    tensors["fc_norm.weight"] = np.ones(16, "float32")
    tensors["patch_embed.proj.weight"] = np.ones((16, 3, 16, 16), "float32")
    tensors["blocks.1.mlp.fc1.weight"] = np.ones((16, 64), "float32")
    tensors["head.bias"] = np.array([1, 2, np.nan, 4, 5], "float32")
    tensors["cls_token"] = np.full((1, 1, 16), np.inf, "float32")
    tensors["norm.weight"] = np.ones(16, "int64")
    text = refused(
        build("vit_b16", **PLAIN),
        tensors,
        "missing (2): ",
        "surplus (2): blocks.2.norm1.weight, fc_norm.weight",
        "of another shape (2): ",
        "patch_embed.proj.weight (16, 3, 16, 16), for patch_embedding/projection/kernel, which needs (8, 8, 3, 16)",
        "blocks.1.mlp.fc1.weight (16, 64), for stage0_block1_ffn/mlp/expand/kernel, which needs (16, 64)",
        "not finite (2): ",
        "no floating-point numbers (1): norm.weight (int64)",
        "nothing was loaded",
    )
    missing = next(line for line in text.splitlines() if line.startswith("missing"))
    assert "blocks.0.attn.qkv.weight" in missing and "norm.bias" in missing and missing.count(",") == 1
    finite = next(line for line in text.splitlines() if line.startswith("not finite"))
    assert "cls_token" in finite and "head.bias" in finite


@pytest.mark.parametrize("layout", [timm_vit, jax_vit, timm_pit], ids=lambda layout: layout.__name__)
def test_each_tensor_is_missed(layout):
    made = layout()
    model = build(made.preset, **made.sizes)
    for name in made.tensors:
        tensors = {key: value for key, value in made.tensors.items() if key != name}
        with pytest.raises(ValueError, match="missing") as caught:
            restore(model, tensors)
        assert name in str(caught.value)


@pytest.mark.parametrize("layout", [timm_vit, jax_vit, timm_pit], ids=lambda layout: layout.__name__)
def test_each_tensor_of_another_shape_is_named(layout):
    """An axis more at the end, one row less, one row more."""
    made = layout()
    model = build(made.preset, **made.sizes)
    before = values(model)
    for name, value in made.tensors.items():
        others = [value[..., None]]
        if not name.startswith("head") and (name != "pos_embed" or value.ndim == 3):  # no other classes, no map of another grid
            others += [value[..., :-1], np.concatenate([value, value[..., :1]], -1)]
        for other in others:
            with pytest.raises(ValueError, match=re.escape(name)):
                restore(model, made.tensors | {name: other})
    same(values(model), before)


def test_a_table_of_offsets_is_of_a_square_window():
    made = timm_swin()
    name = next(name for name in made.tensors if name.endswith("relative_position_bias_table"))
    tensors = made.tensors | {name: made.tensors[name][:-1]}
    assert len(tensors[name]) == 48
    refused(build("swin_t", **WINDOWS), tensors, name, "no offsets of a square window")


def test_heads_that_disagree_are_of_another_shape():
    made = timm_vit()
    refused(build("vit_b16", **PLAIN), made.tensors | {"head.weight": np.ones((7, 16), "float32")}, "head.weight (7, 16)")
    refused(build("vit_b16", **PLAIN), made.tensors | {"head.weight": np.ones((5, 8), "float32")}, "head.weight (5, 8)")


def test_heads_of_another_number_are_told_in_jax_files():
    """Four heads of 4 have as many numbers as two of 8, and are another function."""
    made = jax_vit()
    name = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel"
    tensors = made.tensors | {name: made.tensors[name].reshape(16, 4, 4)}
    refused(build("vit_b16", **PLAIN), tensors, name, "(16, 4, 4)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(value):
    made = timm_vit()
    tensors = dict(made.tensors)
    tensors["blocks.1.attn.qkv.bias"] = tensors["blocks.1.attn.qkv.bias"].copy()
    tensors["blocks.1.attn.qkv.bias"][47] = value
    refused(build("vit_b16", **PLAIN), tensors, "not finite (1): blocks.1.attn.qkv.bias")


def test_what_float32_cannot_hold_is_refused():
    made = timm_vit()
    refused(build("vit_b16", **PLAIN), made.tensors | {"pos_embed": np.full((1, 17, 16), 1e300)}, "not finite (1): pos_embed")


def test_another_family_is_refused():
    made = timm_pit()
    refused(build("vit_b16", **PLAIN), made.tensors, "surplus", "of another shape", "naming of timm, PiT")
    refused(build("vit_b16", **PLAIN), {"conv1.weight": np.ones(3)}, "known layout", "conv1.weight", "timm, ViT and DeiT")
    refused(build("vit_b16", **PLAIN), {}, "known layout", "0 tensors")


def test_a_deeper_and_a_shallower_model_are_refused():
    made = timm_vit()
    refused(build("vit_b16", **PLAIN | {"depth": 3}), made.tensors, "missing (12)", "blocks.2.norm1.weight")
    refused(build("vit_b16", **PLAIN | {"depth": 1}), made.tensors, "surplus (12)", "blocks.1.norm1.weight")


def test_the_model_and_the_source_must_be_such():
    made = timm_vit()
    with pytest.raises(TypeError, match="model"):
        restore("vit_b16", made.tensors)
    with pytest.raises(TypeError, match="source"):
        load_pretrained("vit_b16", 3)
    with pytest.raises(ValueError, match="preset"):
        load_pretrained("vit_b17", made.tensors)
    with pytest.raises(ValueError, match="for images"):
        load_pretrained("transformer_base", made.tensors)


# Files.


@pytest.mark.parametrize("name", ["weights.npz", "model.safetensors"])
def test_files_cut_short_are_refused(name, tmp_path):
    path = save(timm_vit(), tmp_path, name)
    whole = path.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="must be whole.*" + name):
            load_pretrained("vit_b16", path, **PLAIN)


def test_damage_inside_an_archive_is_found(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez_compressed(path, **timm_vit().tensors)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be whole"):
        load_pretrained("vit_b16", path, **PLAIN)


@pytest.mark.parametrize("end", ["bin", "pth", "pt", "ckpt", "pkl"])
def test_pickles_are_refused_with_the_way_to_convert_them(end, tmp_path):
    path = tmp_path / f"pytorch_model.{end}"
    path.write_bytes(b"\x80\x04never read")
    for source in (path, tmp_path):
        with pytest.raises(ValueError, match="a pickle, which can run any code") as caught:
            load_pretrained("vit_b16", source, **PLAIN)
        assert "weights_only=True" in str(caught.value) and "save_file" in str(caught.value)
        assert str(caught.value).endswith(f"{path} {path.with_suffix('.safetensors')}")


def test_a_pickle_inside_an_archive_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **timm_vit().tensors, extra=np.array([{"any": "object"}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        load_pretrained("vit_b16", path, **PLAIN)


def test_a_pickle_under_another_name_is_refused(tmp_path):
    for name in ("weights.npz", "model.safetensors"):
        path = tmp_path / name
        path.write_bytes(b"\x80\x04K\x01." * 20)
        if name.endswith("safetensors"):
            pytest.importorskip("safetensors", reason="needs safetensors: pip install safetensors")
        with pytest.raises(ValueError, match="must be whole"):
            load_pretrained("vit_b16", path, **PLAIN)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.npz"):
        load_pretrained("vit_b16", tmp_path / "absent.npz", **PLAIN)
    with pytest.raises(FileNotFoundError, match="model.safetensors.*with nothing"):
        load_pretrained("vit_b16", tmp_path, **PLAIN)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="with config.json; name the file"):
        load_pretrained("vit_b16", tmp_path, **PLAIN)
    for name in ("one.npz", "two.npz"):
        save(timm_vit(), tmp_path, name)
    with pytest.raises(FileNotFoundError, match="with one.npz, two.npz; name the file"):
        load_pretrained("vit_b16", tmp_path, **PLAIN)
    with pytest.raises(ValueError, match="ends in .safetensors or .npz"):
        load_pretrained("vit_b16", tmp_path / "config.json", **PLAIN)


def test_shards_that_are_missing_or_lie_elsewhere(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    for name, words in (
        ('{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}', "without one.safetensors, two.safetensors"),
        ('{"weight_map": {"a": "../one.safetensors"}}', "beside their index"),
        ('{"weight_map": {"a": 3}}', "beside their index"),
        ('{"weight_map": [1]}', "must be whole"),
        ('{"weights": {}}', "must be whole"),
        ('{"weight_map": {', "must be whole"),
    ):
        index.write_text(name)
        with pytest.raises(ValueError, match=words):
            load_pretrained("vit_b16", tmp_path, **PLAIN)


def test_shards_that_lack_what_the_index_says(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors: pip install safetensors")
    safetensors.save_file({"a": np.ones(2, "float32")}, tmp_path / "one.safetensors")
    places = {"a": "one.safetensors", "b": "one.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    with pytest.raises(ValueError, match="must hold what their index says.*without b"):
        load_pretrained("vit_b16", tmp_path, **PLAIN)


def test_a_file_of_another_hash_is_refused(tmp_path):
    import hashlib

    made = timm_vit()
    path = save(made, tmp_path)
    with pytest.raises(ValueError, match=f"sha256={HASH}.*nothing was loaded"):
        load_pretrained("vit_b16", path, sha256=HASH, **PLAIN)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    same(values(load_pretrained("vit_b16", path, sha256=right.upper(), **PLAIN)), made.weights)
    (tmp_path / "shards.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(ValueError, match=f"`sha256` is of one file. Received: sha256='{HASH}' for the shards of shards.safetensors.index.json"):
        load_pretrained("vit_b16", tmp_path / "shards.safetensors.index.json", sha256=HASH, **PLAIN)
    with pytest.raises(ValueError, match="hub names"):
        load_pretrained("vit_b16", path, revision=REVISION, **PLAIN)


def test_without_safetensors_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"anything")
    with pytest.raises(ImportError, match="pip install safetensors"):
        load_pretrained("vit_b16", path, **PLAIN)


# The hub. Nothing here is fetched: `huggingface_hub` is a stand-in.


def stand_in(monkeypatch, answer):
    asked = []

    def hf_hub_download(repository, file, revision):
        asked.append((repository, file, revision))
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    module = types.SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", module)
    return asked


@pytest.mark.parametrize(
    "source", ["hf:", "hf:one", "hf:one/two/", "hf:one/../two", "hf:one/two/../x.npz", "hf:a b/c", "hf:one/two/x.npz?y"]
)
def test_a_hub_name_has_a_form(source):
    with pytest.raises(ValueError, match="hf:owner/name"):
        load_pretrained("vit_b16", source, revision=REVISION, sha256=HASH)


def test_no_pickle_is_fetched(monkeypatch):
    asked = stand_in(monkeypatch, OSError())
    with pytest.raises(ValueError, match="no pickle is ever fetched"):
        load_pretrained("vit_b16", "hf:one/two/pytorch_model.bin", revision=REVISION, sha256=HASH)
    assert asked == []


@pytest.mark.parametrize(
    "pins", [{}, {"revision": REVISION}, {"sha256": HASH}, {"revision": "main", "sha256": HASH}, {"revision": REVISION, "sha256": "ab"}]
)
def test_a_hub_name_is_pinned(pins, monkeypatch):
    asked = stand_in(monkeypatch, OSError())
    with pytest.raises(ValueError, match="`revision`.*`sha256`.*https://huggingface.co/one/two/blob/main/model.safetensors"):
        load_pretrained("vit_b16", "hf:one/two", **pins)
    assert asked == []


def test_what_cannot_be_fetched_says_what_to_fetch_and_where_to_put_it(monkeypatch):
    asked = stand_in(monkeypatch, ConnectionError("no network"))
    address = f"https://huggingface.co/one/two/resolve/{REVISION}/model.safetensors"
    with pytest.raises(FileNotFoundError, match=f"{address}.*give its path") as caught:
        load_pretrained("vit_b16", "hf:one/two", revision=REVISION, sha256=HASH)
    assert asked == [("one/two", "model.safetensors", REVISION)]
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_what_is_fetched_is_compared_and_loaded(monkeypatch, tmp_path):
    import hashlib

    made = timm_vit()
    path = save(made, tmp_path)
    asked = stand_in(monkeypatch, path)
    with pytest.raises(ValueError, match="must have sha256"):
        load_pretrained("vit_b16", "hf:one/two/folder/weights.npz", revision=REVISION, sha256=HASH, **PLAIN)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    model = load_pretrained("vit_b16", "hf:one/two/folder/weights.npz", revision=REVISION, sha256=right, **PLAIN)
    assert asked == 2 * [("one/two", "folder/weights.npz", REVISION)]
    same(values(model), made.weights)


def test_pins_of_the_data_file_are_used(monkeypatch, tmp_path):
    import hashlib

    made = timm_vit()
    path = save(made, tmp_path)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    known = {"one/two": {"preset": "vit_b16", "file": "weights.npz", "revision": REVISION, "sha256": right}}
    monkeypatch.setattr(hub, "checkpoints", lambda: known)
    asked = stand_in(monkeypatch, path)
    same(values(load_pretrained("vit_b16", "hf:one/two", **PLAIN)), made.weights)
    assert asked == [("one/two", "weights.npz", REVISION)]
    with pytest.raises(ValueError, match="`revision`"):  # the pins are of that file alone
        load_pretrained("vit_b16", "hf:one/two/other.npz", **PLAIN)


def test_known_checkpoints_are_of_known_presets_and_pinned_whole_or_not_at_all():
    from keras_vix import list_models

    assert checkpoints()
    for name, entry in checkpoints().items():
        assert hub.NAME.fullmatch(hub.PREFIX + name) and entry["preset"] in list_models()
        assert set(entry) <= {"preset", "file", "revision", "sha256"}
        assert ("revision" in entry) == ("sha256" in entry)
        assert hub.REVISION.fullmatch(entry.get("revision", REVISION)) and hub.HASH.fullmatch(entry.get("sha256", HASH))


def test_every_reader_has_a_refused_neighbour():
    assert not sources.PICKLES & set(sources.READERS)
