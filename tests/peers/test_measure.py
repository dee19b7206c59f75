"""The turns of a set, with workers that behave well, crash, hang, or talk nonsense."""

import sys
from pathlib import Path

import pytest
from peers import measure as module
from peers.cases import find
from peers.measure import Pool, measure
from peers.plan import Contender, Group
from peers.process import Worker, WorkerError, parse
from peers.settings import Settings

FAKE = str(Path(__file__).with_name("fake_worker.py"))
CASE = find("tensorflow-mha")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.3)
    monkeypatch.setattr("peers.machine.load", lambda: {"load_average": 1.0, "busy_percent": 0.0})


def run(manner, rounds=2, limit=1.0):
    settings = Settings(rounds=rounds, limit=limit, here=True)
    with Pool(settings, (FAKE, manner)) as pool:
        records, loads = measure(Group("attention", "train", (Contender(CASE, 16),)), pool)
        worker = pool.workers.get((CASE.name, 0))
    assert worker is None or not worker.alive
    return records[0], loads


def test_a_good_worker_gives_a_block_a_round():
    record, loads = run("good", rounds=3)
    assert record["status"] == "done"
    found = [(block["round"], block["steps"], block["median"]) for block in record["blocks"]]
    assert found == [(0, 1, 0.25), (1, 1, 0.25), (2, 1, 0.25)]
    assert record["memory_bytes"] == 123 and record["first_seconds"] == 0.5 and len(loads) == 3


def test_garbage_between_answers_is_skipped():
    assert run("garbage")[0]["status"] == "done"


def test_a_crash_is_a_cell_with_its_last_words():
    record, _ = run("crash")
    assert record["status"] == "failed" and record["blocks"] == []
    assert "code 3" in record["reason"] and "the last words" in record["reason"]


def test_a_step_beyond_the_limit_is_never_a_number():
    record, _ = run("slow", limit=0.2)
    assert record["status"] == "> limit" and record["blocks"] == []


def test_a_step_that_was_too_long_when_it_came_back():
    record, _ = run("admits", limit=12.0)
    assert record["status"] == "> limit" and "99.0 seconds" in record["reason"]


def test_a_missing_package_is_not_installed():
    record, _ = run("missing")
    assert record["status"] == "not installed" and "No module named 'x'" in record["reason"]


def test_a_missing_interpreter_is_not_installed(tmp_path):
    settings = Settings(environments=tmp_path)
    with Pool(settings) as pool:
        records, _ = measure(Group("attention", "train", (Contender(CASE, 16),)), pool)
    assert records[0]["status"] == "not installed"


def test_a_keras_case_of_another_backend_is_not_started():
    pool = Pool(Settings(here=True, backend="jax"), (FAKE, "good"))
    with pool, pytest.raises(WorkerError, match="KERAS_BACKEND=tensorflow"):
        pool.worker(CASE, 0)


def test_workers_that_a_set_does_not_need_are_closed():
    with Pool(Settings(rounds=1, here=True), (FAKE, "good")) as pool:
        measure(Group("attention", "train", (Contender(CASE, 16), Contender(find("tensorflow-vix-exact"), 16))), pool)
        measure(Group("attention", "train", (Contender(CASE, 32),)), pool)
        assert [name for name, _ in pool.workers] == [CASE.name]


@pytest.mark.parametrize("manner, starts", [("good", 1), ("heavy", 4)])
def test_a_worker_that_keeps_much_memory_is_begun_again_for_each_turn(manner, starts, monkeypatch):
    begun = []
    monkeypatch.setattr(module, "Worker", lambda *given: begun.append(Worker(*given)) or begun[-1])
    record, _ = run(manner, rounds=3)
    assert record["status"] == "done" and len(record["blocks"]) == 3
    assert len(begun) == starts and not any(worker.alive for worker in begun)


def test_tensorflow_gets_a_new_process_for_each_size_that_is_trained():
    with Pool(Settings(rounds=1, here=True), (FAKE, "good")) as pool:
        processes = []
        for mode, tokens in (("train", 16), ("forward", 16), ("train", 32)):
            measure(Group("attention", mode, (Contender(CASE, tokens),)), pool)
            processes.append(pool.workers[CASE.name, 0].process.pid)
    assert processes[0] == processes[1] != processes[2]


def test_the_order_turns_round(monkeypatch):
    order = []
    original = module.Run.block

    def noted(self, number):
        order.append((number, self.contender.tokens))
        original(self, number)

    monkeypatch.setattr(module.Run, "block", noted)
    group = Group("doubling", "train", (Contender(CASE, 16), Contender(CASE, 32)))
    with Pool(Settings(rounds=3, here=True), (FAKE, "good")) as pool:
        measure(group, pool)
        assert len(pool.workers) == 2
    assert order == [(0, 16), (0, 32), (1, 32), (1, 16), (2, 16), (2, 32)]


def test_an_answer_is_an_object_with_an_event():
    assert parse('{"event": "ok"}') == {"event": "ok"}
    assert parse("[]") is None and parse('{"event": 1}') is None and parse("x") is None


def test_a_killed_worker_says_so():
    worker = Worker((sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"), {})
    with pytest.raises(WorkerError, match="SIGKILL; perhaps the machine ran out of memory"):
        worker.ask(10.0, do="start")
    assert not worker.alive
