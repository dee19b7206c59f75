"""Data sets under fire: many processes at once, a process killed while it prepares, memory that stays bounded."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.data.test_bounded_memory import BOUND, NO_PEAK, grown
from tests.data.test_preparing import COUNT, ROOT, TEST, environment, together

pytest.importorskip("tensorflow_datasets")


@pytest.mark.parametrize("processes, times", [(2, 20), (4, 3)])
def test_processes_prepare_one_set(tmp_path, processes, times):
    found = together(tmp_path, times, processes, PATCHES_PAUSE="0.3")
    assert all(each == found[0] for each in found) and len(found[0]) == times
    assert set(found[0]) == {found[0][0]} and found[0][0].startswith(f"{COUNT} {TEST} ")


def test_a_process_killed_while_it_prepares_leaves_nothing_in_the_way(tmp_path):
    command = [sys.executable, "-c", "import sys; from tests.data.builders import main; main(*sys.argv[1:])", str(tmp_path), "1"]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    process = subprocess.Popen(command, env=environment(PATCHES_PAUSE="60"), **options)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("0/patches/incomplete*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and list(tmp_path.glob("0/patches/incomplete*"))
    (found,) = together(tmp_path, 1, 1)
    assert found[0].startswith(f"{COUNT} {TEST} ")


@NO_PEAK
def test_bounded_memory_of_a_prepared_set_is_that_of_some_batches(tmp_path):
    """3,000 images of 128 x 128 take 147 MB decoded."""
    changes = {"PATCHES_COUNT": "3000", "PATCHES_SIDE": "128"}
    together(tmp_path, 1, 1, **changes)
    found = grown("patches", tmp_path / "0", **changes)
    assert found["images"] == 3000 and found["shape"] == [3000, 128, 128, 3]
    assert found["grown"] < BOUND < found["decoded"]


@NO_PEAK
def test_whole_arrays_take_more(tmp_path):
    """The measurement sees what it is to see."""
    changes = {"PATCHES_COUNT": "3000", "PATCHES_SIDE": "128"}
    together(tmp_path, 1, 1, **changes)
    script = "import sys; from tests.data import builders; from keras_vix.data import load; load('digits'); low = peak()\n"
    script += "load('patches', data_dir=sys.argv[1], stream=False); print(peak() - low)"
    start = "import resource\npeak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    command = [sys.executable, "-c", start + script, str(tmp_path / "0")]
    done = subprocess.run(command, env=environment(**changes), cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) > BOUND
