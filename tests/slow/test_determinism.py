"""Five processes, four models: the same bits (`make test-slow`)."""

import dataclasses
import sys
from pathlib import Path

import pytest

from keras_vix.bench.unit import Unit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import repeats  # noqa: E402

UNITS = tuple(
    Unit(preset, epochs=2, limit=200, deterministic=True, overrides=options)
    for preset, options in (
        ("performer_softmax", {"depth": 2, "dropout": 0.1, "m": 8}), ("transformer_local", {"drop_path": 0.2}),
        ("linformer", {"depth": 2, "m": 8}), ("nystromformer", {"depth": 2, "m": 8, "augment": "none"}),
    )
)


@pytest.mark.timeout(900)
def test_five_processes_give_the_same_weights_to_the_bit():
    found = [repeats.rows(UNITS) for _ in range(5)]
    assert all(rows == found[0] for rows in found) and len(found[0]) == 4


@pytest.mark.timeout(300)
def test_another_seed_gives_other_weights():
    rows = repeats.rows([UNITS[0], dataclasses.replace(UNITS[0], seed=1)])
    assert rows[0]["weights_sha256"] != rows[1]["weights_sha256"]
