"""The command line: calls that make no sense, what is printed, and one benchmark from beginning to end."""

import csv
import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_vix import cli, list_models
from keras_vix.zoo import PRESETS
from keras_vix.bench import figures, report, runner, suites
from keras_vix.bench.unit import Unit, identity
from keras_vix.cli.stopping import stopping

SUITE = 'dataset = "digits"\n[[rows]]\npreset = "performer_relu"\nm = 8\n'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, where nothing may be left behind by a refused call."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("bench --models nope", "nope"),
        ("bench --models performer_sofmax", "performer_softmax"),
        ("bench --models performer_relu,", "commas between them"),
        ("bench --models performer_relu,performer_relu", "twice"),
        ("bench --models performer_relu:m", "key=value"),
        ("bench --models performer_relu:m=0", "m"),
        ("bench --models transformer_global:m=3", "m"),
        ("bench --models transformer_global --set foo=1", "foo"),
        ("bench --models transformer_global --set dim=8 --set dim=9", "set once"),
        ("bench --models transformer_global --set augment=nope", "augment"),
        ("bench --models transformer_global --set learning_rate=-1", "learning_rate"),
        ("bench --epochs 0", "epochs"),
        ("bench --epochs -3", "epochs"),
        ("bench --epochs 1.5", "epochs"),
        ("bench --epochs x", "epochs"),
        ("bench --batch-size 0", "batch-size"),
        ("bench --seed -1", "seed"),
        ("bench --seed 4294967296", "seed"),
        ("bench --limit 0", "limit"),
        ("bench --timeout -1", "timeout"),
        ("bench --timeout nan", "timeout"),
        ("bench --jobs 0", "jobs"),
        ("bench --dataset cifar-10", "cifar10"),
        ("bench --dataset ../secret", "dataset"),
        ("bench --profile fast", "profile"),
        ("bench --out file", "file"),
        ("bench --out /proc/x", "/proc"),
        ("bench missing.toml", "missing.toml"),
        ("bench binary.toml", "binary.toml"),
        ("bench twice.toml", "twice.toml"),
        ("bench unknown.toml", "epoch"),
        ("bench good.toml --models performer_relu", "--models"),
        ("bench good.toml --suite digits", "--suite"),
        ("bench --suite digits --models performer_relu", "--suite"),
        ("bench --suite columbia", "columbia_2024"),
        ("bench --suite ../digits", "suite"),
        ("bench --seeds 0", "seeds"),
        ("bench --nonsense", "nonsense"),
        ("list nothing_like_this", "nothing_like_this"),
        ("describe", "NAME"),
        ("describe performer_sofmax", "performer_softmax"),
        ("describe performer_relu --set m=", "key=value"),
        ("report nowhere", "nowhere"),
        ("report results nowhere --out joined", "nowhere"),
        ("report results --format pdf", "md, csv, json, tex, html"),
        ("report results other", "give --out"),
        ("report results results --out joined", "each named once"),
        ("report results other --out other", "give --out"),
        ("report results --out file", "file"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_before_anything_is_written(call, words, elsewhere, capsys):
    (elsewhere / "file").write_text("")
    (elsewhere / "binary.toml").write_bytes(b"\x00\xff")
    (elsewhere / "twice.toml").write_text("seed = 1\nseed = 2\n" + SUITE)
    (elsewhere / "unknown.toml").write_text("epoch = 1\n" + SUITE)
    (elsewhere / "good.toml").write_text(SUITE)
    for name in ("results", "other"):
        (elsewhere / name / "rows").mkdir(parents=True)
    before = files(elsewhere)
    assert cli.main(call.split()) == 2
    captured = capsys.readouterr()
    assert words in captured.err and "Traceback" not in captured.err
    assert captured.out == ""
    assert files(elsewhere) == before


def test_without_typer_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(ImportError, match="needs typer and rich; run pip install typer rich"):
        runpy.run_path(cli.__file__)


def test_a_package_that_is_there_and_lacks_another_is_not_called_missing(elsewhere, monkeypatch, capsys):
    (elsewhere / "packages").mkdir()
    (elsewhere / "packages" / "seaborn.py").write_text("import no_such_part\n")
    monkeypatch.syspath_prepend(elsewhere / "packages")
    monkeypatch.delitem(sys.modules, "seaborn", raising=False)
    assert cli.main("bench --models performer_relu:m=8".split()) == 2
    assert capsys.readouterr().err == "Error: No module named 'no_such_part'\n"


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(ValueError, match="commas"):
        cli.main(["bench", "--models", ",", "--debug"])


def test_help_names_all_commands(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in cli.COMMANDS) and "describe" not in text


def test_list_prints_names_that_match(capsys):
    assert cli.main(["list", "performer_*"]) == 0
    assert capsys.readouterr().out.split() == list_models("performer_*")
    assert cli.main("list --kind sequence --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found] == list_models(kind="sequence") and all(row["title"] and row["source"] for row in found)


@pytest.mark.parametrize("command", ["show", "describe"])
def test_a_model_is_shown_in_words_or_json(capsys, command):
    assert cli.main(f"{command} performer_relu --dataset digits --set m=8".split()) == 0
    assert "performer_relu" in capsys.readouterr().out
    assert cli.main(f"{command} performer_relu --dataset digits --set m=8 --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config"]["options"]["m"] == 8 and found["tokens"] == 64


def test_without_a_data_set_a_model_is_shown_as_it_was_published(capsys):
    assert cli.main("show vit_ti16 --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["config"]["input_shape"] == [224, 224, 3]
    assert cli.main("show transformer_base --set depth=1 --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["config"]["depth"] == 1


@pytest.mark.long
def test_the_shell_is_told_how_names_go_on(elsewhere):
    def ask(typed):
        words = {"_KERAS_VIX_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
        call = [sys.executable, "-m", "keras_vix"]
        return subprocess.run(call, env=os.environ | words, capture_output=True, text=True, check=True).stdout.split()

    assert ask("keras-vix show performer_s") == ["performer_softmax"]
    assert ask("keras-vix bench --suite columbia") == [name for name in suites.named() if name.startswith("columbia")] != []
    assert ask("keras-vix re") == ["report"]


def test_no_colour_where_none_is_wanted(monkeypatch):
    from keras_vix.bench import tables

    def printed():
        stream = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})()
        cli.tables.print_table(tables.to_rich([{"label": "x", "status": "error"}], "title"), stream)
        return stream.getvalue()

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert colour.search(printed())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(printed())


def test_a_dry_run_prints_the_plan_and_writes_nothing(elsewhere, capsys):
    assert cli.main("bench --models performer_relu:m=8,transformer_local --epochs 3 --dry-run".split()) == 0
    text = capsys.readouterr().out
    assert "2 rows into runs/digits" in text and "performer_relu m=8" in text and "3 epochs" in text
    assert files(elsewhere) == []


@pytest.mark.long
def test_without_suite_and_models_the_ten_rows_on_digits_run(capsys):
    def plan(*words):
        assert cli.main(["bench", "--dry-run", *words]) == 0
        return capsys.readouterr().out.splitlines()

    lines = plan()
    assert len(lines) == 11 and lines[0].endswith("10 rows into runs/digits")
    comparison = [name for name in list_models() if PRESETS[name].family in ("isotropic", "swin")]
    assert list(dict.fromkeys(line.split()[0] for line in lines[1:])) == comparison
    assert plan("--suite", "digits") == lines
    moved = plan("--dataset", "mnist")
    assert len(moved) == 11 and moved[0].endswith("into runs/mnist") and all(" mnist," in line for line in moved[1:])


def test_rows_at_several_seeds(capsys):
    assert cli.main("bench --models performer_relu,linformer --seed 4 --seeds 2 --dry-run".split()) == 0
    assert "4 rows into" in capsys.readouterr().out
    suite = cli.bench.choose(None, None, "performer_relu,linformer", {"seed": 4}, 2)
    assert [(unit.preset, unit.seed) for unit in suite.units] == [
        ("performer_relu", 4), ("linformer", 4), ("performer_relu", 5), ("linformer", 5),
    ]


def test_suites_are_listed_with_their_rows(capsys):
    assert cli.main(["suites"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == suites.named()
    assert "hybrid_xformers_2022   62 rows  Hybrid X-formers for Vision, 2022" in lines
    assert cli.main(["suites", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(found) == suites.named() and found["hybrid_xformers_2022"]["rows"] == 62


def test_a_data_set_selects_the_rows_of_a_suite_that_name_it(capsys):
    def rows(*words):
        suite = cli.bench.choose(None, "columbia_2024", None, dict(word.split("=") for word in words), None)
        return [unit.dataset for unit in suite.units]

    assert rows() == ["cifar10"] * 10 + ["mnist"] * 10 + ["cifar100"]
    assert rows("dataset=mnist") == ["mnist"] * 10
    assert rows("dataset=digits") == ["digits"] * 10


def test_a_failed_row_gives_exit_code_1_and_a_page(elsewhere, fake_command, capsys):
    assert cli.main("bench --models performer_relu:m=8 --epochs 1".split()) == 1
    assert "error: the process ended with code 3" in capsys.readouterr().out
    assert "| performer_relu m=8 (error) |" in (elsewhere / "runs/digits/results.md").read_text()


@pytest.fixture
def fake_command(monkeypatch):
    """Children that end at once with code 3."""
    command = (sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(3)")
    monkeypatch.setattr(runner.run, "__kwdefaults__", runner.run.__kwdefaults__ | {"command": command})


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    assert cli.main("bench --models performer_relu:m=8".split()) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_options_of_a_run_reach_the_runner(monkeypatch, capsys):
    given = {}

    def run(units, out, **options):
        given.update(options, units=units)
        return []

    monkeypatch.setattr(runner, "run", run)
    call = "bench --models performer_relu:m=8,linformer --jobs 3 --timeout 9 --redo --deterministic"
    assert cli.main(call.split()) == 0
    assert (given["jobs"], given["timeout"], given["redo"]) == (3, 9.0, True) and all(unit.deterministic for unit in given["units"])
    assert cli.main("bench --models performer_relu:m=8 --resume".split()) == 0
    assert (given["jobs"], given["redo"]) == (1, False) and not given["units"][0].deterministic


def test_settings_of_all_rows_keep_who_starts_from_whom():
    plain, changed = (
        cli.bench.choose(None, "ieor_2023_small", None, {"deterministic": value, "devices": value and 2}, None).units for value in (None, True)
    )
    assert not {unit.fingerprint for unit in plain} & {unit.fingerprint for unit in changed}
    assert changed[-1].start == changed[0].fingerprint and all(unit.deterministic and unit.devices == 2 for unit in changed)


def test_a_disk_that_fills_up_is_exit_code_1(monkeypatch, capsys):
    def run(*_, **__):
        raise OSError(28, "no room for rows/x.json")

    monkeypatch.setattr(runner, "run", run)
    assert cli.main("bench --models performer_relu:m=8".split()) == 1
    assert capsys.readouterr().err == "Error: [Errno 28] no room for rows/x.json The same command goes on from there.\n"


def test_a_reader_that_goes_away_ends_a_run_without_a_word(monkeypatch, capsys):
    """Unlike a disk that fills up, though both are errors of the system."""
    def run(*_, **__):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(cli, "quiet", lambda: 1)  # it would close the output of the tests
    assert cli.main("bench --models performer_relu:m=8".split()) == 1
    assert capsys.readouterr().err == ""


def test_a_signal_ends_what_can_be_torn_by_exit_code_130(monkeypatch):
    after = []

    def stopped(*_, **__):
        signal.raise_signal(signal.SIGTERM)
        after.append("went on")
        return ["vit"]

    monkeypatch.setattr("keras_vix.list_models", stopped)
    assert cli.main(["list"]) == 130 and after == []
    with stopping(calm=True) as request:  # at the next good moment
        stopped()
    assert after == ["went on"] and request.stop.is_set()


def test_signals_are_as_they_were_after_a_call():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert cli.main(["list"]) == 0
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.long
def test_nothing_is_said_to_a_reader_that_went_away(elsewhere):
    script = (
        "import sys; from keras_vix import cli; "
        "sys.stdin.readline(); sys.exit(cli.main(['list']))"
    )
    root = Path(cli.__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root,
    )
    process.stdout.close()
    process.stdin.write(b"go\n")
    process.stdin.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 1
    assert "BrokenPipe" not in errors and "Traceback" not in errors


@pytest.mark.long
def test_a_benchmark_from_beginning_to_end(elsewhere, capsys):
    call = "bench --models performer_relu:m=8:depth=1,transformer_local --epochs 2 --limit 100".split()
    assert cli.main(call) == 0
    text = capsys.readouterr().out
    assert "epoch 2/2" in text and "Table: runs/digits/results.md" in text
    out = elsewhere / "runs" / "digits"
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == ["performer_relu m=8 depth=1", "transformer_local"]
    empty = [{key for key, value in row.items() if value == ""} for row in rows]
    assert empty[0] <= {"m", "message"} and empty[1] - {"m", "message"} == {"kernel_error"}  # of windows there is none
    assert rows[0]["m"] == "8" and rows[0]["train_images"] == "90" and rows[0]["test_images"] == "100"
    assert float(rows[0]["first_step_seconds"]) > float(rows[0]["median_step_seconds"]) > 0
    stored = [json.loads(path.read_text()) for path in (out / "rows").iterdir()]
    assert all(len(row["history"]["val_accuracy"]) == 2 and len(row["step_times"]) == 2 for row in stored)
    drawn = {form: {path.stem for path in (out / "figures").glob(f"*.{form}")} for form in ("png", "svg")}
    assert drawn["png"] == drawn["svg"] == {one["name"] for one in figures.wanted(report.gather([out]).rows)}
    assert {"accuracy_time", "validation_accuracy", "epoch_times"} <= drawn["png"] and len(drawn["png"]) > 8
    before = {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    begin = time.monotonic()
    assert cli.main(call) == 0
    assert capsys.readouterr().out.count("already done") == 2
    assert time.monotonic() - begin < 10
    assert {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()} == before
    capsys.readouterr()
    assert cli.main(["report", str(out), "--json"]) == 0
    assert [row["label"] for row in json.loads(capsys.readouterr().out)] == [row["label"] for row in rows]


def test_several_results_folders_make_one_report(elsewhere, capsys):
    rows = {"one": Unit("performer_relu", overrides={"m": 8}), "two": Unit("linformer")}
    for name, unit in rows.items():
        row = identity(unit) | {"status": "error", "message": "no"}
        path = elsewhere / name / "rows" / f"x-{unit.fingerprint}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(row))
    before = files(elsewhere)
    assert cli.main("report one two --out joined --format md,html".split()) == 0
    assert "Table: joined/results.md" in capsys.readouterr().out
    assert {name for name in files(elsewhere) if name not in before and "/." not in name} == {"joined/results.md", "joined/results.html"}
    text = (elsewhere / "joined" / "results.md").read_text()
    assert "| performer_relu m=8 (error) | one |" in text and "| linformer (error) | two |" in text


def test_the_doctor_finds_a_sound_installation(capsys):
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "ok   keras:" in text and "digits (built in)" in text and "ok   training: one step on digits, loss" in text


def test_the_doctor_names_what_fails(capsys, monkeypatch):
    from keras_vix.bench import doctor

    def fail(*_, **__):
        raise RuntimeError("no such device")

    monkeypatch.setattr("keras_vix.build", fail)
    monkeypatch.setattr(doctor, "OPTIONAL", {"no_such_package_here": "something"})
    assert cli.main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "FAIL training: RuntimeError: no such device" in text
    assert "note no_such_package_here: not installed; needed for something" in text
