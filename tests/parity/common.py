"""What the comparisons with other packages share: scattered weights, raw images, and logits side by side."""

import keras
import numpy as np
import pytest
from keras import ops

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-parity")

MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
HALF = (np.array((0.5,) * 3), np.array((0.5,) * 3))
only_torch = pytest.mark.skipif(keras.config.backend() != "torch", reason="one framework in a process: KERAS_BACKEND=torch")


def scatter(model, size=0.05):
    """Weights far enough from their start that none can hide: normal, factors of normalisations round 1; by name, as arrays."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1.0 + 0.1 * noise if "norm" in name and name.endswith("weight") else size * noise)
    return {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}


def images(rows, columns, batch=2):
    return np.random.default_rng(0).integers(0, 256, (batch, rows, columns, 3)).astype("float32")


def same_logits(ours, answer, raw, statistics=(MEAN, STD)):
    """Our logits of raw images are, to 1e-4, what `answer` says of normalised ones, channels first."""
    mean, std = statistics
    pixels = torch.tensor(((raw / 255.0 - mean) / std).transpose(0, 3, 1, 2).astype("float32"))
    with torch.no_grad():
        wanted = answer(pixels).numpy()
    found = ops.convert_to_numpy(ours(raw, training=False))
    assert np.abs(wanted).max() > 0.5  # logits that say something
    assert np.abs(found - wanted).max() <= 1e-4


def used_up(report, interpolated=0):
    """Every weight of theirs has found its place, and every one of ours has come from there."""
    assert report.new == report.skipped == () and len(report.interpolated) == interpolated
