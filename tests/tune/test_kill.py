"""Searches in processes of their own that are ended in the middle of a trial."""

import os
import signal
import subprocess
import sys
import time

import pytest

from keras_vix import tune
from tests.tune.small import MODEL

TRIALS = 4


def start(folder, *words):
    command = [sys.executable, "-m", "tests.tune.program", str(folder), str(TRIALS), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process, seconds=400):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_after_sigkill_in_a_trial_the_search_is_completed(tmp_path):
    folder = tmp_path / "run"
    first = start(folder, "--wait", "2")
    wait_for(folder / "waiting", first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    ended = {name: (folder / f"trial_{name}" / "trial.json").read_bytes() for name in "01"}
    assert list(tune.results(folder)["status"]) == ["done", "done", "unfinished"]

    second = start(folder)
    out, err = second.communicate(timeout=400)
    assert second.returncode == 0, err[-3000:]
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("trial")] == ["trial 2", "trial 3"]
    assert all((folder / f"trial_{name}" / "trial.json").read_bytes() == content for name, content in ended.items())
    table = tune.results(folder)
    assert list(table["status"]) == ["done"] * TRIALS and table["score"].notna().all()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_ends_the_command_with_130(tmp_path, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background is started without
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    folder = tmp_path / "run"
    sizes = [word for key, value in MODEL.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "keras_vix", "tune", "linformer", "--space", "m=1,2,3,4", "--epochs", "500", *sizes]
    process = subprocess.Popen([*command, "--out", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(folder / "trial_00" / "trial.json", process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err[-3000:]
    assert "Stopped. Trials that ended are in" in err and "Traceback" not in err
    assert list(tune.results(folder)["status"]) == ["unfinished"]
