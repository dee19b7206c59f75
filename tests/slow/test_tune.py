"""Long and shared searches: the memory of many trials, and a chief with two workers."""

import os
import socket
import statistics
import subprocess
import sys

import pytest

from keras_vix import tune

MIB = 2**20


@pytest.mark.timeout(1800)
def test_memory_of_fifty_trials_is_flat(tmp_path):
    """What the process holds when a training begins: over the last forty of fifty trials a line through it rises by 25 MiB at most.

    The first trials fill caches.
    """
    file = tmp_path / "memory.txt"
    command = [sys.executable, "-m", "tests.tune.program", str(tmp_path / "run"), "50", "--memory", str(file)]
    subprocess.run(command, check=True, timeout=1700, stdout=subprocess.DEVNULL)
    held = [int(line) / MIB for line in file.read_text().split()]
    assert len(held) == 50
    slope = statistics.linear_regression(range(10, 50), held[10:]).slope
    assert 40 * slope <= 25, f"{slope:.2f} MiB a trial: {held}"


@pytest.mark.timeout(900)
def test_a_chief_and_two_workers_share_a_search(tmp_path):
    """Three processes on the loopback: every trial once, every figure and reason in the table."""
    folder, trials = tmp_path / "run", 6
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = os.environ | {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    command = [sys.executable, "-m", "tests.tune.program", str(folder), str(trials)]
    names = ("chief", "worker0", "worker1")
    processes = {
        name: subprocess.Popen(command, env=common | {"KERASTUNER_TUNER_ID": name}, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        for name in names
    }  # fmt: skip
    said = {name: process.communicate(timeout=800) for name, process in processes.items()}
    for name, process in processes.items():
        assert process.returncode == 0, (name, said[name][1][-3000:])
    ran = {name: [line.split(":")[0] for line in out.splitlines() if line.startswith("trial ")] for name, (out, _) in said.items()}
    assert ran["chief"] == [] and ran["worker0"] and ran["worker1"]
    assert sorted(ran["worker0"] + ran["worker1"]) == [f"trial {number}" for number in range(trials)]
    table = tune.results(folder)
    assert list(table["status"]) == ["done"] * trials
    assert table["score"].notna().all() and (table["parameters"] > 0).all() and (table["seconds"] > 0).all()
