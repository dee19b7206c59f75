"""One process a unit: resume, failures as rows, time limits, interrupts."""

import re
import signal
import time
from pathlib import Path

import pytest

from keras_vix.bench import process, runner, store
from keras_vix.bench.board import Board
from keras_vix.bench.unit import Unit


def test_finished_units_are_not_run_again(fake, tmp_path):
    units = [fake.unit("one"), fake.unit("two")]
    first = runner.run(units, tmp_path / "out", command=fake.command)
    again = runner.run([*units, fake.unit("three")], tmp_path / "out", command=fake.command)
    assert fake.calls == ["one", "two", "three"]
    assert again[:2] == first
    assert [row["status"] for row in again] == ["done"] * 3


def test_redo_runs_them_again(fake, tmp_path):
    units = [fake.unit("one")]
    for redo in (False, True):
        runner.run(units, tmp_path / "out", command=fake.command, redo=redo)
    assert fake.calls == ["one", "one"]


@pytest.mark.parametrize(
    ("preset", "status", "words"),
    [
        ("crash", "error", r"code 3 and no result: segments everywhere"),
        ("shot", "killed", r"SIGKILL; perhaps the machine ran out of memory"),
        ("silent", "error", r"code 0 and no result"),
        ("slow", "timeout", r"stopped after 1.5 seconds"),
    ],
)
def test_a_failure_is_a_row_and_the_suite_goes_on(fake, tmp_path, preset, status, words):
    units = [fake.unit(preset), fake.unit("fine")]
    begin = time.monotonic()
    rows = runner.run(units, tmp_path / "out", command=fake.command, timeout=1.5 if preset == "slow" else 30)
    assert time.monotonic() - begin < 12
    assert [row["status"] for row in rows] == [status, "done"]
    assert re.search(words, rows[0]["message"])
    assert store.find(tmp_path / "out", units[0].label, units[0].fingerprint)["status"] == status


def test_a_failed_unit_is_tried_again_by_the_next_run(fake, tmp_path):
    units = [fake.unit("crash"), fake.unit("fine")]
    for _ in range(2):
        runner.run(units, tmp_path / "out", command=fake.command)
    assert fake.calls == ["crash", "fine", "crash"]


def test_a_diverged_run_keeps_its_row(fake, tmp_path):
    (row,) = runner.run([fake.unit("diverge", status="nan", epochs=1)], tmp_path / "out", command=fake.command)
    assert (row["status"], row["epochs"]) == ("nan", 1)


def test_a_child_that_breaks_after_its_result_has_given_a_result(fake, tmp_path):
    (row,) = runner.run([fake.unit("late")], tmp_path / "out", command=fake.command)
    assert row["status"] == "done"


def test_a_torn_result_is_made_anew(fake, tmp_path):
    unit = fake.unit("one")
    path = store.path_of(tmp_path / "out", unit.label, unit.fingerprint)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 1, "sta')
    with pytest.warns(UserWarning, match=path.name):
        (row,) = runner.run([unit], tmp_path / "out", command=fake.command)
    assert row["status"] == "done" and store.read(path)["status"] == "done"


def test_ctrl_c_stops_the_child_and_keeps_finished_rows(fake, tmp_path, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background is started without
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    units = [fake.unit("fine"), fake.unit("interrupt"), fake.unit("never")]
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner.run(units, tmp_path / "out", command=fake.command)
    assert time.monotonic() - begin < 8
    assert fake.calls == ["fine", "interrupt"]
    assert [row["label"] for row in store.read_all(tmp_path / "out")] == ["fine"]


def test_the_listener_hears_everything_in_order(fake, tmp_path):
    heard = []
    unit = fake.unit("one")
    for _ in range(2):
        runner.run([unit], tmp_path / "out", command=fake.command, listener=heard.append)
    assert [event["event"] for event in heard] == ["unit", "started", "epoch", "row", "skipped"]
    assert heard[0] == {"event": "unit", "number": 1, "units": 1, "label": "one"}


def test_a_unit_that_another_run_measures_is_waited_for(fake, tmp_path):
    mine, theirs = fake.unit("mine"), fake.unit("theirs")
    board, heard = Board([theirs], tmp_path / "out"), []
    assert board.claim() == (theirs, None) and board.claim() is None

    def listen(event):
        heard.append(event["event"])
        if event["event"] == "waiting":
            board.settle(theirs, fake.rows["theirs"] | {"by": "the other"})

    rows = runner.run([theirs, mine], tmp_path / "out", command=fake.command, listener=listen)
    board.close()
    assert fake.calls == ["mine"] and rows[0]["by"] == "the other"
    assert heard == ["unit", "started", "epoch", "row", "waiting", "skipped"]


def test_a_child_gets_the_backend_and_this_package():
    own = process.surroundings(Unit("vit", backend="jax"))
    assert own["KERAS_BACKEND"] == "jax"
    assert Path(own["PYTHONPATH"].split(":")[0], "keras_vix", "bench", "runner.py").exists()


@pytest.mark.parametrize("line", ["", "hello", "[1]", '{"no": "event"}', "{torn"])
def test_what_libraries_print_is_no_event(line):
    assert process.parse(line) == {}
