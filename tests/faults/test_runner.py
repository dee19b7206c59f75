"""Long tests of faults: the real command line, ended at random moments, on a full disk, by several at once."""

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from keras_vix.bench import runner, store
from keras_vix.bench.unit import Unit
from tests.stage import kill, leftovers

TIMES = ("epoch_seconds", "pid", "jobs")


def stored(out: Path) -> dict[str, dict]:
    """The good rows of a results folder by fingerprint."""
    return {row["fingerprint"]: row for row in store.read_all(out) if row["status"] == "done"}


def untimed(rows) -> list[dict]:
    """Rows without what differs from run to run."""
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def ready(process: subprocess.Popen) -> float:
    """Wait until the imports are done; returns the moment."""
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return time.perf_counter()


def wait_for(condition, process: subprocess.Popen, seconds: float = 60) -> None:
    """Wait until a condition holds, while the process runs."""
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end and process.poll() is None
        time.sleep(0.01)


@pytest.mark.timeout(900)
def test_f1_killed_at_twenty_moments_and_resumed(stage):
    """Nothing finished is run again, nothing is left over, and the table is that of an undisturbed run."""
    units, undisturbed = stage.units(120, seconds=0.15), stage.folder / "undisturbed"
    whole = runner.run(units, undisturbed, command=stage.command, jobs=2)
    stage.log.unlink()
    draw = random.Random(1)
    for moment in range(20):
        finished, before = stored(stage.out), stage.words("begin")
        assert len(finished) < len(units)
        process = stage.bench(units, "--jobs", str(1 + moment % 2))
        ready(process)
        if moment % 5:  # every fifth moment is one of the start
            wait_for(lambda: stage.words("begin").total() > before.total(), process)  # noqa: B023
        time.sleep(draw.uniform(0.05, 0.8))
        kill(process)
        time.sleep(0.2)
        begun = stage.words("begin")
        time.sleep(0.4)
        assert stage.words("begin") == begun, "a child outlived its runner and went on"
        assert all(begun[key] == before[key] for key in finished)
    finished, before = stored(stage.out), stage.words("begin")
    rows = runner.run(units, stage.out, command=stage.command)
    assert len(finished) > 5 and all(stored(stage.out)[key] == row for key, row in finished.items())
    assert untimed(rows) == untimed(whole) and untimed(store.read_all(stage.out)) == untimed(store.read_all(undisturbed))
    assert all(stage.words("begin")[key] == before[key] for key in finished)
    assert 0 < stage.words("begin").total() - len(units) <= 30 and leftovers(stage.out) == []


SMOKE = """
dataset = "digits"
epochs = 1
limit = 100
seeds = [0, 1]
[set]
depth = 1
dim = 16
num_heads = 2
[[rows]]
preset = "performer_relu"
m = 4
[[rows]]
preset = "transformer_global"
[[rows]]
preset = "linformer"
m = 4
"""
SAME = ("label", "train_accuracy", "val_accuracy", "val_loss", "epochs", "test_accuracy", "best_epoch", "val_ce", "test_ce",
        "trainable_parameters", "tokens", "multiply_adds", "fingerprint", "status")  # fmt: skip


@pytest.mark.timeout(900)
def test_f1_a_real_suite_killed_at_twenty_moments(stage):
    """Six real units."""
    (stage.folder / "smoke.toml").write_text(SMOKE)

    backend = {"KERAS_BACKEND": "jax"} if importlib.util.find_spec("jax") else {}  # starts in half the time of TensorFlow

    def bench(out: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "keras_vix", "bench", "smoke.toml", "--out", out], cwd=stage.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=os.environ | backend,
        )

    def table(out: str) -> list[dict]:
        rows = json.loads((stage.folder / out / "results.json").read_text())["rows"]
        return [{key: row[key] for key in SAME} | {"history": row["history"]} for row in rows]

    def finished() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (stage.out / "rows").glob("*.json")}

    begin = time.perf_counter()
    whole = bench("undisturbed")
    _, said = whole.communicate()
    assert whole.returncode == 0 and len(table("undisturbed")) == 6, said
    each = min(14.0, (time.perf_counter() - begin) / 6)
    draw, kept, kills = random.Random(2), {}, 0
    while kills < 20:
        process = bench("out")
        time.sleep(draw.uniform(0.05, 1.5) * each if len(kept) < 6 else draw.uniform(0.2, 1.5))
        if process.poll() is None:
            kill(process)
            kills += 1
        else:
            process.communicate()
            assert len(kept) >= 4, "a run ended by itself"  # with one or two units left it may end in time
        now = finished()
        assert all(now[name] == content for name, content in kept.items()), "a finished row was made anew"
        kept = now
    assert kept
    last = bench("out")
    _, said = last.communicate()
    assert last.returncode == 0, said
    assert table("out") == table("undisturbed") and leftovers(stage.out) == []
    assert all(finished()[name] == content for name, content in kept.items())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_f3_f4_one_request_ends_the_run_within_five_seconds(stage, name):
    units = [*stage.units(1), Unit("hang"), Unit("never")]
    process = stage.bench(units)
    ready(process)
    wait_for(lambda: stage.words("begin").total() == 2, process)
    (child,) = psutil.Process(process.pid).children()
    begin = time.perf_counter()
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=20)
    assert time.perf_counter() - begin < 5 and process.returncode == 130
    assert "the same command goes on from there" in err and "Traceback" not in err
    assert not child.is_running() and leftovers(stage.out) == []
    assert [row["preset"] for row in store.read_all(stage.out)] == ["fine"]


