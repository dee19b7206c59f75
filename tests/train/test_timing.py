"""The timing callback against stop watches, models that sleep, copies, and wrong uses."""

import copy
import json
import time

import keras
import numpy as np
import pytest

from keras_vix.train.timing import Timing, keras_step_seconds, without_first_step

pytestmark = pytest.mark.alone

IMAGES, BATCH, STEPS = 48, 8, 6


def tiny(**compile_options: object) -> keras.Model:
    """(batch, 4) -> (batch, 3), compiled."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compile_options)
    return model


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """48 rows of 4 numbers, and their labels."""
    return np.ones((IMAGES, 4), "float32"), np.arange(IMAGES) % 3


class SlowBatches(keras.utils.PyDataset):
    """Batches that take a known time to come: the loader sleeps."""

    def __init__(self, seconds: float, length: int = STEPS):
        super().__init__()
        self.seconds, self.length = seconds, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(self.seconds)
        return np.ones((BATCH, 4), "float32"), np.zeros(BATCH, "int32")


class Pause(keras.callbacks.Callback):
    """Sleeps inside every training step, so that a step has a known length."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        time.sleep(self.seconds)


class StopWatch(keras.callbacks.Callback):
    """An independent measurement of each whole epoch, on another clock."""

    def __init__(self) -> None:
        super().__init__()
        self.laps: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.begin = time.monotonic_ns()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.laps.append((time.monotonic_ns() - self.begin) / 1e9)


@pytest.fixture(scope="module")
def run() -> tuple[Timing, StopWatch]:
    """Four epochs of six steps that sleep 20 ms each, validation of three batches that sleep 10 ms each."""
    timing, watch = Timing(images=IMAGES), StopWatch()
    tiny().fit(
        *numbers(), batch_size=BATCH, epochs=4, verbose=0,
        validation_data=SlowBatches(0.01, 3), callbacks=[watch, Pause(0.02), timing],
    )
    return timing, watch


def test_there_is_one_record_for_each_step_of_each_epoch(run):
    timing, _ = run
    assert [(s["epoch"], s["step"]) for s in timing.steps] == [(e, s) for e in range(1, 5) for s in range(1, 7)]
    assert [epoch["epoch"] for epoch in timing.epochs] == [1, 2, 3, 4]
    assert [epoch["steps"] for epoch in timing.epochs] == [STEPS] * 4


def test_steps_fit_into_training_and_training_into_the_epoch(run):
    for epoch in run[0].epochs:
        steps = sum(step["seconds"] for step in run[0].steps if step["epoch"] == epoch["epoch"])
        assert 0 < steps <= epoch["train_seconds"] < epoch["total_seconds"]
        assert epoch["total_seconds"] == pytest.approx(epoch["train_seconds"] + epoch["validation_seconds"])


def test_epochs_agree_with_an_outside_stop_watch(run):
    timing, watch = run
    ours = [epoch["total_seconds"] for epoch in timing.epochs[1:]]
    assert ours == pytest.approx(watch.laps[1:], rel=0.02, abs=0.002)


def test_a_step_that_sleeps_is_measured_as_such(run):
    summary = run[0].summary()
    assert 0.020 <= summary["median_step_seconds"] < 0.030
    # Six sleeps of 20 ms and three of 10 ms; a loaded machine only adds.
    assert summary["train_seconds"] >= 0.12
    assert summary["validation_seconds"] >= 0.01


def test_compiling_is_kept_apart(run):
    timing, _ = run
    summary = timing.summary()
    assert summary["first_step_seconds"] == timing.steps[0]["seconds"]
    assert summary["first_epoch_seconds"] == timing.epochs[0]["total_seconds"]
    assert summary["steady_epochs"] == 3
    later = sorted(epoch["total_seconds"] for epoch in timing.epochs[1:])
    assert summary["total_seconds"] == later[1]


def test_images_per_second_is_images_over_training_time(run):
    for epoch in run[0].epochs:
        assert epoch["images_per_second"] == pytest.approx(IMAGES / epoch["train_seconds"])


def test_summary_is_strict_json(run):
    assert json.loads(json.dumps(run[0].summary(), allow_nan=False)) == run[0].summary()


def test_waiting_for_data_counts():
    timing = Timing()
    tiny().fit(SlowBatches(0.03), epochs=2, verbose=0, callbacks=[timing])
    # The loader reads ahead, so the first batches may be free; the epoch as a whole is not.
    assert timing.epochs[1]["train_seconds"] >= 0.03 * (STEPS - 2)


