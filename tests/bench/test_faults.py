"""Faults, one small test of each kind; `tests/faults` has the long ones."""

import ast
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import keras_vix
from keras_vix.bench import outcome, process, runner, store
from keras_vix.bench.board import Board
from keras_vix.bench.unit import Unit
from tests.stage import leftovers

HERE = Path(keras_vix.__file__).parent


def test_f2_a_child_that_is_killed_from_outside_is_a_row(stage):
    units = [Unit("hang"), *stage.units(1)]

    def listen(event):
        if event["event"] == "epoch" and event["label"] == "hang":
            (mark,) = (stage.out / ".running").glob("hang-*.started")
            assert json.loads(mark.read_text())["pid"] == os.getpid()
            (own,) = [one for one in psutil.Process().children() if any("stand_in" in word for word in one.cmdline())]
            own.kill()

    rows = runner.run(units, stage.out, command=stage.command, listener=listen)
    assert [row["status"] for row in rows] == ["killed", "done"]
    assert rows[0]["history"] == {"accuracy": [0.25], "loss": [2.0], "val_accuracy": [0.5], "val_loss": [1.0]}
    assert leftovers(stage.out) == []


def test_f3_a_request_to_stop_is_heeded_even_by_a_child_that_does_not_listen(stage):
    stop, begin = threading.Event(), []

    def listen(event):
        if event["event"] == "epoch" and event["label"] == "hang":
            begin.append(time.perf_counter())
            stop.set()

    units = [*stage.units(1), Unit("hang"), Unit("never")]
    with pytest.raises(KeyboardInterrupt):
        runner.run(units, stage.out, command=stage.command, listener=listen, stop=stop)
    assert time.perf_counter() - begin[0] < 5
    assert [row["preset"] for row in store.read_all(stage.out)] == ["fine"] and leftovers(stage.out) == []


