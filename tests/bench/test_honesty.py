"""The rules of an honest table, one by one; those that need minutes or processes are in `tests/faults`."""

import time

import keras
import numpy as np
import pytest
import samples

from keras_vix.bench import doubts, environment, latency, measure, tables
from keras_vix.bench.plots.values import ranked
from keras_vix.train.timing import NOISY, Timing, spread


def column(key):
    """The column of that key."""
    return next(one for one in tables.COLUMNS if one.key == key)


def test_b1_times_on_fewer_than_three_steady_epochs_are_marked():
    for steady, sign in ((0, "~"), (2, "~"), (3, ""), (29, "")):
        assert tables.mark(samples.done(steady_epochs=steady), column("epoch_seconds")) == sign


@pytest.mark.alone
def test_b2_the_callback_costs_at_most_a_hundredth_of_half_a_second():
    """The hooks of an epoch of 50 steps, validation and its records included: at most 5 ms."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    timing = Timing(images=50)
    timing.set_model(model)
    taken = []
    for epoch in range(5):
        begin = time.perf_counter()
        timing.on_epoch_begin(epoch)
        for step in range(50):
            timing.on_train_batch_end(step, {"loss": 1.0})
        timing.on_test_begin()
        timing.on_test_end()
        timing.on_epoch_end(epoch, {"loss": 1.0})
        taken.append(time.perf_counter() - begin)
    assert min(taken) <= 0.005


class Slow(keras.callbacks.Callback):
    """A model that takes a known time more for every batch, and a stop watch of its own."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.laps = seconds, []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.monotonic_ns()

    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(self.seconds)

    def on_epoch_end(self, epoch, logs=None):
        self.laps.append((time.monotonic_ns() - self.begin) / 1e9)


@pytest.fixture(scope="module")
def slow():
    """Three epochs of five batches of 100 ms, timed by the callback and by the other watch."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    timing, watch = Timing(), Slow(0.1)
    model.fit(np.ones((40, 4)), np.ones((40, 3)), batch_size=8, epochs=3, verbose=0, callbacks=[watch, timing])
    return timing, watch


@pytest.mark.alone
def test_b3_the_callback_agrees_with_an_outside_stop_watch(slow):
    timing, watch = slow
    assert [one["total_seconds"] for one in timing.epochs[1:]] == pytest.approx(watch.laps[1:], rel=0.02)


@pytest.mark.alone
def test_b8_a_batch_that_sleeps_100_ms_is_measured_as_such(slow):
    """The median of the quieter epoch; what others do meanwhile only adds."""
    steady = [epoch["median_step_seconds"] for epoch in slow[0].epochs[1:]]
    assert min(steady) == pytest.approx(0.1, rel=0.05)


@pytest.mark.alone
def test_b8_a_pass_that_sleeps_100_ms_is_measured_as_such():
    assert latency.repeat(lambda: time.sleep(0.1), least=5, seconds=0.0).median == pytest.approx(0.1, rel=0.05)


def test_b5_unequal_settings_are_found_and_a_halved_batch_is_not_ranked():
    rows = [samples.done("linformer"), samples.done("performer_relu", batch_size=32, retried=True)]
    assert list(name for name, _ in doubts.differences(rows)) == ["batch size"]
    assert [row for row in rows if ranked(row)] == rows[:1]


@pytest.mark.parametrize("percent, busy", [(None, False), (0.0, False), (20.0, False), (20.1, True), (95.0, True)])
def test_b7_use_of_the_machine_by_others_is_in_the_row(percent, busy):
    surroundings = environment.environment() | {"others_percent": percent}
    row = measure.machine_figures(surroundings)
    assert row["busy_at_start"] is busy and row["environment"]["others_percent"] == percent


def test_b9_times_that_scatter_are_above_the_threshold():
    rng = np.random.default_rng(0)
    quiet, noisy = (0.1 * (1 + size * rng.standard_normal(200)) for size in (0.02, 0.3))
    assert spread(quiet.tolist()) < 0.05 < NOISY < spread(noisy.tolist())
    assert spread([0.1, 0.2]) is None and spread([0.1, 0.1, 0.1]) == 0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)


def test_b9_one_slow_step_does_not_make_a_run_noisy():
    assert spread([0.1] * 50 + [60.0]) == 0


def test_f21_a_suspended_laptop_is_a_slow_epoch_and_no_time_is_negative(monkeypatch):
    """The clock of the callback stands a minute ahead after the third epoch: its record says so, the medians do not."""
    now = {"seconds": 0.0}

    def ticks():
        now["seconds"] += 0.01
        return now["seconds"]

    monkeypatch.setattr("keras_vix.train.timing.time.perf_counter", ticks)
    timing = Timing(images=8)
    for epoch in range(5):
        timing.on_epoch_begin(epoch)
        for step in range(4):
            timing.on_train_batch_end(step)
        now["seconds"] += 60.0 if epoch == 2 else 0.0
        timing.on_epoch_end(epoch)
    summary = timing.summary()
    assert summary["slow_epochs"] == [3] and summary["total_seconds"] < 1
    assert min(one["seconds"] for one in timing.steps) > 0 and min(one["train_seconds"] for one in timing.epochs) > 0
