"""Rows for tests, made without training: the shape of real ones, with curves that look like learning."""

import math
from typing import Any

from keras_vix.bench.store import SCHEMA
from keras_vix.bench.unit import Unit

SURROUNDINGS = {
    "utc": "2026-01-02T03:04:05+00:00", "load_average": 0.1, "others_percent": 1.0, "python": "3.11.7",
    "cpu": "Test CPU", "cores": 2, "switches": {}, "backend": "tensorflow", "device": "cpu", "gpu": None,
    "packages": {"keras": "3.15.1"},
}


def history(epochs: int = 30, top: float = 0.95, speed: float = 0.15) -> dict[str, list[float]]:
    """Curves that rise to about `top`, with a small wave so that the best epoch is not the last."""
    rise = [top * (1 - math.exp(-speed * epoch)) + 0.01 * math.sin(epoch) for epoch in range(1, epochs + 1)]
    loss = [2.3 * (1 - value) for value in rise]
    return {
        "accuracy": [value * 0.98 for value in rise], "loss": [value + 0.05 for value in loss],
        "ce": loss, "val_accuracy": rise, "val_loss": loss, "val_ce": loss,
    }


def done(preset: str = "performer_relu", **changes: Any) -> dict[str, Any]:
    """A finished row; `m` and any figure may be given."""
    m = changes.pop("m", None)
    unit = Unit(preset, overrides={} if m is None else {"m": m})
    row = {
        "schema": SCHEMA, "status": "done", "message": "", "label": unit.label, "fingerprint": unit.fingerprint,
        "unit": unit.to_dict(), "preset": preset, "dataset": "digits", "profile": "default", "seed": 0, "m": m,
        "train_images": 1294, "validation_images": 143, "test_images": 360, "batch_size": 64, "epochs": 30,
        "train_accuracy": 0.93125, "val_accuracy": 0.94, "val_loss": 0.25, "val_ce": 0.2, "test_accuracy": 0.9361,
        "test_ce": 0.21, "best_epoch": 27, "best_val_accuracy": 0.95, "epoch_seconds": 0.5, "step_seconds": 0.0254,
        "median_step_seconds": 0.02, "first_step_seconds": 3.0, "steady_epochs": 29, "slow_epochs": [],
        "images_per_second": 2588.4, "trainable_parameters": 138890, "published_parameters": 138890, "tokens": 64,
        "multiply_adds": 9458304, "backend": "tensorflow", "device": "cpu", "cpu": "Test CPU", "cores": 2, "gpu": None,
        "peak_memory_bytes": 10**9, "busy_at_start": False, "environment": SURROUNDINGS, "history": history(),
        "step_times": [[0.5, 0.1], [0.1, 0.1]],
    }
    return row | changes


def broken(preset: str = "linformer", status: str = "killed", message: str = "ended by SIGKILL") -> dict[str, Any]:
    """The row of a run that gave nothing."""
    keep = ("schema", "label", "fingerprint", "unit", "preset", "dataset", "profile", "seed", "m")
    row = done(preset)
    return {key: row[key] for key in keep} | {"status": status, "message": message}


def suite() -> list[dict[str, Any]]:
    """Ten rows of seven presets, several of them at nearly the same place of the picture."""
    table = (
        ("transformer_global", None, 0.55, 0.953), ("transformer_local", None, 0.31, 0.961),
        ("transformer_local_1d", None, 0.42, 0.9505), ("performer_relu", 16, 0.515, 0.925),
        ("performer_relu", 64, 0.56, 0.931), ("performer_softmax", 16, 0.53, 0.9444),
        ("performer_softmax", 64, 0.60, 0.9528), ("performer_exp", None, 0.52, 0.9278),
        ("linformer", None, 0.535, 0.945), ("nystromformer", None, 0.9, 0.9472),
    )
    return [
        done(preset, m=m, epoch_seconds=time, test_accuracy=accuracy,
             history=history(top=accuracy, speed=0.08 + 0.02 * index))
        for index, (preset, m, time, accuracy) in enumerate(table)
    ]
