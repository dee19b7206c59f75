"""Folders of searches that were killed or damaged, taken up by each oracle; nothing is trained here."""

import json
import shutil

import pytest

from keras_vix.tune.hypermodel import hypermodel
from keras_vix.tune.oracles import grid
from keras_vix.tune.repair import repair
from keras_vix.tune.search import TUNERS, make_oracle
from tests.tune.small import MODEL

SPACE = {"kernel": ["softmax", "performer", "linformer"], "m": [1, 2], "learning_rate": [1e-3, 2e-3]}
TRIALS = 8


class Search:
    """An oracle in a folder, and what a tuner would do with it; `ran` are the trials of this process."""

    def __init__(self, folder, tuner):
        model = hypermodel("performer_softmax", SPACE, dataset="digits", **MODEL)
        self.oracle, self.ran = make_oracle(tuner, model, "val_accuracy", TRIALS, 4, seed=0), []
        self.oracle.verbose = 0
        self.oracle._set_project_dir(str(folder.parent), folder.name)
        self.begun = repair(folder, "tuner0", self.oracle.get_state())
        if self.begun:
            self.oracle.reload()

    def begin(self):
        trial = self.oracle.create_trial("tuner0")
        if trial.status == "RUNNING":
            self.ran.append(trial.trial_id)
        return trial

    def end(self, trial):
        number = int(trial.trial_id)
        self.oracle.update_trial(trial.trial_id, {"val_accuracy": 0.1 + 0.01 * (number * 7 % 10)}, step=0)
        trial.status = "COMPLETED"
        self.oracle.end_trial(trial)

    def run(self, most=100):
        for _ in range(most):
            trial = self.begin()
            if trial.status == "STOPPED":
                break
            self.end(trial)
        return self

    @property
    def points(self):
        return [tuple(sorted(trial.hyperparameters.values.items())) for trial in self.oracle.trials.values()]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "search"
    place.mkdir()
    return place


def complete(search, tuner):
    assert all(trial.status == "COMPLETED" for trial in search.oracle.trials.values())
    assert tuner == "hyperband" or len(search.oracle.trials) == TRIALS
    assert len(set(search.points)) == len(search.points)


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("ended", [0, 3])
def test_a_kill_in_a_trial_costs_that_trial(tuner, ended, folder):
    first = Search(folder, tuner)
    first.run(ended)
    interrupted = first.begin().trial_id
    second = Search(folder, tuner).run()
    assert second.begun and second.ran[0] == interrupted
    assert not set(second.ran) & set(first.ran[:-1])
    complete(second, tuner)
    assert not Search(folder, tuner).run().ran


@pytest.mark.parametrize("tuner", TUNERS)
def test_kills_between_two_files(tuner, folder):
    """A trial that the oracle's file does not know of, or knows as not ended."""
    first = Search(folder, tuner).run(2)
    before = {name: (folder / name).read_text() for name in ("oracle.json", "oracle.copy.json")}
    trial = first.begin()
    for name, text in before.items():
        (folder / name).write_text(text)
    second = Search(folder, tuner)
    assert second.begin().trial_id == trial.trial_id
    before = {name: (folder / name).read_text() for name in before}
    second.end(trial)
    for name, text in before.items():
        (folder / name).write_text(text)
    third = Search(folder, tuner).run()
    assert trial.trial_id not in third.ran
    complete(third, tuner)


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("damage", ["", "{", '{"trial_id": "0"', "[]", "\x00\xff"])
@pytest.mark.parametrize("name", ["oracle.json", "tuner0.json", "trial"])
def test_a_damaged_file_ends_nothing(tuner, damage, name, folder):
    first = Search(folder, tuner).run(4)
    (folder / "tuner0.json").write_text("{}")
    path = folder / f"trial_{first.ran[1]}" / "trial.json" if name == "trial" else folder / name
    path.write_text(damage)
    with pytest.warns(UserWarning, match="damaged"):
        second = Search(folder, tuner)
    second.run()
    assert set(second.ran) & set(first.ran) == ({first.ran[1]} if name == "trial" else set())
    complete(second, tuner)


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid"])
def test_without_the_oracles_files_trials_are_kept(tuner, folder):
    first = Search(folder, tuner).run(4)
    for name in ("oracle.json", "oracle.copy.json"):
        (folder / name).write_text("")
    with pytest.warns(UserWarning, match="oracle"):
        second = Search(folder, tuner)
    second.run()
    assert not set(second.ran) & set(first.ran)
    complete(second, tuner)


def test_what_is_lost_altogether_is_a_failure(folder):
    first = Search(folder, "random").run(3)
    for path in (folder / "oracle.json", folder / "oracle.copy.json", folder / f"trial_{first.ran[0]}" / "trial.json"):
        path.write_text("")
    with pytest.warns(UserWarning, match="damaged"):
        second = Search(folder, "random")
    lost = second.run().oracle.trials[first.ran[0]]
    assert lost.status == "FAILED" and "not known" in lost.message
    assert len(second.oracle.trials) == TRIALS


def test_files_are_written_whole(folder):
    """Every file of a folder is JSON after each step, and no temporary one stays."""
    search = Search(folder, "random")
    for _ in range(3):
        search.end(search.begin())
        for path in folder.rglob("*"):
            assert path.is_dir() or json.loads(path.read_text()) is not None
    assert not list(folder.rglob("*.tmp"))


def test_a_grid_has_every_point_once(folder):
    model = hypermodel("performer_softmax", SPACE, dataset="digits", **MODEL)
    points = list(grid(make_oracle("grid", model, "val_accuracy", 99, 1, 0).get_space()))
    assert len(points) == 2 + 2 * 4 and len({tuple(sorted(point.items())) for point in points}) == len(points)
    assert all(("m" in point) == (point["kernel"] != "softmax") for point in points)
    shutil.rmtree(folder)


def test_failures_end_nothing(folder):
    search = Search(folder, "random")
    for _ in range(TRIALS):
        trial = search.begin()
        trial.status, trial.message = "FAILED", "no model"
        search.oracle.end_trial(trial)
    assert search.begin().status == "STOPPED"
    assert len(search.oracle.trials) == TRIALS
