"""Units that start from the trained weights of others."""

import dataclasses
import json
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_vix import build
from keras_vix.bench import published, runner, suites, weights
from keras_vix.bench.child import measure
from keras_vix.bench.unit import Unit
from keras_vix.interop.transfer import roles

TINY = {"dataset": "digits", "limit": 40, "epochs": 1, "batch_size": 12, "dim": 24, "depth": 1, "patch": 2}


def values(model):
    return {role: keras.ops.convert_to_numpy(weight) for role, weight in roles(model).items()}


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """ViT, and ViL and ViP-ReLU from its checkpoint, of the small twin of the 2023 report: units, rows, folder."""
    folder = tmp_path_factory.mktemp("weights")
    units = suites.load(suites.find("ieor_2023_small"), forced=TINY, backend=keras.config.backend()).units
    chosen = [units[0], units[5], units[7]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(weights.FOLDER, str(folder))
        rows = [measure(unit) for unit in chosen]
    return chosen, rows, folder


@pytest.mark.long
def test_the_twin_runs_from_scratch_and_from_the_checkpoint(twin):
    units, rows, folder = twin
    assert [row["status"] for row in rows] == ["done"] * 3
    assert [row["init"] for row in rows] == ["scratch", "checkpoint", "checkpoint"]
    assert "transfer" not in rows[0]
    all_of = rows[2]["transfer"]["copied"]
    assert rows[1]["transfer"] == {"copied": all_of, "new": 2, "interpolated": 0, "skipped": 0}  # E and F of the one layer
    assert rows[2]["transfer"] == {"copied": all_of, "new": 0, "interpolated": 0, "skipped": 0}
    assert {path.name for path in folder.iterdir()} == {f"{unit.fingerprint}.weights.h5" for unit in units}
    assert "label" in rows[1] and rows[1]["label"].endswith("init=checkpoint")


@pytest.mark.long
def test_a_start_has_the_weights_of_its_source(twin, monkeypatch):
    (vit, vil, _), _, folder = twin
    monkeypatch.setenv(weights.FOLDER, str(folder))
    source = build(vit.preset, dataset=vit.dataset, compile=False, **vit.of_model)
    untrained = values(source)
    source.load_weights(weights.path_of(folder, vit.fingerprint))
    trained = values(source)
    assert any(not np.array_equal(trained[role], untrained[role]) for role in trained)
    target = build(vil.preset, dataset=vil.dataset, compile=False, **vil.of_model)
    weights.begin(vil, target, vil.dataset)
    found = values(target)
    assert all(np.array_equal(found[role], trained[role]) for role in trained)
    assert set(found) - set(trained) == {"stage0_block0_mixer/mixer/kernel/e", "stage0_block0_mixer/mixer/kernel/f"}


@pytest.mark.long
def test_rows_of_the_twin_stand_beside_the_reports_tables(twin):
    _, rows, _ = twin
    titles = [table.title for table in published.tables("ieor_2023", [row | {"dataset": "cifar10"} for row in rows])]
    assert [title.partition(",")[0] for title in titles[:-1]] == [f"Table {number}" for number in (1, 2, 3, 6, 7, 14, 15)]


@pytest.mark.long
def test_what_a_model_can_do_before_it_is_trained_is_in_its_row(twin, monkeypatch):
    """Softmax swapped for itself is the teacher."""
    (vit, vil, _), (taught, started, _), folder = twin
    monkeypatch.setenv(weights.FOLDER, str(folder))
    same = measure(dataclasses.replace(vit, start=vit.fingerprint))
    assert same["swap_accuracy"] == taught["test_accuracy"] and same["distill_epochs"] == 0
    assert 0 <= started["swap_accuracy"] <= 1 and "distilled_accuracy" not in started and "swap_accuracy" not in taught
    learned = measure(dataclasses.replace(vil, distill_epochs=2))
    longer = measure(dataclasses.replace(vil, distill_epochs=8))
    assert learned["swap_accuracy"] == started["swap_accuracy"] and 0 < longer["distill_error"] < 0.9 * learned["distill_error"]
    assert 0 <= learned["distilled_accuracy"] <= 1 and learned["distill_seconds"] > 0 and learned["distill_epochs"] == 2
    assert learned["label"] == f"{vil.label} distill=2"


@pytest.mark.long
def test_nothing_is_kept_without_a_folder_or_a_wish(twin, tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    monkeypatch.delenv(weights.FOLDER, raising=False)
    weights.keep(Unit("a"), model)
    monkeypatch.setenv(weights.FOLDER, str(tmp_path / "weights"))
    monkeypatch.setenv(weights.KEEP, "0")
    weights.keep(Unit("a"), model)
    assert not (tmp_path / "weights").exists()
    monkeypatch.delenv(weights.KEEP)
    weights.keep(Unit("a"), model)
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [f"{Unit('a').fingerprint}.weights.h5"]


def test_missing_and_torn_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv(weights.FOLDER, raising=False)
    with pytest.raises(ValueError, match="start='0123456789'.*run that unit first"):
        weights.begin(Unit("a", start="0123456789"), None, "digits")
    monkeypatch.setenv(weights.FOLDER, str(tmp_path))
    path = weights.path_of(tmp_path, "0123456789")
    for content in (b"", b"not a file of weights"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="0123456789.weights.h5"):
            weights.begin(Unit("a", start="0123456789"), None, "digits")
    path.unlink()
    with h5py.File(path, "w") as file:
        file.attrs[weights.UNIT] = "[]"
    with pytest.raises(ValueError, match="0123456789.weights.h5"):
        weights.begin(Unit("a", start="0123456789"), None, "digits")


CHILD = '''
import json, os, pathlib, sys
unit = json.load(sys.stdin)
folder = pathlib.Path(os.environ["KERAS_VIX_WEIGHTS"])
fingerprint = pathlib.Path(sys.argv[-1]).stem[-10:]
with open(__file__ + ".calls", "a") as calls:
    calls.write(unit["preset"] + "\\n")
if "start" in unit:
    assert (folder / (unit["start"] + ".weights.h5")).exists()
else:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (fingerprint + ".weights.h5")).write_text("weights")
row = {"schema": 1, "status": "done", "label": unit["preset"], "fingerprint": fingerprint, "unit": unit}
pathlib.Path(sys.argv[-1]).write_text(json.dumps(row))
print(json.dumps({"event": "done", "status": "done"}), flush=True)
'''


def test_the_runner_makes_weights_again_only_where_a_start_needs_them(tmp_path):
    script, out = tmp_path / "child.py", tmp_path / "out"
    script.write_text(CHILD)
    first = Unit("first")
    units = [first, Unit("second", start=first.fingerprint)]

    def calls(*chosen):
        Path(f"{script}.calls").write_text("")
        rows = runner.run(chosen, out, command=(sys.executable, str(script)))
        assert [row["status"] for row in rows] == ["done"] * len(chosen)
        return Path(f"{script}.calls").read_text().split()

    kept = out / "weights" / f"{first.fingerprint}.weights.h5"
    assert calls(*units) == ["first", "second"]
    kept.unlink()
    assert calls(*units) == []
    third = Unit("third", start=first.fingerprint)
    assert calls(*units, third) == ["first", "third"]
    assert kept.exists() and json.loads(next((out / "rows").glob("third*")).read_text())["status"] == "done"
