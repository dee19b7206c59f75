"""The real worker, and one tiny real run in this interpreter."""

import json
import os
import subprocess
import sys

import pytest
from peers import memory, records, timing, worker
from peers.settings import HERE, ROOT, Settings


def test_an_error_is_an_answer():
    session = worker.Session()
    reply = worker.answer(session, {"do": "start", "case": "nothing", "threads": None, "core": None})
    assert reply["event"] == "failed" and "nothing" in reply["reason"]
    assert worker.failure(ImportError("x")) == {"event": "not installed", "reason": "ImportError: x"}


def test_a_block_times_each_step_and_counts_cores():
    found = timing.block(lambda: sum(range(200_000)), 3)
    assert len(found["seconds"]) == 3 and 0 < found["cores_used"] < 1.5


def test_memory_is_read_from_the_kernel():
    if not memory.STATUS.exists():
        pytest.skip("this system has no /proc")
    memory.trim()
    memory.reset_peak()
    before = memory.resident()
    block = bytearray(64 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    assert memory.peak() - before > 48 * 2**20


def test_one_thread_is_asked_of_every_framework():
    from peers.cases import find

    given = Settings(threads=1).surroundings(find("jax-mha"))
    assert given["OMP_NUM_THREADS"] == given["TF_NUM_INTRAOP_THREADS"] == "1" and given["KERAS_BACKEND"] == "jax"
    assert "--xla_cpu_multi_thread_eigen=false" in given["XLA_FLAGS"]
    assert "OMP_NUM_THREADS" not in set(Settings(threads=None).surroundings(find("jax-mha"))) - set(os.environ)


@pytest.mark.long
def test_a_tiny_run_measures_two_contenders_and_goes_on_where_it_was(tmp_path):
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    command = [sys.executable, str(HERE / "run.py"), "--here", "--out", str(tmp_path), "--groups", "attention",
               "--tokens", "16", "--rounds", "1", "--modes", "train", "--cases", f"{backend}-vix-exact"]
    first = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert first.returncode == 0, first.stderr[-2000:]
    kept = json.loads((tmp_path / records.NAME).read_text(encoding="utf-8"))
    assert [(one["case"], one["status"], len(one["blocks"])) for one in kept["records"]] == [
        (f"{backend}-mha", "done", 1), (f"{backend}-vix-exact", "done", 1)]
    assert {one["parameters"] for one in kept["records"]} == {66048}
    assert str(tmp_path) not in json.dumps(kept) and str(ROOT) not in json.dumps(kept)
