"""A search in one call: trained once for this file, then read, taken up, refused and drawn."""

import json
import shutil
import sys
import warnings

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FatalError

import keras_vix
from keras_vix import tune
from keras_vix.cli import main
from keras_vix.cli.tune import spaces
from tests.tune.small import WORDS, digits

SPACE = {"kernel": ["softmax", "linformer"], "m": [2, 64]}
TRIALS = 3  # exact attention, two and 64 projections: the last is no model of 4 tokens


def search(folder, space=SPACE, data=None, **words):
    return tune.search("linformer", data or digits(), space, directory=folder, **{"tuner": "grid", "verbose": 0, **WORDS, **words})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Two trials of the three; the rest is left to whoever goes on."""
    return search(tmp_path_factory.mktemp("search") / "run", max_trials=TRIALS)


@pytest.mark.long
def test_the_table(found):
    table = found.table
    assert list(table["status"]) == ["done", "done", "infeasible"]
    assert list(table["kernel"]) == ["softmax", "linformer", "linformer"]
    assert list(table["m"].astype(object).where(table["m"].notna(), None)) == [None, 2, 64]
    assert "1 <= m <= tokens. Received: m=64, tokens=4" in table["reason"][2]
    done = table[table["status"] == "done"]
    assert (done["best_epoch"] == 1).all() and (done["epochs"] == 1).all()
    assert (table["seconds"] > 0).all() and done["score"].between(0, 1).all() and table["score"].isna()[2]
    assert (done["parameters"] > 0).all() and (done["multiply_adds"] > 0).all()
    assert table.attrs["objective"] == "val_accuracy"


@pytest.mark.long
def test_the_best_is_built_again_with_its_weights(found):
    best, table = found.best(), found.table
    assert keras_vix.build("linformer", **best).count_params() == found.model().count_params()
    accuracy = found.model().evaluate(*digits().validation, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(table["score"].max())
    assert tune.best(table, 2) == found.best(2) != best
    with pytest.raises(ValueError, match="one of the 2 trials with a score. Received: rank=3"):
        found.best(3)


def test_the_same_call_runs_nothing_again(found, monkeypatch):
    before = {path: path.read_bytes() for path in found.directory.glob("trial_*/trial.json")}
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("a trial ran again"))
    assert search(found.directory, max_trials=TRIALS).table.equals(found.table)
    assert before == {path: path.read_bytes() for path in found.directory.glob("trial_*/trial.json")}


@pytest.mark.parametrize(
    ("words", "differs"),
    [
        ({"space": {"m": [2, 4]}}, "space differ"),
        ({"seed": 1}, "seed differ"),
        ({"epochs": 2}, "overrides differ"),
        ({"tuner": "random"}, "tuner differ. .*tuner='grid', and now tuner='random'"),
        ({"objective": "val_ce"}, "objective differ"),
        ({"budget": {"parameters": 9}}, "budget differ"),
        ({"data": keras_vix.data.load("digits", limit=60, seed=5)}, "images differ"),
    ],
)
def test_a_folder_of_another_search_is_refused(found, words, differs):
    with pytest.raises(ValueError, match=f"belongs to another search: .*{differs}"):
        search(found.directory, **words)


def test_a_folder_of_another_tuner_is_refused(tmp_path):
    (tmp_path / "trial_0").mkdir()
    with pytest.raises(ValueError, match="a folder of its own"):
        search(tmp_path)


def test_two_at_once_are_refused(found):
    import filelock

    with filelock.FileLock(found.directory / "search.lock"), pytest.raises(RuntimeError, match="Another process searches"):
        search(found.directory)


def test_the_command_says_that_another_process_searches(tmp_path, capsys):
    import filelock

    with filelock.FileLock(tmp_path / "search.lock"):
        assert main([*COMMAND, "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"Error: Another process searches in this folder. Received: directory='{tmp_path}'.\n"
    assert [path.name for path in tmp_path.iterdir() if path.name != "search.lock"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"tuner": "randm"}, "`tuner` must be one of random, bayesian, hyperband, grid"),
        ({"max_trials": 0}, "`max_trials` must be at least 1"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"objective": "val_acc"}, "`objective` must be one of"),
        ({"objective": "val_ce", "data": keras_vix.data.load("digits", limit=60, validation=0)}, "needs validation images"),
        ({"seed": -1}, "`seed` must be"),
        ({"space": {"mm": [1]}}, "`mm` is no word"),
        ({"budget": {"parameter": 1}}, "Did you mean 'parameters'"),
    ],
)
def test_wrong_calls(words, message, tmp_path):
    with pytest.raises((TypeError, ValueError), match=message):
        search(tmp_path / "never", **words)
    assert not (tmp_path / "never").exists()


def test_a_file_is_no_folder_of_a_search(tmp_path):
    (tmp_path / "file").write_text("as it was")
    with pytest.raises(ValueError, match="`directory` must be a folder. Received: directory='.*file'"):
        search(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "as it was"


def test_what_is_no_search_has_no_results(tmp_path):
    with pytest.raises(ValueError, match="the folder of a search. Received: .*without a search.json"):
        tune.results(tmp_path)
    other = keras_tuner.RandomSearch(lambda hp: keras.Sequential([keras.layers.Dense(1)]), "val_loss", directory=tmp_path, project_name="own")
    with pytest.raises(ValueError, match="a hypermodel of keras_vix.tune.hypermodel. Received: another one"):
        tune.results(other)


def test_a_model_whose_weights_are_gone_is_not_made_up(found, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(found.directory, folder)
    for path in folder.rglob("*.weights.h5"):
        path.unlink()
    again = tune.Results(folder)
    assert again.best() == found.best()
    with pytest.raises(ValueError, match="needs its weights. Received: no .*trial_.*checkpoint.weights.h5; build it by `best"):
        again.model()


def test_a_fatal_error_ends_a_search(tmp_path, monkeypatch):
    """A word of Keras Tuner for what every further trial would fail of as well."""
    begun = []

    def run_trial(self, trial, *_, **__):
        begun.append(trial)
        raise FatalError("no disk")

    monkeypatch.setattr(keras_tuner.Tuner, "run_trial", run_trial)
    with pytest.raises(FatalError, match="no disk"):
        search(tmp_path / "run", max_trials=TRIALS)
    assert len(begun) == 1 and list(tune.results(tmp_path / "run")["status"]) == ["unfinished"]


# ---- figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", ["trial", "parameters", "seconds", "m"])
def test_figures(found, x):
    axes = found.plot(x) if x == "trial" else tune.plot(found.table, x)
    points = [tuple(point) for one in axes.collections for point in np.asarray(one.get_offsets())]
    scores = found.table["score"].dropna() if x != "m" else found.table["score"][1:2]
    assert {score for _, score in points} >= set(scores)
    assert axes.get_ylabel() == "validation accuracy"
    assert "None" not in [text.get_text() for text in axes.get_legend().get_texts()]
    axes.figure.canvas.draw()
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_figures_go_where_they_are_told(found):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert tune.plot(found.table, ax=axes) is axes


def test_figures_need_a_number_and_a_score(found):
    with pytest.raises(ValueError, match="`x` must be trial or one of .*parameters"):
        tune.plot(found.table, "kernel")
    with pytest.raises(ValueError, match="a trial with a score"):
        tune.plot(found.table[found.table["status"] != "done"])


# ---- the command ---------------------------------------------------------------------------------------------------------

COMMAND = [
    "tune", "linformer", "--dataset", "digits", "--limit", "60", "--space", "kernel=softmax,linformer", "--space", "m=2,64",
    "--tuner", "grid", "--epochs", "1", *(word for key, value in WORDS.items() if key != "epochs" for word in ("--set", f"{key}={value}")),
]  # fmt: skip


def test_the_command_goes_on_and_prints_json(found, capsys):
    """The folder is one that the call from Python left: it is the same search."""
    code = main([*COMMAND, "--trials", str(TRIALS), "--out", str(found.directory), "--json"])
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert code == 0, printed.err
    assert [trial["status"] for trial in told["trials"]] == ["done", "done", "infeasible"]
    assert told["best"]["kernel"] == found.best()["kernel"] and told["trials"][0]["m"] is None


def test_an_empty_choice_is_named(tmp_path):
    with pytest.raises(ValueError, match="'depth'.*values=\\[\\]"):
        tune.search("linformer", "digits", {"m": [2], "depth": []}, directory=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_command_searches(tmp_path, capsys):
    call = [word if word != "m=2,64" else "m=2" for word in COMMAND]
    assert main([*call, "--trials", "1", "--out", str(tmp_path / "own")]) == 0
    assert "Best: kernel=" in capsys.readouterr().out


def test_the_command_prints_a_table(found, capsys):
    assert main([*COMMAND, "--out", str(found.directory)]) == 0
    printed = capsys.readouterr().out
    assert "Best: kernel=" in printed and "infeasible" in printed


@pytest.mark.parametrize(
    "words",
    [
        ["--space", "m"], ["--space", "m="], ["--space", "m=1..x"], ["--space", "m=1..9:lin"], ["--space", "mm=1,2"],
        ["--space", "m=2", "--space", "m=4"], ["--trials", "0"], ["--objective", "accurac"], ["--tuner", "x"],
        ["--budget", "parameters"], ["--budget", "speed=3"], ["--dataset", "no_such_set"], ["--out", __file__],
    ],
)  # fmt: skip
def test_calls_that_make_no_sense(words, tmp_path, capsys):
    given = ["tune", "linformer", "--dataset", "digits", *words]
    given += [] if "--out" in words else ["--out", str(tmp_path / "never")]
    assert main(given) == 2
    assert not (tmp_path / "never").exists()


def test_spaces_as_words():
    found = spaces(["m=16,32", "learning_rate=1e-4..1e-2:log", "depth=1..4", "kernel=softmax,performer", "filters=[8],[8,16]"])
    assert found == {
        "m": [16, 32], "learning_rate": tune.Float(1e-4, 1e-2, log=True), "depth": tune.Int(1, 4), "kernel": ["softmax", "performer"],
        "filters": [[8], [8, 16]],
    }  # fmt: skip
    assert spaces(None) is None


def test_a_damaged_identity_is_written_anew(found, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(found.directory, folder)
    (folder / "search.json").write_text('{"schema": 1,')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert search(folder, max_trials=TRIALS).table.equals(found.table)
    assert any("search.json" in str(one.message) and "damaged" in str(one.message) for one in said)
