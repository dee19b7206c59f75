"""Units that cost without learning, and the rows a suite leaves out."""

import sys
import tomllib
from pathlib import Path

import pytest

from keras_vix.bench import cost, preflight, progress, store, suites, unit

RESOLUTION = Path(cost.__file__).parent / "experiments" / "resolution.toml"
SMALL = {"depth": 1, "prefix": 0, "pool": "mean", "input_shape": (32, 32, 3), "patch": 8, "dim": 24}


def unit_of(batch, **options):
    """A small model of the suite's kind."""
    return unit.Unit("vit_ti16", "imagenet", batch_size=batch, task="cost", overrides={**SMALL, **options})


@pytest.fixture(scope="module")
def row():
    """The row of a small model at two images a step, measured where no data set can be read."""
    before = sys.modules.get("keras_vix.data")
    sys.modules["keras_vix.data"] = None
    try:
        return cost.cost(unit_of(2, kernel="performer", m=4))
    finally:
        sys.modules.pop("keras_vix.data")
        if before is not None:
            sys.modules["keras_vix.data"] = before


@pytest.mark.long
def test_a_cost_has_times_memory_and_counts(row):
    wanted = """
        tokens m trainable_parameters constant_parameters multiply_adds train_step_seconds first_step_seconds step_spread
        latency_1_seconds latency_runs throughput train_memory_bytes inference_memory_bytes memory_source peak_memory_bytes
    """.split()
    assert row["status"] == "done" and [name for name in wanted if row.get(name) is None] == []
    assert (row["task"], row["tokens"], row["cost_batch_size"], row["batch_size"]) == ("cost", 16, 2, 2)
    assert row["constant_parameters"] == 4 * 8 and row["latency_runs"] >= 3 and row["train_steps"] >= 3
    assert row["first_step_seconds"] > row["train_step_seconds"] > 0
    assert "history" not in row and "test_accuracy" not in row
    assert store.to_json(row)


def test_latency_at_64_is_there_only_at_that_batch(row):
    assert "latency_64_seconds" not in row and row["throughput_batch_size"] == 2


def test_progress_tells_a_cost_in_its_own_words(row):
    assert progress.outcome(row).startswith("16 tokens, a training step takes ")


def test_rows_of_more_tokens_are_left_out():
    rows = [{"preset": "vit_ti16", **SMALL, "input_shape": [side, side, 3]} for side in (16, 32, 64)]
    suite = suites.make(rows, name="a", defaults={"task": "cost", "dataset": "imagenet"})
    assert len(suites.up_to(suite, None).units) == 3
    assert [one.overrides["input_shape"][0] for one in suites.up_to(suite, 16).units] == [16, 32]
    with pytest.raises(ValueError, match="the smallest row has 4 tokens"):
        suites.up_to(suite, 3)
    with pytest.raises(TypeError, match="up_to"):
        suites.up_to(suite, True)


def test_a_task_is_train_or_cost():
    with pytest.raises(ValueError, match="train, cost"):
        suites.make([{"preset": "vit_ti16", "task": "sing"}], name="a")


def test_only_a_cost_may_name_images_that_are_not_read():
    train, cheap = (
        suites.make([{"preset": "vit_ti16", **SMALL}], name="a", defaults={"dataset": "imagenet", "task": task})
        for task in ("train", "cost")
    )
    assert len(preflight.check(cheap.units)) == 1
    if "imagenet" not in __import__("keras_vix.facts", fromlist=["DATASETS"]).DATASETS:
        with pytest.raises(ValueError, match="dataset must be"):
            preflight.check(train.units)


def test_the_suite_of_resolutions_differs_in_mixer_and_size_alone():
    data = tomllib.loads(RESOLUTION.read_text(encoding="utf-8"))
    defaults = {key: data[key] for key in suites.SETTINGS if key in data} | data["set"]
    suite = suites.make(data["rows"], name="resolution", defaults=defaults)
    assert {(one.preset, one.task, one.batch_size, one.dataset) for one in suite.units} == {("vit_ti16", "cost", 1, "imagenet")}
    ways = {tuple((k, str(v)) for k, v in one.overrides.items() if k != "input_shape") for one in suite.units}
    sizes = {one.overrides["input_shape"][0] for one in suite.units}
    assert len(ways) == 10 and sizes == {224, 384, 512, 1024, 2048} and len(suite.units) == 50
    assert len(suites.up_to(suite, data["up_to"]).units) == 40
    assert len(suites.up_to(suite, 16384).units) == 50