def test_f3_two_requests_end_it_at_once(stage):
    process = stage.bench([Unit("hang")])
    ready(process)
    wait_for(lambda: stage.words("begin").total() == 1, process)
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.perf_counter() - begin < 1 and process.returncode == 130
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running()


def test_f4_a_hang_up_that_nohup_ignores_is_ignored(stage):
    units = stage.units(2, seconds=1.0)
    process = stage.bench(units, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    ready(process)
    wait_for(lambda: stage.words("begin").total() == 1, process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0 and len(stored(stage.out)) == 2


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB, which the superuser of Linux can make, as a function that mounts it anew with other words."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(words: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(place)], capture_output=True)
        if done.returncode:
            pytest.skip("no right to mount a disk")
        return place

    if shutil.which("mount") is None:
        pytest.skip("no program to mount a disk")
    mount("size=300k")
    yield mount
    subprocess.run(["umount", str(place)], check=True)


def broken_off(process: subprocess.Popen, out: Path) -> dict[Path, bytes]:
    """Check that a run has ended with one clear message; returns the rows that it leaves."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in err
    assert "bytes free" in err and "The same command goes on from there." in err
    rows = {path: path.read_bytes() for path in (out / "rows").glob("*.json")}
    assert 2 <= len(rows) < 12 and len(stored(out)) == len(rows)
    return rows


def goes_on(stage, units, out: Path, before: dict[Path, bytes]) -> None:
    """Check that the same command ends the run, and leaves what was there alone."""
    again = stage.bench(units, out=out)
    again.communicate(timeout=60)
    assert again.returncode == 0 and len(stored(out)) == 12 and leftovers(out) == []
    assert {path: path.read_bytes() for path in before} == before


def test_f5_a_disk_that_is_full(stage, small_disk):
    units, out = stage.units(12, bulk=40_000), stage.folder / "disk" / "out"
    before = broken_off(stage.bench(units, out=out), out)
    small_disk("remount,size=8m")
    goes_on(stage, units, out, before)


def test_f6_a_folder_that_cannot_be_written_any_more(stage):
    """For the superuser, whom permissions do not stop, the folder becomes immutable."""
    units, rows = stage.units(12, seconds=0.3), stage.out / "rows"
    process = stage.bench(units)
    ready(process)
    wait_for(lambda: len(stored(stage.out)) == 2, process)
    if os.geteuid():
        lock, free = ["chmod", "500", str(rows)], ["chmod", "700", str(rows)]
    else:
        lock, free = ["chattr", "+i", str(rows)], ["chattr", "-i", str(rows)]
    try:
        if shutil.which(lock[0]) is None or subprocess.run(lock, capture_output=True).returncode:
            process.communicate(timeout=60)
            pytest.skip("no way to make a folder immutable")
        before = broken_off(process, stage.out)
    finally:
        subprocess.run(free, capture_output=True)
    goes_on(stage, units, stage.out, before)


@pytest.mark.timeout(600)
def test_f12_eight_processes_share_a_folder_twenty_times(stage):
    script = """
import json, sys
from pathlib import Path
from keras_vix.bench import report, runner
from keras_vix.bench.unit import Unit
units = [Unit("fine", seed=seed, overrides={"seconds": 0.02}) for seed in range(8)]
for turn in range(20):
    out = Path(sys.argv[1]) / str(turn)
    rows = runner.run(units, out, command=sys.argv[2:])
    assert [row["seed"] for row in rows] == list(range(8)), rows
    report.write(out)
    print(json.dumps([row["pid"] for row in rows]))
"""
    processes = [
        subprocess.Popen([sys.executable, "-W", "error::UserWarning", "-c", script, str(stage.out), *stage.command],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    ends = [process.communicate(timeout=560) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, ends[0][1] + ends[-1][1]
    assert len({out for out, _ in ends}) == 1, "two runners saw different rows"
    assert set(stage.words("begin").values()) == {20} == set(stage.words("end").values())
    for turn in range(20):
        out = stage.out / str(turn)
        assert len(store.read_all(out)) == 8 and leftovers(out) == []
        assert len(json.loads((out / "results.json").read_text())["rows"]) == 8
        assert (out / "results.md").read_text().startswith("# Results")


# ---- the real child, with something done to it ----------------------------------------------------------------------

PROGRAM = """
import sys
from keras_vix.bench import child
{before}
sys.exit(child.main(sys.argv[1:]))
"""
SMALL = {"m": 4, "depth": 1, "dim": 16, "num_heads": 2}


def real(stage, before: str, preset: str = "performer_relu", **fields) -> dict:
    """The row of a real measurement on a few digits, in a child that does something more at its start."""
    unit = Unit(preset, overrides=SMALL, **({"epochs": 3, "limit": 100} | fields))
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    return runner.run([unit], stage.out, command=command)[0]


BREAKS = """
import keras
class Breaks(keras.callbacks.TerminateOnNaN):
    def spoil(self, factor):
        weight = self.model.layers[-1].trainable_weights[0]
        self.kept = getattr(self, "kept", None) if factor is None else keras.ops.convert_to_numpy(weight)
        weight.assign(self.kept if factor is None else self.kept * factor)

    def on_{when}(self, *words, **more):
        {what}

    def on_test_end(self, *words, **more):
        if hasattr(self, "kept"):
            self.spoil(None)
keras.callbacks.TerminateOnNaN = Breaks
"""
SPOIL = "self.spoil(float('nan'))"


@pytest.mark.parametrize(
    ("when", "what", "losses"),
    [("train_begin", SPOIL, [None]), ("epoch_begin", f"if words[0] == 1: {SPOIL}", [True, None]),
     ("test_begin", SPOIL, [True, True, True])],
    ids=["step 1", "epoch 2", "validation"],
)  # fmt: skip
def test_f16_a_real_run_that_diverges_keeps_its_curves(stage, when, what, losses):
    row = real(stage, BREAKS.format(when=when, what=what))
    assert row["status"] == "nan", row["message"]
    assert [loss if loss is None else True for loss in row["history"]["loss"]] == losses
    assert len(row["history"]["val_loss"]) == len(losses) and row["history"]["val_loss"][-1] is None


def test_f24_a_real_run_that_breaks_keeps_the_epochs_before(stage):
    row = real(stage, BREAKS.format(when="epoch_begin", what="if words[0] == 1: raise RuntimeError('no such thing')"))
    assert (row["status"], row["epochs"]) == ("error", 1) and "no such thing" in row["message"]
    assert {"loss", "val_loss", "val_accuracy"} <= row["history"].keys() and "Traceback" in row["log"]


def test_f14_real_memory_that_runs_out(stage):
    """The address space is limited once everything is loaded; the batch, halved too, is far too large for the rest."""
    limit = """
import resource
measure = child.measure
def limited(*words):
    import keras, keras_vix.data, keras_vix.train
    keras.ops.convert_to_tensor([1.0])
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 3 * 10**8, size + 3 * 10**8))
    return measure(*words)
