"""Every image preset, small, in every format."""

import importlib.util

import keras
import pytest

import keras_vix
from keras_vix.interop.formats import FORMATS

from ..presets import small, twins

pytest.importorskip("tensorflow", reason="exports are written by TensorFlow")


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="exports are written by the TensorFlow backend")
@pytest.mark.parametrize("names", twins(), ids=lambda names: names[0])
def test_every_preset_in_every_format(names, tmp_path):
    """Those that are one model at their small size together."""
    model = keras_vix.build(names[0], dataset="digits", compile=False, **small(names[0]))
    for format, entry in FORMATS.items():
        if all(importlib.util.find_spec(package) for package in entry.packages):
            report = keras_vix.export(model, tmp_path / f"model{entry.suffix}", format)
            assert report.difference <= 1e-4 * max(report.largest, 1.0), report


def test_every_preset_has_its_turn():
    assert sorted(name for names in twins() for name in names) == sorted(keras_vix.list_models())


FULL = {
    "deit_ti": {},  # 12 blocks on 197 tokens, as published
    "deit_ti/performer": {"kernel": "performer", "features": "positive", "m": 64},
    "deit_ti/nystrom": {"kernel": "nystrom", "m": 49},
    "deit_ti/linformer": {"kernel": "linformer", "m": 64},
    "swin_t": {},
}


@pytest.mark.timeout(900)
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="exports are written by the TensorFlow backend")
@pytest.mark.parametrize("format", ["litert", "onnx"])
@pytest.mark.parametrize("name", FULL)
def test_full_size(name, format, tmp_path):
    entry = FORMATS[format]
    if not all(importlib.util.find_spec(package) for package in entry.packages):
        pytest.skip(f"{format} needs {', '.join(entry.packages)}")
    model = keras_vix.build(name.partition("/")[0], compile=False, **FULL[name])
    assert model.input_shape == (None, 224, 224, 3)
    report = keras_vix.export(model, tmp_path / f"model{entry.suffix}", format)
    print(name, format, report.difference, report.largest)
    assert report.difference <= 1e-4 * max(report.largest, 1.0), report
