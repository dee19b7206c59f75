"""Checkpoints of the `timm` package, loaded: the same weights give the same logits as its own models.

Run by `make test-parity`, which installs that package and PyTorch; skipped where they are not.
"""

import math

import numpy as np
import pytest

from keras_vix import load_pretrained

from ..interop.layouts import PLAIN, jax_hybrid, jax_vit
from .common import HALF, MEAN, STD, images, only_torch, same_logits, scatter, torch, used_up
from .stand_in import torchvision_for_the_import

with torchvision_for_the_import():
    timm = pytest.importorskip("timm", reason="needs timm: make test-parity")
safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors: make test-parity")
pytestmark = only_torch

FULL = [
    ("vit_ti16", "vit_tiny_patch16_224", HALF),
    ("deit_ti", "deit_tiny_patch16_224", (MEAN, STD)),
    ("deit_ti_distilled", "deit_tiny_distilled_patch16_224", (MEAN, STD)),
    ("swin_t", "swin_tiny_patch4_window7_224", (MEAN, STD)),
    ("cait_xxs24", "cait_xxs24_224", (MEAN, STD)),
    ("pit_ti", "pit_ti_224", (MEAN, STD)),
    ("pit_ti_distilled", "pit_ti_distilled_224", (MEAN, STD)),
    ("pit_b", "pit_b_224", (MEAN, STD)),
]


def saved(model, folder):
    """The state of a model as a file of its own names."""
    state = {name: np.ascontiguousarray(value.numpy()) for name, value in model.state_dict().items()}
    path = folder / "model.safetensors"
    safetensors.save_file(state, path)
    return path


@pytest.mark.parametrize(("preset", "name", "statistics"), FULL, ids=[row[0] for row in FULL])
def test_a_saved_model(preset, name, statistics, tmp_path):
    other = timm.create_model(name, pretrained=False).eval()
    scatter(other)
    ours, report = load_pretrained(preset, saved(other, tmp_path), compile=False, return_report=True)
    used_up(report)
    same_logits(ours, other, images(224, 224, batch=1), statistics)


# Another resolution: their model is made for it and given positions that torch has interpolated.

WIDTH = dict(embed_dim=32, num_heads=2, depth=2, num_classes=10, patch_size=16)
BODY = dict(dim=32, depth=2, num_heads=2, classes=10, patch=16, compile=False)
POOLS = dict(patch_size=16, stride=8, base_dims=(16, 16), depth=(2, 1), heads=(1, 2), num_classes=10)
POOLED = dict(dim=(16, 32), depth=(2, 1), num_heads=(1, 2), classes=10, patch=16, patch_stride=8, compile=False)


def model_of(kind, size):
    from timm.models import cait, deit, pit, vision_transformer

    return {
        "vit": lambda: vision_transformer.VisionTransformer(img_size=size, **WIDTH),
        "deit_distilled": lambda: deit.VisionTransformerDistilled(img_size=size, **WIDTH),
        "cait": lambda: cait.Cait(img_size=size, **WIDTH),
        "pit": lambda: pit.PoolingVisionTransformer(img_size=size, **POOLS),
        "pit_distilled": lambda: pit.PoolingVisionTransformer(img_size=size, distilled=True, **POOLS),
    }[kind]().eval()


def interpolated(table, shape, front):
    """Positions for a model whose own have that shape, after torch; `front` rows in front stay."""
    if table.ndim == 4:
        return torch.nn.functional.interpolate(table, shape[2:], mode="bicubic", align_corners=False)
    side, dim = math.isqrt(table.shape[1] - front), table.shape[2]
    grid = table[:, front:].reshape(1, side, side, dim).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, shape, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :front], grid.permute(0, 2, 3, 1).reshape(1, -1, dim)], dim=1)


