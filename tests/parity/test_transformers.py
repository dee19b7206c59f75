"""Checkpoints of the `transformers` package, loaded: the same weights give the same logits as its own models.

Run by `make test-parity`, which installs that package and PyTorch; skipped where they are not.
"""

import pytest

from keras_vix import build, load_pretrained
from keras_vix.interop import restore

from .common import HALF, MEAN, STD, images, only_torch, same_logits, scatter, used_up

theirs = pytest.importorskip("transformers", reason="needs transformers: make test-parity")
pytestmark = only_torch

TINY = dict(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, layer_norm_eps=1e-6)
SMALL = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, layer_norm_eps=1e-6, image_size=64, patch_size=16,
    num_labels=10,
)  # fmt: skip
OURS = dict(patch=16, dim=32, depth=2, num_heads=2, classes=10, compile=False)
SMALL_SWIN = dict(image_size=112, embed_dim=16, depths=(2, 2), num_heads=(1, 2), num_labels=10)
OUR_SWIN = dict(dim=(16, 32), depth=(2, 2), num_heads=(1, 2), classes=10, compile=False)

FULL = [
    ("vit_ti16", lambda: theirs.ViTForImageClassification(theirs.ViTConfig(**TINY, num_labels=1000)), HALF),
    ("deit_ti_distilled", lambda: theirs.DeiTForImageClassificationWithTeacher(theirs.DeiTConfig(**TINY, num_labels=1000)), (MEAN, STD)),
    ("swin_t", lambda: theirs.SwinForImageClassification(theirs.SwinConfig(num_labels=1000)), (MEAN, STD)),
]


@pytest.mark.parametrize(("preset", "make", "statistics"), FULL, ids=[row[0] for row in FULL])
def test_a_saved_model(preset, make, statistics, tmp_path):
    """Through the file, whose names are those of the hub."""
    other = make().eval()
    scatter(other)
    other.save_pretrained(tmp_path)
    ours, report = load_pretrained(preset, tmp_path, compile=False, return_report=True)
    used_up(report)
    same_logits(ours, lambda pixels: other(pixels).logits, images(224, 224), statistics)


@pytest.mark.parametrize(("preset", "make", "statistics"), FULL[1:], ids=[row[0] for row in FULL[1:]])
def test_the_names_in_memory(preset, make, statistics):
    """Which release 5 has changed."""
    other = make().eval()
    state = scatter(other)
    ours, report = load_pretrained(preset, state, compile=False, return_report=True)
    used_up(report)
    same_logits(ours, lambda pixels: other(pixels).logits, images(224, 224), statistics)


def test_a_saved_model_in_shards(tmp_path):
    other = theirs.ViTForImageClassification(theirs.ViTConfig(**SMALL)).eval()
    scatter(other, 0.2)
    other.save_pretrained(tmp_path, max_shard_size="40KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    ours, report = load_pretrained("vit_b16", tmp_path, input_shape=(64, 64, 3), return_report=True, **OURS)
    used_up(report)
    same_logits(ours, lambda pixels: other(pixels).logits, images(64, 64), HALF)


@pytest.mark.parametrize("size", [(96, 96), (32, 32), (48, 112)])
@pytest.mark.parametrize(
    ("preset", "make", "statistics"),
    [
        ("vit_b16", lambda: theirs.ViTForImageClassification(theirs.ViTConfig(**SMALL)), HALF),
        ("deit_s", lambda: theirs.ViTForImageClassification(theirs.ViTConfig(**SMALL)), (MEAN, STD)),
        ("deit_s_distilled", lambda: theirs.DeiTForImageClassificationWithTeacher(theirs.DeiTConfig(**SMALL)), (MEAN, STD)),
    ],
    ids=["vit", "deit", "deit_distilled"],
)
def test_another_resolution(preset, make, statistics, size, tmp_path):
    other = make().eval()
    scatter(other, 0.2)
    other.save_pretrained(tmp_path)
    ours, report = load_pretrained(preset, tmp_path, input_shape=(*size, 3), return_report=True, **OURS)
    used_up(report, interpolated=1)
    same_logits(ours, lambda pixels: other(pixels, interpolate_pos_encoding=True).logits, images(*size), statistics)


@pytest.mark.parametrize("size", [(112, 112), (224, 224), (112, 224)])
def test_swin_at_another_resolution(size, tmp_path):
    """Of which the window, 7, divides every grid: elsewhere their windows see what pads the map, and ours do not."""
    other = theirs.SwinForImageClassification(theirs.SwinConfig(**SMALL_SWIN)).eval()
    scatter(other, 0.2)
    other.save_pretrained(tmp_path)
    ours, report = load_pretrained("swin_t", tmp_path, input_shape=(*size, 3), return_report=True, **OUR_SWIN)
    used_up(report)
    same_logits(ours, lambda pixels: other(pixels).logits, images(*size))


def test_a_model_without_a_head(tmp_path):
    other = theirs.ViTModel(theirs.ViTConfig(**SMALL)).eval()
    scatter(other, 0.2)
    other.save_pretrained(tmp_path)
    ours = build("vit_b16", input_shape=(64, 64, 3), **OURS)
    report = restore(ours, tmp_path, new_head=True)
    assert set(report.new) == {"head/logits/kernel", "head/logits/bias"}
    assert set(report.skipped) == {"pooler.dense.weight", "pooler.dense.bias"}


def test_a_name_on_the_hub_that_is_out_of_reach(monkeypatch):
    """The real client, told to stay offline."""
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    revision = "0123456789abcdef" * 2 + "01234567"
    with pytest.raises(FileNotFoundError, match=f"https://huggingface.co/one/two/resolve/{revision}/model.safetensors"):
        load_pretrained("vit_b16", "hf:one/two", revision=revision, sha256="ab" * 32)
