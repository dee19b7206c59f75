"""A model with each part of the zoo through a SavedModel to LiteRT; `tests/slow` has every preset in every format."""

import keras
import pytest

import keras_vix
from keras_vix.zoo import PRESETS, configure
from keras_vix.zoo.config import AXES

from ..presets import sampled, small

pytest.importorskip("tensorflow", reason="exports are written by TensorFlow")
here = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="one test shows that other backends ask this one")
# Between them they have every part of every preset.
REPRESENTATIVES = (
    "acc_vit_t", "binary_vit", "binary_deit_s", "cait_xxs24", "ccn", "cvt", "deit_ti_distilled", "hybrid_fnet", "levit", "linformer",
    "mlp_mixer", "performer_relu", "pip", "r_ti16", "sl_swin", "sl_vit_lsa", "t2t_vit_7", "transformer_local_1d", "vip_rope",
)  # fmt: skip


def parts_of(config):
    """The parts of a model, as `(axis, name)`; a mixer without a kernel has none."""
    return {(axis, getattr(config, axis)) for axis in AXES if axis != "kernel" or "kernel" in config.asks("mixer")}


def test_representatives_have_every_part():
    configs = {name: configure(name, dataset="digits", **small(name)) for name in PRESETS}
    assert set().union(*(parts_of(configs[name]) for name in REPRESENTATIVES)) == set().union(*map(parts_of, configs.values()))


@here
def test_shifted_windows_in_litert(tmp_path):
    """Every second block is shifted: the models of one block have none."""
    sizes = {"patch": 2, "window": 2, "shift": 1, "dim": (8,), "depth": (2,), "num_heads": (1,), "mlp_dim": (8,)}
    model = keras_vix.build("swin_t", dataset="digits", compile=False, **sizes)
    assert any(getattr(layer, "shift", 0) for layer in model._flatten_layers())
    assert keras_vix.export(model, tmp_path / "model.tflite").difference <= 1e-4


@pytest.mark.long
@here
@pytest.mark.parametrize("name", sampled(REPRESENTATIVES, sample=("linformer", "levit", "sl_swin")))
def test_every_part_in_litert(name, tmp_path):
    model = keras_vix.build(name, dataset="digits", compile=False, **small(name))
    report = keras_vix.export(model, tmp_path / "model.tflite")
    assert report.difference <= 1e-4 * max(report.largest, 1.0)
