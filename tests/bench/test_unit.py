"""The parts of a measurement that need no training, and the child process's manners."""

import dataclasses
import io
import json
import math


from keras_vix.bench import child, environment, unit


def test_a_failure_hides_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    row = unit.failure(unit.Unit("a"), "error", f"no file {tmp_path}/secret")
    assert (row["status"], row["message"]) == ("error", "no file ~/secret")


def talk(monkeypatch, capsys, tmp_path, measure):
    """Run the child's main in this process with a measurement of our own; returns code, events and row."""
    monkeypatch.setattr(child, "measure", measure)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(unit.Unit("a").to_dict())))
    code = child.main([str(tmp_path / "row.json")])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    path = tmp_path / "row.json"
    return code, events, json.loads(path.read_text()) if path.exists() else None


def test_the_child_reports_and_keeps_other_words_off_its_output(monkeypatch, capsys, tmp_path):
    def measure(what, progress):
        print("a library talks")
        progress({"event": "epoch", "val_accuracy": math.nan})
        return unit.identity(what)

    code, events, row = talk(monkeypatch, capsys, tmp_path, measure)
    assert code == 0 and row["status"] == "done"
    assert events == [{"event": "epoch", "val_accuracy": None}, {"event": "done", "status": "done"}]


def test_an_exception_becomes_an_error_row(monkeypatch, capsys, tmp_path):
    def measure(*_):
        raise RuntimeError("no such thing")

    code, events, row = talk(monkeypatch, capsys, tmp_path, measure)
    assert (code, row["status"], row["message"]) == (0, "error", "RuntimeError: no such thing")
    assert events == [{"event": "done", "status": "error"}]


def test_a_result_that_cannot_be_written_is_said_by_an_event(monkeypatch, capsys, tmp_path):
    (tmp_path / "row.json").mkdir()
    monkeypatch.setattr(child, "measure", lambda what, progress: unit.identity(what))
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(unit.Unit("a").to_dict())))
    assert child.main([str(tmp_path / "row.json")]) == 1
    (event,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert event["event"] == "unwritten" and "row.json" in event["message"] and "bytes free" in event["message"]


def test_the_child_ends_quietly_when_nobody_listens(monkeypatch, capsys, tmp_path):
    def measure(*_):
        raise BrokenPipeError

    assert talk(monkeypatch, capsys, tmp_path, measure) == (1, [], None)


def test_the_environment_is_complete_and_keeps_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hush-hush")
    found = environment.environment()
    assert {"utc", "python", "cpu", "cores", "backend", "device", "policy", "packages", "commit"} <= found.keys()
    assert found["cores"] >= 1 and found["cpu"] and found["packages"]["keras"]
    text = json.dumps(found, allow_nan=False)
    assert "hush-hush" not in text
    assert not any(part in text for part in ("/home/", "/root", "/Users/"))


def test_a_missing_program_gives_no_answer():
    assert environment.ask("no-such-program-here") is None
    assert environment.ask("python3", "-c", "import sys; sys.exit(3)") is None


def test_every_field_is_in_the_fingerprint():
    other = {str: "x", int: 7, float: 0.5, bool: True, dict: {"m": 8}}
    plain = unit.Unit("vit")
    kinds = {field.name: type(getattr(plain, field.name)) for field in dataclasses.fields(plain)}
    changed = {name: other.get(kind, 3) for name, kind in kinds.items()} | {"start": "0123456789", "backend": "jax", "validation": 0.2}
    prints = {dataclasses.replace(plain, **{name: value}).fingerprint for name, value in changed.items()}
    assert len(prints | {plain.fingerprint}) == len(kinds) + 1


def test_a_fingerprint_outlives_fields_that_came_later():
    """The stored results of `benchmarks/results/digits` go by these digits."""
    plain = unit.Unit("performer_relu", seed=0, backend="tensorflow", overrides={"m": 16})
    assert plain.fingerprint == "ce39da8c12"
    changed = [dataclasses.replace(plain, **{name: value}) for name, value in
               (("task", "cost"), ("start", "0123456789"), ("devices", 2), ("deterministic", True))]
    assert len({one.fingerprint for one in [plain, *changed]}) == 5
    assert all(unit.Unit(**one.to_dict()) == one for one in changed)
