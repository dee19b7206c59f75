"""Storing and going on."""

import json

import pytest
from peers import records
from peers.cases import find
from peers.plan import Contender, Group

from .samples import KIND, measurements, record

MHA, LINFORMER = find("tensorflow-mha"), find("tensorflow-vix-linformer")


def group(*cases, tokens=64, name="attention"):
    return Group(name, "train", tuple(Contender(case, tokens) for case in cases))


def test_what_is_there_is_not_measured_again():
    kept = measurements([record(MHA.name, 64, [1.0]), record(LINFORMER.name, 64, [1.0], status="> limit")])
    assert records.missing(group(MHA, LINFORMER), kept, MHA.name) is None
    assert records.missing(group(MHA, tokens=128), kept, MHA.name) is not None


def test_what_failed_is_tried_again_beside_the_reference():
    kept = measurements([record(MHA.name, 64, [1.0]), record(LINFORMER.name, 64, [], status="failed")])
    left = records.missing(group(MHA, LINFORMER), kept, MHA.name)
    assert [one.case.name for one in left.contenders] == [MHA.name, LINFORMER.name]


def test_a_new_record_replaces_the_old_but_the_reference_stays_for_its_own_set():
    kept = measurements([record(MHA.name, 64, [1.0]), record(LINFORMER.name, 64, [], status="failed")])
    records.add(kept, group(MHA, LINFORMER), MHA.name, [
        {key: value for key, value in record(case.name, 64, [2.0]).items() if key != "set"} for case in (MHA, LINFORMER)
    ], [], 1.0)
    found = [(one["case"], one["set"], one["status"]) for one in kept["records"]]
    assert found == [(MHA.name, 0, "done"), (MHA.name, 1, "done"), (LINFORMER.name, 1, "done")]


def test_a_file_survives_the_disk_and_is_strict_json(tmp_path):
    kept = measurements([record(MHA.name, 64, [float("nan")])])
    records.save(tmp_path, kept)
    text = (tmp_path / records.NAME).read_text(encoding="utf-8")
    assert "NaN" not in text and json.loads(text)["records"][0]["blocks"][0]["median"] is None
    assert records.resume(tmp_path, KIND)["records"]
    assert [path.name for path in tmp_path.iterdir()] == [records.NAME]


def test_two_kinds_of_run_do_not_share_a_folder(tmp_path):
    records.save(tmp_path, measurements([]))
    with pytest.raises(ValueError, match="one kind of run"):
        records.resume(tmp_path, KIND | {"threads": 2})
    assert records.resume(tmp_path, KIND | {"threads": 2}, redo=True)["records"] == []


def test_a_file_of_another_schema_is_refused(tmp_path):
    (tmp_path / records.NAME).write_text('{"schema": 99}', encoding="utf-8")
    with pytest.raises(ValueError, match="of schema 1"):
        records.load(tmp_path)