@pytest.mark.parametrize("size", [(96, 96), (48, 112)])
@pytest.mark.parametrize(
    ("kind", "preset", "sizes", "front", "statistics"),
    [
        ("vit", "vit_b16", BODY, 1, HALF),
        ("vit", "deit_s", BODY, 1, (MEAN, STD)),
        ("deit_distilled", "deit_s_distilled", BODY, 2, (MEAN, STD)),
        ("cait", "cait_xxs24", BODY, 0, (MEAN, STD)),
        ("pit", "pit_ti", POOLED, 0, (MEAN, STD)),
        ("pit_distilled", "pit_ti_distilled", POOLED, 0, (MEAN, STD)),
    ],
    ids=["vit", "deit", "deit_distilled", "cait", "pit", "pit_distilled"],
)
def test_another_resolution(kind, preset, sizes, front, statistics, size, tmp_path):
    source, other = model_of(kind, (64, 64)), model_of(kind, size)
    scatter(source, 0.2)
    state = dict(source.state_dict())
    shape = other.pos_embed.shape if other.pos_embed.ndim == 4 else tuple(side // 16 for side in size)
    state["pos_embed"] = interpolated(state["pos_embed"], shape, front)
    other.load_state_dict(state)
    ours, report = load_pretrained(preset, saved(source, tmp_path), input_shape=(*size, 3), return_report=True, **sizes)
    used_up(report, interpolated=1)
    same_logits(ours, other, images(*size), statistics)


STAGES = dict(patch_size=4, embed_dim=16, depths=(2, 2), num_heads=(1, 2), num_classes=10)
STAGED = dict(dim=(16, 32), depth=(2, 2), num_heads=(1, 2), classes=10, compile=False)


def swin(size, window):
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(img_size=size, window_size=window, **STAGES).eval()


@pytest.mark.parametrize("size", [(112, 112), (224, 224), (112, 224)])
def test_swin_at_another_resolution(size, tmp_path):
    """Of which the window, 7, divides every grid: elsewhere their windows see what pads the map, and ours do not."""
    source, other = swin((112, 112), 7), swin(size, 7)
    scatter(source, 0.2)
    other.load_state_dict(source.state_dict())
    ours, report = load_pretrained("swin_t", saved(source, tmp_path), input_shape=(*size, 3), return_report=True, **STAGED)
    used_up(report)
    same_logits(ours, other, images(*size))


def test_swin_with_another_window(tmp_path):
    """Tables of relative positions of 13 x 13 offsets become such of 27 x 27."""
    source, other = swin((112, 112), 7), swin((224, 224), 14)
    scatter(source, 0.2)
    state = dict(source.state_dict())
    tables = [name for name in state if name.endswith("relative_position_bias_table")]
    for name in tables:
        grid = state[name].T.reshape(1, -1, 13, 13)
        grid = torch.nn.functional.interpolate(grid, (27, 27), mode="bicubic", align_corners=False)
        state[name] = grid.reshape(-1, 27 * 27).T
    other.load_state_dict(state)
    ours, report = load_pretrained(
        "swin_t", saved(source, tmp_path), input_shape=(224, 224, 3), window=14, shift=7, return_report=True, **STAGED
    )
    used_up(report, interpolated=len(tables))
    same_logits(ours, other, images(224, 224))


def test_swin_in_the_naming_before_0_9(tmp_path):
    """Mergings at the end of a stage, a head without a layer round it; written out of the present naming."""
    other = swin((112, 112), 7)
    scatter(other, 0.2)
    state = {}
    for name, value in other.state_dict().items():
        words = name.replace("head.fc.", "head.").split(".")
        if words[2:3] == ["downsample"]:
            words[1] = str(int(words[1]) - 1)
        state[".".join(words)] = np.ascontiguousarray(value.numpy())
    assert "layers.0.downsample.reduction.weight" in state
    ours, report = load_pretrained("swin_t", state, input_shape=(112, 112, 3), return_report=True, **STAGED)
    used_up(report)
    same_logits(ours, other, images(112, 112))


def test_a_jax_file_is_read_as_timm_reads_it(tmp_path):
    from timm.models.vision_transformer import VisionTransformer

    made = jax_vit()
    path = tmp_path / "weights.npz"
    np.savez(path, **made.tensors)
    other = VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=5).eval()
    other.load_pretrained(str(path))
    ours, report = load_pretrained("vit_b16", path, return_report=True, **PLAIN)
    used_up(report)
    same_logits(ours, other, images(32, 32), HALF)


def test_a_jax_file_of_a_hybrid_is_read_as_timm_reads_it(tmp_path):
    """Kernels are standardised, so their size is free; large, it leaves nothing of the two epsilons, of variance and deviation."""
    from functools import partial

    from timm.layers import GroupNormAct, StdConv2dSame
    from timm.models.resnetv2 import ResNetV2
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_hybrid import HybridEmbed

    made = jax_hybrid(root=32)
    for name in made.tensors:
        if name.endswith("/kernel") and ("conv" in name):
            made.tensors[name] *= 1000.0
    path = tmp_path / "weights.npz"
    np.savez(path, **made.tensors)
    backbone = ResNetV2(
        layers=(2,), channels=(128,), stem_chs=32, num_classes=0, global_pool="", preact=False, stem_type="same",
        conv_layer=partial(StdConv2dSame, eps=1e-8), norm_layer=partial(GroupNormAct, num_groups=32, eps=1e-6),
    )  # fmt: skip
    other = VisionTransformer(
        img_size=32, patch_size=1, embed_dim=16, depth=2, num_heads=2, num_classes=5, embed_layer=partial(HybridEmbed, backbone=backbone)
    ).eval()
    other.load_pretrained(str(path))
    ours, report = load_pretrained(made.preset, path, return_report=True, **made.sizes)
    used_up(report)
    same_logits(ours, other, images(32, 32), HALF)
