"""Presets at sizes that a test can afford."""

import dataclasses

import pytest

from keras_vix.zoo import PRESETS, configure
from keras_vix.zoo.families import FAMILIES

# Families whose rows stand for large models: published for ImageNet, or deep networks for small images.
LARGE = {name for name, family in FAMILIES.items() if family.dataset == "imagenet"} | {n for n in FAMILIES if n.startswith("sl_")}
# One row of each family, and all of the first study.
SAMPLE = {next(name for name, row in PRESETS.items() if row.family == family) for family in FAMILIES} | {
    "hybrid_vil_rope", "levin", "ccp", "pin", "deit_ti_distilled",
} | {name for name, row in PRESETS.items() if row.family in ("isotropic", "swin")}  # fmt: skip

# Few that between them have each kernel and mixer, a stem, a pyramid, a teacher's token.
SOME = {
    "performer_softmax", "linformer", "nystromformer", "transformer_local_1d", "fnet", "mlp_mixer", "levit", "cvt", "swin_t", "cait_xxs24", "sl_vit",
    "ccn", "deit_ti_distilled", "binary_vit", "acc_vit_t",
}  # fmt: skip


def sampled(cases, name=lambda case: case, sample=SAMPLE):
    """Cases for `parametrize`; those of presets outside the sample are left to `make test-long`."""
    return [pytest.param(case, marks=() if name(case) in sample else pytest.mark.long) for case in cases]


def shallow(name, dataset):
    """One block in all; the last, where a class token must hear of the other tokens."""
    config = configure(name, dataset=dataset)
    rest = (0,) * (len(config.dim) - 1)
    return (*rest, 1) if config.prefix else (1, *rest)


def light(name, dataset="digits"):
    """Overrides that leave a row of a large family one block and narrow tokens, and a residual network's stages one unit each."""
    if PRESETS[name].family not in LARGE:
        return {}
    config = configure(name, dataset=dataset)
    dim = tuple(32 * 2**stage for stage in range(len(config.dim)))
    mlp = {"mlp_dim": tuple(2 * width for width in dim)} if config.mlp_dim else {}
    units = {"blocks": (1,) * len(config.options["blocks"])} if "blocks" in config.options else {}
    scales = {"scale": 0.1} if config.scale else {}  # from 1e-5 a branch would stay silent for the steps of a test
    scales |= {"class_scale": 0.1} if "class_scale" in config.options else {}
    return {"depth": shallow(name, dataset), "dim": dim, "num_heads": (2,) * len(dim)} | mlp | scales | units


def small(name, dataset="digits"):
    """Overrides that leave any row one block, and one of a large family narrow tokens as well."""
    return {"depth": shallow(name, dataset), **light(name, dataset)}


def twins(dataset="digits", training=False):
    """All presets, those that are one model at their small size together: in inference, or in training too."""
    found = {}
    for name in PRESETS:
        config = configure(name, dataset=dataset, **small(name, dataset))
        drops = {"dropout": 0.0, "attention_dropout": None, "drop_path": 0.0, "drop_path_growth": "linear"}
        found.setdefault(repr(config if training else dataclasses.replace(config, **drops)), []).append(name)
    return list(found.values())