child.measure = limited
"""
    unit = Unit("transformer_global", epochs=1, batch_size=1024, overrides={"dim": 1024, "num_heads": 8, "mlp_dim": 4096})
    (row,) = runner.run([unit], stage.out, command=[sys.executable, "-c", PROGRAM.format(before=limit)])
    assert row["status"] == "oom" and row["retried"] and row["first_failure"]["batch_size"] == 1024, row


@pytest.mark.alone
def test_f21_a_run_that_was_suspended_marks_the_epoch(stage):
    unit = Unit("performer_relu", epochs=8, limit=200, overrides=SMALL)

    def listen(event):
        if event["event"] == "epoch" and event["epoch"] == 4:
            (child,) = psutil.Process().children()
            child.suspend()
            threading.Timer(4.0, child.resume).start()

    (row,) = runner.run([unit], stage.out, listener=listen, timeout=120)
    assert row["status"] == "done" and set(row["slow_epochs"]) & {5, 6}
    assert all(seconds >= 0 for epoch in row["step_times"] for seconds in epoch)
    assert row["epoch_seconds"] < 2


def test_f22_a_child_of_a_process_that_has_used_its_backend_starts_afresh(stage):
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.ops.add(keras.ops.ones(2), 1)
    assert real(stage, "")["environment"]["policy"] == "float32"


@pytest.mark.parametrize("name", ["with spaces and 'quotes'", "größer-数字-🙂", "x" * 200])
@pytest.mark.parametrize("locale", ["C", "de_DE.UTF-8"])
def test_f25_names_of_folders_and_locales(stage, name, locale):
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.lower().replace("-", "")
    if locale.lower().replace("-", "") not in known.split():
        pytest.skip(f"the locale {locale} is not installed")
    out = stage.folder / name
    process = stage.bench(stage.units(1), pages=True, out=out, env=os.environ | {"LC_ALL": locale, "LANG": locale})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "0.5000" in (out / "results.md").read_text(encoding="utf-8") and len(stored(out)) == 1
