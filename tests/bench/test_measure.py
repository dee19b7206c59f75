"""The measurement of a training: what becomes of its curves, a small one from beginning to end, and one that breaks off."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import samples

from keras_vix.bench import child, measure, store, unit
from keras_vix.data import load
from keras_vix.train import Recipe

SMALL = unit.Unit("performer_softmax", epochs=2, limit=120, overrides={"m": 8, "depth": 1, "batch_size": 20})


def tiny():
    """`(batch, 8, 8, 1) -> (batch, 10)`, compiled, with the metrics of ours."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="ce")
    model.compile("sgd", entropy, metrics=["accuracy", metric])
    return model


def test_a_diverged_history_is_marked():
    curves = samples.history(3)
    assert measure.history_figures(curves)["status"] == "done"
    curves["val_loss"][2] = math.nan
    figures = measure.history_figures(curves)
    assert (figures["status"], figures["message"]) == ("nan", "the loss was not a number in epoch 3")


def test_training_that_diverges_stops_and_is_marked():
    model = tiny()
    model.layers[-1].kernel.assign(np.full((64, 10), np.nan))
    recipe = Recipe(epochs=5, batch_size=10)
    events = []
    curves, timing, findings = measure.train(model, load("digits", limit=60), recipe, 0, events.append)
    figures = measure.history_figures(curves)
    assert (figures["status"], figures["epochs"]) == ("nan", 1)
    assert len(timing.steps) == 1
    assert len(findings) == 1 and "not a number in epoch 1" in findings[0]
    assert [event["event"] for event in events] == ["started", "epoch"]
    assert store.to_json(figures)


@pytest.fixture(scope="module")
def row():
    """The row of a small training."""
    events = []
    return child.row_of(SMALL, events.append) | {"events": events}


def test_a_row_has_every_figure(row):
    """No empty cells for tokens, rank, parameters, multiply-adds and memory (B6), nor for accuracies and times."""
    wanted = """
        tokens m trainable_parameters constant_parameters multiply_adds peak_memory_bytes train_memory_bytes
        inference_memory_bytes memory_source train_accuracy val_accuracy val_top5 val_ce test_accuracy test_top5 test_ce
        test_seconds best_epoch epoch_seconds step_seconds median_step_seconds step_spread first_step_seconds
        latency_1_seconds latency_64_seconds latency_runs throughput kernel_error confusion class_names backend device
    """.split()
    assert row["status"] == "done", row.get("message")
    assert [name for name in wanted if row.get(name) is None] == []
    assert store.to_json({key: value for key, value in row.items() if key != "events"})


def test_figures_of_a_row_agree_with_each_other(row):
    assert row["constant_parameters"] == 8 * 12  # one projection of 8 rows for heads of 12 channels
    assert 0 <= row["test_accuracy"] <= row["test_top5"] <= 1 and row["val_accuracy"] <= row["val_top5"] + 1e-6
    table = np.array(row["confusion"])
    assert table.shape == (10, 10) and table.sum() == row["test_images"] == 120
    assert table.trace() / 120 == pytest.approx(row["test_accuracy"])
    assert row["throughput"] == pytest.approx(64 / row["latency_64_seconds"])
    assert row["latency_1_runs"] >= 50 and row["latency_runs"] == min(row["latency_1_runs"], row["latency_64_runs"])
    assert 0 < row["latency_1_seconds"] < row["latency_64_seconds"] < 64 * row["latency_1_seconds"] * 2
    assert 0 < row["kernel_error"] < 10
    assert row["train_memory_bytes"] > 50_000_000 and row["inference_memory_bytes"] > 50_000_000
    assert (row["task"], row["init"], row["devices"], row["deterministic"]) == ("train", "scratch", 1, False)
    assert "weights_sha256" not in row


def test_events_tell_the_curves(row):
    known = unit.remember(row["events"])
    assert known == {"batch_size": row["batch_size"], "epochs": 2, "history": row["history"]}


def test_pictures_are_of_the_first_test_images(row):
    pytest.importorskip("PIL")
    labels = load("digits", limit=120).test.y[:10]
    assert [one["label"] for one in row["samples"]] == labels.tolist()
    assert row["class_names"] == list("0123456789")


@pytest.mark.long
def test_half_of_the_images_to_choose_by(row):
    wider = child.row_of(dataclasses.replace(SMALL, epochs=1, validation=0.5), lambda event: None)
    assert (row["train_images"], row["validation_images"], row["findings"]) == (108, 12, [])
    assert (wider["train_images"], wider["validation_images"], wider["test_images"]) == (60, 60, 120)


@pytest.mark.long
def test_a_row_in_bfloat16_and_several_steps_at_once(row):
    options = SMALL.overrides | {"steps_per_execution": 3}
    mixed = child.row_of(dataclasses.replace(SMALL, epochs=2, dtype_policy="mixed_bfloat16", overrides=options), lambda event: None)
    assert mixed["status"] == "done" and "dtype_policy=mixed_bfloat16" in mixed["label"], mixed.get("message")
    assert (mixed["environment"]["policy"], row["environment"]["policy"]) == ("mixed_bfloat16", "float32")
    assert keras.config.dtype_policy().name == "float32"
    assert mixed["step_seconds"] is None and mixed["epoch_seconds"] > 0 and mixed["train_loss"] != row["train_loss"]


def test_an_exception_after_some_epochs_keeps_their_curves(monkeypatch):
    """F24: a callback that raises in the middle of `fit`."""

    def fit(what, progress):
        measure.train(tiny(), load("digits", limit=60), Recipe(epochs=3, batch_size=10), 0, progress)

    monkeypatch.setattr(child, "measure", fit)

    def listen(event):
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise RuntimeError("the callback gave up")

    row = child.row_of(SMALL, listen)
    assert (row["status"], row["message"]) == ("error", "RuntimeError: the callback gave up")
    assert len(row["history"]["val_accuracy"]) == 2 and row["fingerprint"] == SMALL.fingerprint


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="train, cost"):
        child.measure(unit.Unit("linformer", task="sing"))