@pytest.mark.parametrize(
    ("total", "steps", "expected"),
    [(10.0, [4.0, 1.0, 1.0, 1.0], 2.0), (5.0, [4.0], 5.0), (5.0, [], None), (3.0, [1.0, 1.0], 2.0)],
)
def test_the_step_time_is_what_keras_prints(total, steps, expected):
    assert keras_step_seconds(total, steps) == expected


def test_a_single_epoch_is_reported_without_its_first_step():
    epoch = {
        "first_step_seconds": 9.0, "median_step_seconds": 1.0, "total_seconds": 15.0, "train_seconds": 12.0,
        "images_per_second": 1.0,
    }
    steady = without_first_step(epoch, images=8)
    assert (steady["total_seconds"], steady["train_seconds"], steady["images_per_second"]) == (7.0, 4.0, 2.0)


def test_one_epoch_has_a_summary_that_says_it_is_not_steady():
    timing = Timing()
    tiny().fit(*numbers(), batch_size=BATCH, epochs=1, verbose=0, callbacks=[timing])
    summary = timing.summary()
    assert summary["steady_epochs"] == 0
    assert 0 < summary["total_seconds"] < summary["first_epoch_seconds"]


def test_an_epoch_far_slower_than_the_others_is_named():
    timing = Timing()
    record = {"steps": 1, "first_step_seconds": 1.0, "train_seconds": 1.0, "validation_seconds": 0.0}
    rest = {"step_seconds": 1.0, "median_step_seconds": 1.0, "images_per_second": None}
    timing.epochs = [
        {"epoch": number, "total_seconds": seconds, **record, **rest}
        for number, seconds in enumerate([50.0, 1.0, 1.1, 9.0, 1.0], 1)
    ]
    assert timing.summary()["slow_epochs"] == [4]


def test_without_steps_no_batch_hook_is_installed():
    per_epoch, per_step = Timing(per_step=False), Timing()
    default = keras.callbacks.Callback.on_train_batch_end
    assert per_epoch.on_train_batch_end.__func__ is default
    assert per_step.on_train_batch_end.__func__ is not default


@pytest.mark.parametrize("per_step", [True, False])
def test_asynchronous_dispatch_is_lost_only_when_steps_are_timed(per_step):
    from keras.src import backend

    if not backend.IS_THREAD_SAFE:
        pytest.skip("this backend never dispatches callbacks asynchronously")
    assert keras.callbacks.CallbackList([Timing(per_step=per_step)])._async_train is not per_step


def test_epoch_level_only_has_epochs_and_no_steps():
    timing = Timing(per_step=False, images=IMAGES)
    tiny().fit(*numbers(), batch_size=BATCH, epochs=3, verbose=0, callbacks=[timing], validation_data=numbers())
    assert timing.steps == []
    assert [epoch["steps"] for epoch in timing.epochs] == [STEPS] * 3
    summary = timing.summary()
    assert summary["step_seconds"] is summary["median_step_seconds"] is summary["first_step_seconds"] is None
    assert summary["images_per_second"] > 0 and summary["validation_seconds"] > 0


def test_fit_again_starts_again():
    timing, model = Timing(), tiny()
    for epochs in (2, 1):
        model.fit(*numbers(), batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[timing])
    assert len(timing.epochs) == 1 and len(timing.steps) == STEPS


def test_evaluate_outside_fit_is_not_timed():
    timing, model = Timing(), tiny()
    model.evaluate(*numbers(), verbose=0, callbacks=[timing])
    assert timing.epochs == []


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Keras itself allows one step per call only on torch")
def test_several_steps_in_one_call_are_fine_without_step_times():
    timing = Timing(per_step=False)
    tiny(steps_per_execution=2).fit(*numbers(), batch_size=BATCH, verbose=0, callbacks=[timing])
    assert len(timing.epochs) == 1


def test_a_deep_copy_keeps_its_own_records():
    original = Timing(images=IMAGES)
    twin = copy.deepcopy(original)
    tiny().fit(*numbers(), batch_size=BATCH, epochs=2, verbose=0, callbacks=[twin])
    assert len(twin.steps) == 2 * STEPS
    assert original.steps == original.epochs == []


def test_the_wall_clock_may_jump(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    timing = Timing()
    tiny().fit(*numbers(), batch_size=BATCH, epochs=2, verbose=0, callbacks=[timing])
    assert min(step["seconds"] for step in timing.steps) > 0


def test_a_batch_hook_costs_little():
    timing = Timing()
    timing.on_epoch_begin(0)
    begin = time.perf_counter()
    for batch in range(20_000):
        timing.on_train_batch_end(batch, {"loss": 1.0})
    # About 0.3 microseconds on an idle machine; 20 is the promise.
    assert (time.perf_counter() - begin) / 20_000 < 20e-6
