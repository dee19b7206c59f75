"""Who does what: units at once, engines, units that start from others' weights, requests to stop."""

import json
import threading
import time

import pytest

from keras_vix.bench import process, runner, store
from keras_vix.bench.board import Board
from keras_vix.bench.unit import Unit, failure, identity
from tests.stage import leftovers


def test_units_at_once_are_at_once_and_every_row_says_so(stage):
    units, running, most, heard = stage.units(6, seconds=0.3), set(), 0, []

    def listen(event):
        nonlocal most
        heard.append(event)
        if event["event"] == "unit":
            running.add(event["number"])
        if event["event"] == "row":
            running.discard(event["number"])
        most = max(most, len(running))
        assert threading.current_thread() is threading.main_thread()

    rows = runner.run(units, stage.out, command=stage.command, jobs=3, listener=listen)
    assert [row["seed"] for row in rows] == list(range(6)) and {row["jobs"] for row in rows} == {3} and most == 3
    started = [event for event in heard if event["event"] == "started"]
    assert sorted(event["place"] for event in started) == [1, 2, 3, 4, 5, 6] and {event["label"] for event in started} == {units[0].label}


@pytest.mark.parametrize("jobs", [0, -1])
def test_less_than_one_at_once_is_refused_before_anything_is_written(stage, jobs):
    with pytest.raises(ValueError, match=f"jobs={jobs}"):
        runner.run(stage.units(1), stage.out, jobs=jobs)
    assert not stage.out.exists()


class Engine:
    """An engine that measures in this process; what it is told to leave out gets no row."""

    def __init__(self, forget=(), status="done"):
        self.waves, self.forget, self.status, self.closed = [], forget, status, 0

    def __call__(self, units, options, listener, stop):
        self.waves.append([unit.seed for unit in units])
        self.options = options
        try:
            for unit in units:
                listener({"event": "started", "epochs": 3, "fingerprint": unit.fingerprint, "node": "a1"})
                if unit.seed not in self.forget:
                    yield unit, identity(unit) | {"status": self.status, "message": "", "val_accuracy": float("nan")}
        finally:
            self.closed += 1


def test_an_engine_gets_what_is_to_be_done_and_the_runner_stores_it(stage):
    units, engine, heard = stage.units(3), Engine(), []
    runner.run(units[:1], stage.out, command=stage.command)
    rows = runner.run(units, stage.out, engine=engine, timeout=9.0, command=["x"], listener=heard.append)
    assert engine.waves == [[1, 2]] and engine.options == {"timeout": 9.0, "command": ["x"]} and engine.closed == 1
    assert rows == [store.find(stage.out, unit.label, unit.fingerprint) for unit in units] and rows[1]["val_accuracy"] is None
    assert [event["event"] for event in heard] == ["skipped", "started", "row", "started", "row"]
    assert heard[1]["label"] == units[1].label and heard[1]["place"] == 2 and heard[1]["node"] == "a1"


def test_a_unit_that_an_engine_forgets_is_a_failed_row(stage):
    rows = runner.run(stage.units(3), stage.out, engine=Engine(forget=[1]))
    assert [row["status"] for row in rows] == ["done", "error", "done"] and "no result" in rows[1]["message"]


