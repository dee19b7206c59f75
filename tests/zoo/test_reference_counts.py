"""The published sizes of the data-efficient, hierarchical and binary transformers, exactly."""

import csv
import json
import pathlib

import keras
import pytest

from keras_vix.zoo import PRESETS, assemble, configure
from keras_vix.zoo.count import published_parameters, trainable_parameters

from ..presets import SOME, sampled

with (pathlib.Path(__file__).parent / "reference_counts.csv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))


def counted(row):
    """The count of a row, of a model whose weights have shapes and no values: the largest would fill 1.4 GB."""
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(row["overrides"] or "{}").items()}
    with keras.StatelessScope(initialize_variables=False):
        model = assemble(configure(row["preset"], init="keras", **options), row["preset"])
    if row["what"] == "published":
        return published_parameters(model, PRESETS[row["preset"]].counting)
    head = trainable_parameters(model.get_layer("head")) if row["what"] == "without head" else 0
    return trainable_parameters(model) - head


@pytest.mark.parametrize("row", sampled(ROWS, lambda row: row["preset"], SOME), ids=lambda row: f"{row['preset']}-{row['count']}")
def test_count(row):
    assert counted(row) == int(row["count"])


def test_all_counts_with_a_reference_are_here():
    assert len(ROWS) >= 116
    assert {row["what"] for row in ROWS} == {"trainable", "published", "without head"}


@pytest.fixture(autouse=True, scope="module")
def forget():
    """Keras remembers weights without values and would give them some at the end of another scope."""
    yield
    keras.utils.clear_session()