def test_f5_a_disk_that_is_full_is_said_and_harms_nothing(stage):
    """A limit on the size of files stands for the full disk."""
    small, large = stage.units(1), [Unit("fine", overrides={"bulk": 10**5})]
    runner.run(small, stage.out, command=stage.command)
    before = {path: path.read_bytes() for path in stage.out.rglob("*.json")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    row = {"schema": 1, "status": "done", "label": "x", "fingerprint": "0123456789", "unit": {}, "words": "x" * 10**5}
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"x-0123456789\.json.*[\d,]+ bytes free.*make room") as caught:
            store.write(store.path_of(stage.out, "x", "0123456789"), row)
        with pytest.raises(OSError, match="File too large"):
            runner.run([*small, *large], stage.out, command=stage.command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == 27 and caught.value.__cause__ is not None
    assert {path: path.read_bytes() for path in before} == before and leftovers(stage.out) == []
    assert [row["status"] for row in runner.run([*small, *large], stage.out, command=stage.command)] == ["done", "done"]


def test_f6_a_folder_that_goes_away_ends_the_run_with_its_name(stage):
    """A file in place of the folder stands for one that cannot be written, which does not stop the superuser."""
    units = stage.units(3)

    def listen(event):
        if event["event"] == "row":
            (stage.out / "rows").rename(stage.out / "rows_before")
            (stage.out / "rows").write_text("")

    with pytest.raises(OSError, match=r"rows.*bytes free.*What was stored before is untouched"):
        runner.run(units, stage.out, command=stage.command, listener=listen)
    assert len(list((stage.out / "rows_before").iterdir())) == 1 and leftovers(stage.out) == []
    (stage.out / "rows").unlink()
    (stage.out / "rows_before").rename(stage.out / "rows")
    assert [row["status"] for row in runner.run(units, stage.out, command=stage.command)] == ["done"] * 3
    assert stage.words("end")[units[0].fingerprint] == 1


@pytest.mark.parametrize(
    "spoil",
    [lambda whole, cut=cut: whole[: cut * (len(whole) - 2) // 20] for cut in range(20)]
    + [lambda whole: b"\x00\xff\xfe" * 100, lambda whole: whole.replace(b'"schema": 1', b'"schema": 2'), lambda whole: b"[]",
       lambda whole: whole.replace(b'"label": "', b'"label": 3, "x": "'), lambda whole: b"[" * 10**5],
)  # fmt: skip
def test_f7_a_result_that_cannot_be_used_is_moved_away_and_made_anew(stage, spoil):
    (unit,) = stage.units(1)
    path = store.path_of(stage.out, unit.label, unit.fingerprint)
    path.parent.mkdir(parents=True)
    row = {"schema": 1, "status": "done", "label": "fine", "fingerprint": unit.fingerprint, "unit": {}}
    bad = spoil(store.to_json(row, indent=None).encode())
    path.write_bytes(bad)
    board = Board([unit], stage.out)
    with pytest.warns(UserWarning, match=path.name):
        assert board.claim() == (unit, None)
    assert (stage.out / "corrupt" / path.name).read_bytes() == bad and not path.exists()
    board.settle(unit, row)
    board.close()
    path.write_bytes(bad)
    with pytest.warns(UserWarning, match=path.name):
        Board([unit], stage.out).claim()
    assert len(list((stage.out / "corrupt").iterdir())) == 2


def test_f7_a_second_file_of_a_unit_is_moved_away(stage):
    (unit,) = stage.units(1)
    (row,) = runner.run([unit], stage.out, command=stage.command)
    copy = stage.out / "rows" / f"a_copy-{unit.fingerprint}.json"
    copy.write_text(json.dumps(row | {"test_accuracy": 1.0}))
    with pytest.warns(UserWarning, match="a_copy"):
        assert store.read_all(stage.out) == [row]
    with pytest.warns(UserWarning, match="a_copy"):
        assert runner.run([unit], stage.out, command=stage.command) == [row]
    assert (stage.out / "corrupt" / copy.name).exists() and sum(stage.words("begin").values()) == 1


def test_f12_two_runs_share_a_folder(stage):
    units, rows = stage.units(6, seconds=0.05), [[], []]

    def work(place):
        rows[place] = runner.run(units, stage.out, command=stage.command)

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows[0] == rows[1] and [row["seed"] for row in rows[0]] == [0, 1, 2, 3, 4, 5]
    assert set(stage.words("begin").values()) == {1} and leftovers(stage.out) == []


def test_f12_what_another_run_has_redone_is_not_redone_again(stage):
    (unit,) = stage.units(1)
    runner.run([unit], stage.out, command=stage.command)
    first, second = Board([unit], stage.out, redo=True), Board([unit], stage.out, redo=True)
    assert first.claim() == (unit, None) and second.claim() is None and second.foreign == [unit]
    row = first.settle(unit, {**store.read_all(stage.out)[0], "again": True})
    assert second.claim() == (unit, row) and second.complete


@pytest.mark.long
def test_f12_the_lock_and_mark_of_a_dead_run_are_no_obstacle(stage):
    script = (
        "import os, sys; from pathlib import Path; from keras_vix.bench.board import Board; "
        "from keras_vix.bench.unit import Unit; board = Board([Unit('fine')], Path(sys.argv[1])); "
        "assert board.claim(); open(board.hidden / 'result-0123456789.json', 'w').close(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(stage.out)]).returncode == -9
    assert len(list((stage.out / ".running").glob("*.started"))) == 1
    assert runner.run(stage.units(1), stage.out, command=stage.command)[0]["status"] == "done"
    assert [path for path in leftovers(stage.out) if "result" not in path] == []


@pytest.mark.parametrize("preset", ["memory", "exhausted", "abort", "limit"])
def test_f14_memory_that_runs_out_is_told_from_other_errors(stage, preset):
    (row,) = runner.run([Unit(preset)], stage.out, command=stage.command)
    assert row["status"] == "oom" and row["retried"] and row["batch_size"] == 32
    assert row["first_failure"]["batch_size"] == 64 and row["first_failure"]["status"] == "oom"
    assert row["fingerprint"] == Unit(preset).fingerprint and row["unit"] == Unit(preset).to_dict()
    assert stage.words("begin").total() == 2


def test_f14_half_the_batch_that_fits_is_a_marked_row(stage):
    heard = []
    (row,) = runner.run([Unit("large")], stage.out, command=stage.command, listener=heard.append)
    assert (row["status"], row["batch_size"], row["retried"]) == ("done", 32, True)
    assert row["first_failure"]["batch_size"] == 64 and "MemoryError" in row["first_failure"]["message"]
    assert store.read_all(stage.out) == [row] and row["unit"] == Unit("large").to_dict()
    assert [event["event"] for event in heard if event["event"] != "epoch"] == ["unit", "started", "retry", "started", "row"]


def test_f14_ten_in_a_row_do_not_end_the_run(stage):
    units = [*stage.units(10, "memory"), Unit("fine")]
    rows = runner.run(units, stage.out, command=stage.command, jobs=2)
    assert [row["status"] for row in rows] == ["oom"] * 10 + ["done"]


@pytest.mark.parametrize(("batch", "devices", "half"), [(64, 1, 32), (3, 1, 1), (1, 1, None), (8, 4, 4), (4, 4, None), (6, 2, None)])
def test_f14_half_a_batch_is_a_batch(batch, devices, half):
    unit = Unit("vit", batch_size=batch, devices=devices)
    assert process.smaller_batch(unit, {"status": "oom"}) == half
    assert process.smaller_batch(unit, {"status": "error"}) is None


def test_f14_the_batch_that_nobody_named_is_that_of_the_recipe():
    from keras_vix.train import recipe

    assert process.smaller_batch(Unit("performer_relu"), {"status": "oom"}) == recipe("performer_relu", "digits").batch_size // 2
    assert process.smaller_batch(Unit("no_such_model"), {"status": "oom"}) is None


@pytest.mark.parametrize(
    ("preset", "status", "words"),
    [
        ("segfault", "killed", "SIGSEGV"), ("crash", "error", "code 3"), ("raise", "error", "no such thing"),
        ("hang", "timeout", "1.5 seconds"), ("orphan", "error", "code 3"),
    ],
)
def test_f15_whatever_a_model_does_is_a_row(stage, preset, status, words):
    begin = time.perf_counter()
    rows = runner.run([Unit(preset), *stage.units(1)], stage.out, command=stage.command, timeout=1.5 if preset == "hang" else 60)
    assert time.perf_counter() - begin < 11.5
    assert [row["status"] for row in rows] == [status, "done"] and words in rows[0]["message"]
    assert rows[0]["epochs"] == 1 and rows[0]["history"]["loss"] == [2.0] and rows[0]["batch_size"] == 64
    assert ("no such thing" in rows[0]["log"]) == (preset == "raise")


def test_f16_a_run_that_diverges_keeps_its_curves(stage):
    (row,) = runner.run([Unit("diverge")], stage.out, command=stage.command)
    assert row["status"] == "nan" and row["history"]["loss"] == [2.0, None] and "log" not in row


@pytest.mark.parametrize("path", sorted((HERE / "bench").glob("*.py")) + sorted((HERE / "train").glob("*.py")), ids=lambda p: p.stem)
def test_f21_no_time_is_taken_from_a_clock_that_can_be_set(path):
    """The wall clock may say when something was, never how long it took; the age of a file knows no other clock."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute) and node.attr == "time"]
    assert not [node for node in calls if getattr(node.value, "id", "") == "time"] or path.stem == "store"


def test_f21_a_clock_that_jumps_changes_no_time_limit(stage, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    rows = runner.run([Unit("hang"), *stage.units(1)], stage.out, command=stage.command, timeout=1.5)
    assert [row["status"] for row in rows] == ["timeout", "done"]


def test_f22_a_child_is_spawned_and_inherits_nothing(stage, monkeypatch):
    script = (
        "import json, os, sys; json.load(sys.stdin); found = [name for name in ('keras', 'tensorflow', 'jax') if name in sys.modules];"
        "open_ = sorted(map(int, os.listdir('/proc/self/fd'))) if os.path.isdir('/proc/self/fd') else [];"
        "print(found, open_, os.environ.get('KERAS_VIX_WEIGHTS'), file=sys.stderr); os._exit(3)"
    )
    import keras

    monkeypatch.setenv("KERAS_VIX_WEIGHTS", "elsewhere")
    keras.config.set_dtype_policy("mixed_bfloat16")
    with open(HERE / "checks.py") as file:
        os.set_inheritable(file.fileno(), True)
        row = process.attempt(Unit("fine"), command=[sys.executable, "-c", script])
    assert "[] [0, 1, 2, " in row["log"] and row["log"].endswith(" None")
    inherited = json.loads(row["log"].partition(" ")[2].rpartition(" ")[0])
    assert len(inherited) <= 5  # the three streams, the pipe to the parent, and the listing itself


@pytest.mark.long
@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("filelock", "from keras_vix.bench import runner; from pathlib import Path; runner.run([], Path('out'))"),
        ("seaborn", "from keras_vix import cli; from keras_vix.bench.suites import Suite; from pathlib import Path; "
         "cli.bench.measure(Suite('a', 'a', ()), Path('out'), '', False, None, False)"),
    ],
)
def test_f23_a_missing_package_is_named_when_it_is_needed(stage, package, call):
    script = f"import sys; sys.modules[{package!r}] = None; import keras_vix; print('imported'); {call}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=stage.folder)
    assert done.stdout.startswith("imported") and done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and f"pip install {package}." in last
    assert list(stage.folder.iterdir()) == []


def test_f24_a_run_that_breaks_keeps_the_epochs_before(stage):
    (row,) = runner.run([Unit("raise")], stage.out, command=stage.command)
    assert (row["status"], row["epochs"], row["history"]["val_accuracy"]) == ("error", 1, [0.5])


@pytest.mark.parametrize("name", ["with spaces and 'quotes'", "größer-数字-🙂", "x" * 200, "-leading", "[red]a"])
def test_f25_a_folder_may_have_any_name(stage, name):
    out = stage.folder / name / "out"
    unit = Unit("fine", overrides={"words": "a label with $signs, `ticks` und Umlauten: ä " + "y" * 150})
    rows = runner.run([unit], out, command=stage.command)
    assert rows == store.read_all(out) and rows[0]["status"] == "done"
    assert all(len(path.name.encode()) <= 100 for path in out.rglob("*"))


@pytest.mark.parametrize("label", ["con", "NUL", "aux.x", "com1 ", "lpt9.txt", "prn", "con.", "CONIN"])
def test_f25_no_file_has_a_name_that_windows_keeps(label):
    assert store.slug(label).split(".")[0].lower() not in store.RESERVED
    assert store.slug("performer_relu m=16") == "performer_relu-m-16"


@pytest.mark.parametrize(
    ("code", "log", "starved", "status"),
    [
        (-9, "", False, "killed"), (-9, "", True, "oom"), (-9, "RESOURCE_EXHAUSTED: out of memory", False, "oom"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", False, "oom"), (-6, "assertion", True, "killed"),
        (1, "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB for an array", False, "oom"),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", False, "oom"),
        (1, "XlaRuntimeError: RESOURCE_EXHAUSTED: Failed to allocate request for 2GiB", False, "oom"),
        (1, "RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory", False, "oom"),
        (1, "ResourceExhaustedError: {{function_node}} rows/x.json; No space left on device", False, "error"),
        (1, "RESOURCE_EXHAUSTED: Received message larger than max (9 vs. 4)", False, "error"),
        (1, "ValueError: memory_limit must be positive", False, "error"), (3, "", True, "error"), (-64, "", False, "killed"),
    ],
)
def test_f14_what_a_child_died_of(code, log, starved, status):
    assert outcome.explain(code, log, starved)[0] == status


def test_f14_an_error_that_came_from_want_of_memory():
    try:
        try:
            raise MemoryError
        except MemoryError as error:
            raise ValueError("could not build the model") from error
    except ValueError as error:
        assert outcome.status_of(error) == "oom"
    assert outcome.status_of(ValueError("no such thing")) == "error"


def test_f24_a_failed_row_with_curves_breaks_no_page(tmp_path):
    import samples

    from keras_vix.bench import report

    curves = {"loss": [2.0, None], "accuracy": [0.25, 0.5], "val_loss": [1.0, None], "val_accuracy": [0.5, None]}
    rows = [samples.done(), samples.broken(status="error") | {"history": curves, "epochs": 2, "log": "Traceback"}]
    for row in rows:
        store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
    assert len(report.write(tmp_path)) == 2
    assert "linformer (error)" in (tmp_path / "results.md").read_text()