def test_an_engine_is_stopped_when_a_row_cannot_be_stored(stage, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    engine, stop = Engine(), threading.Event()
    monkeypatch.setattr(store, "write", fail)
    with pytest.raises(OSError, match="No space"):
        runner.run(stage.units(3), stage.out, engine=engine, stop=stop)
    assert engine.closed == 1 and stop.is_set() and leftovers(stage.out) == []


def family(stage):
    """A unit, one that starts from its weights, and one that has nothing to do with them."""
    first, other = stage.units(2)
    return first, Unit("fine", seed=7, start=first.fingerprint), other


def test_a_unit_waits_for_the_one_that_it_starts_from(stage):
    units, engine = family(stage), Engine()
    runner.run(units, stage.out, engine=engine)
    assert engine.waves == [[0, 1], [7]] and engine.options["weights"] == stage.out / "weights"


def test_a_unit_whose_start_failed_fails_too(stage):
    first, dependant, other = family(stage)
    rows = runner.run([first, dependant, other], stage.out, engine=Engine(status="killed"))
    assert [row["status"] for row in rows] == ["killed", "error", "killed"]
    assert first.label in rows[1]["message"] and "killed" in rows[1]["message"]
    assert store.find(stage.out, dependant.label, dependant.fingerprint) == rows[1]


def test_a_finished_unit_without_its_weights_is_run_again_when_they_are_needed(stage):
    first, dependant, _ = family(stage)
    runner.run([first], stage.out, command=stage.command)
    engine = Engine()
    runner.run([first, dependant], stage.out, engine=engine)
    assert engine.waves == [[0], [7]]
    board = Board([first, dependant], stage.out)
    assert {board.claim()[1]["status"] for _ in range(2)} == {"done"} and board.complete


def test_weights_are_made_again_along_a_whole_line(stage):
    first, second, _ = family(stage)
    third = Unit("fine", seed=8, start=second.fingerprint)
    runner.run([first, second], stage.out, command=stage.command)
    engine = Engine()
    runner.run([first, second, third], stage.out, engine=engine)
    assert engine.waves == [[0], [7], [8]]


def test_only_wanted_weights_are_kept(stage, tmp_path):
    own = process.surroundings(Unit("vit"), tmp_path, keep=False)
    assert (own["KERAS_VIX_WEIGHTS"], own["KERAS_VIX_KEEP"]) == (str(tmp_path), "0")
    assert "KERAS_VIX_WEIGHTS" not in process.surroundings(Unit("vit"))


def test_a_start_that_is_nowhere_is_refused_and_one_that_is_stored_is_not(stage):
    first, dependant, _ = family(stage)
    with pytest.raises(ValueError, match=first.fingerprint):
        runner.run([dependant], stage.out)
    assert not stage.out.exists()
    store.write_bytes(stage.out / "weights" / f"{first.fingerprint}.weights.h5", b"weights")
    assert runner.run([dependant], stage.out, command=stage.command)[0]["status"] == "done"


def test_weights_of_half_a_batch_are_kept_under_the_unit_itself(tmp_path, stage):
    folder = tmp_path / "weights"
    script = (
        "import hashlib, json, os, sys; unit = json.load(sys.stdin); text = json.dumps(unit, sort_keys=True, separators=(',', ':'));"
        "own = hashlib.sha256(text.encode()).hexdigest()[:10]; print(json.dumps({'event': 'started', 'batch_size': 64}), flush=True)\n"
        "if unit['batch_size'] != 32: raise MemoryError\n"
        "os.makedirs(os.environ['KERAS_VIX_WEIGHTS']); open(os.environ['KERAS_VIX_WEIGHTS'] + f'/{own}.weights.h5', 'w').close()\n"
        "json.dump({'schema': 1, 'status': 'done', 'label': 'fine', 'fingerprint': own, 'unit': unit}, open(sys.argv[-1], 'w'))\n"
        "print(json.dumps({'event': 'done'}), flush=True)"
    )
    import sys

    row = process.attempt(Unit("fine"), command=[sys.executable, "-c", script], weights=folder)
    assert row["status"] == "done" and [path.name for path in folder.iterdir()] == [f"{Unit('fine').fingerprint}.weights.h5"]


def test_an_attempt_stores_nothing_and_can_be_stopped(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (unit,) = stage.units(1)
    assert process.attempt(unit, command=stage.command)["fingerprint"] == unit.fingerprint
    stop = threading.Event()
    begin = time.perf_counter()
    with pytest.raises(process.Stopped):
        process.attempt(Unit("hang"), command=stage.command, stop=stop, listener=lambda event: stop.set())
    assert time.perf_counter() - begin < 5 and [path.name for path in tmp_path.iterdir()] == ["log"]


def test_no_child_outlives_an_error_of_the_listener(stage):
    def listen(event):
        if event["event"] == "epoch":
            raise RuntimeError("the display broke")

    with pytest.raises(RuntimeError, match="display"):
        runner.run([Unit("hang")], stage.out, command=stage.command, listener=listen)
    assert leftovers(stage.out) == [] and Board([Unit("hang")], stage.out).claim() == (Unit("hang"), None)


def test_a_failed_row_of_another_run_is_not_tried_again_by_this_one(stage):
    (unit,) = stage.units(1)
    first, second = Board([unit], stage.out), Board([unit], stage.out)
    first.claim()
    row = first.settle(unit, failure(unit, "error", "no"))
    assert second.claim() == (unit, row)
    assert Board([unit], stage.out).claim() == (unit, None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": -1, "host": 3}', "[" * 10**5])
def test_a_mark_that_makes_no_sense_is_no_obstacle(stage, content):
    (unit,) = stage.units(1)
    mark = Board([unit], stage.out).mark(unit)
    mark.write_text(content)
    board = Board([unit], stage.out)
    assert board.claim() == (unit, None) and json.loads(mark.read_text())["fingerprint"] == unit.fingerprint
    board.close()
    assert not mark.exists()


def test_temporary_files_go_when_their_writer_is_dead(tmp_path):
    import os
    import subprocess

    ended = subprocess.Popen(["true"])
    ended.wait()
    old = time.time() - 2 * store.FOREIGN
    files = {f".a.{store.host()}-{ended.pid}.x.tmp": False, f".a.{store.host()}-{os.getpid()}.x.tmp": True,
             ".a.000000-1.x.tmp": True, ".b.000000-1.x.tmp": False, ".c.json.tmp": True, "kept.tmp": True}  # fmt: skip
    for name in files:
        (tmp_path / name).write_text("")
    os.utime(tmp_path / ".b.000000-1.x.tmp", (old, old))
    store.clean(tmp_path)
    assert {name: (tmp_path / name).exists() for name in files} == files
