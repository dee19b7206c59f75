"""The rules of an honest table that need processes and a quiet machine (`make test-faults`)."""

import importlib.util
import sys

import numpy as np
import pytest

from keras_vix.bench import child, runner, unit
from keras_vix.train.timing import NOISY

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]
PRESETS = ("transformer_global", "performer_relu", "linformer")


BACKEND = "jax" if importlib.util.find_spec("jax") else None  # starts in half the time of TensorFlow


def units():
    """Three models for some seconds each."""
    return [unit.Unit(preset, epochs=4, backend=BACKEND, overrides={"depth": 2}) for preset in PRESETS]


def undisturbed(rows):
    """The step of each model that a tenth of its steps beat, the first epoch apart: `{preset: seconds}`."""
    assert [row["status"] for row in rows] == ["done"] * len(rows)
    return {row["preset"]: float(np.quantile(sum(row["step_times"][1:], []), 0.1)) for row in rows}


# The child without its figures of the finished model, which take longer than the training; on one core, where times are steadier.
COMMAND = [sys.executable, "-c", """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
from keras_vix.bench import child, measure
measure.inference_figures = lambda model, recipe: {}
measure.final_figures = lambda model, data, recipe: {}
measure.kernel_error = lambda model, images: None
sys.exit(child.main(sys.argv[1:]))
"""]


def test_b4_the_order_of_the_rows_changes_no_time(tmp_path):
    """A, B, C and C, B, A in turn, twice: undisturbed steps within 10 %. What else a machine does only adds to a time, so that the
    least counts, and a busy machine gets a third turn and a fourth; what an order does to a row, it does each time."""
    least = {1: {}, -1: {}}
    for turn in range(4):
        for order in (1, -1):
            rows = runner.run(units()[::order], tmp_path / f"{turn}{order}", command=COMMAND)
            for preset, seconds in undisturbed(rows).items():
                least[order][preset] = min(seconds, least[order].get(preset, seconds))
        apart = {preset: least[-1][preset] / least[1][preset] for preset in PRESETS}
        if turn and all(0.9 <= ratio <= 1 / 0.9 for ratio in apart.values()):
            return
    pytest.fail(f"{apart}")


def test_b9_a_run_again_agrees_or_says_that_it_is_noisy(tmp_path):
    rows = [runner.run(units()[:1], tmp_path / str(turn), command=COMMAND)[0] for turn in range(2)]
    first, second = (row["median_step_seconds"] for row in rows)
    noisy = any(row["step_spread"] > NOISY or row["busy_at_start"] for row in rows)
    assert noisy or first == pytest.approx(second, rel=0.05)


def test_b3_a_row_agrees_with_an_outside_stop_watch():
    """Epochs as the progress tells them, on a clock of its own: the sum of the row's epochs within 2 %.

    From the end of the second on: after the first, and outside of it, the peak of memory is begun anew.
    """
    import time

    moments = []
    one = unit.Unit("transformer_global", epochs=6, overrides={"depth": 2})
    row = child.row_of(one, lambda event: moments.append((event["event"], time.monotonic_ns() / 1e9)))
    laps = [moment for event, moment in moments if event == "epoch"]
    assert row["status"] == "done"
    ours = sum(epoch["total_seconds"] for epoch in row["epoch_times"][2:])
    assert ours == pytest.approx(laps[-1] - laps[1], rel=0.02)
