"""Result files: whole or not there, strict JSON, and no harm from files that are torn or foreign."""

import json
import math

import numpy as np
import pytest
import samples

from keras_vix.bench import store


def test_a_row_comes_back_as_it_was(tmp_path):
    row = samples.done(m=16)
    path = store.path_of(tmp_path, row["label"], row["fingerprint"])
    store.write(path, row)
    assert store.read(path) == row
    assert store.read_all(tmp_path) == [row]
    assert path.name == f"performer_relu-m-16-{row['fingerprint']}.json"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"), (math.inf, "null"), (np.float32(0.5), "0.5"), (np.int64(3), "3"), ((1, 2), "[1, 2]"),
        (np.array([1.0, math.nan]), "[1.0, null]"), ({"é": True}, '{"é": true}'), ({1: None}, '{"1": null}'),
        (int, json.dumps(str(int))),
    ],
)
def test_json_is_strict(value, text):
    assert store.to_json(value, indent=None) == text + "\n"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b'{"schema": 1, "status": "do', b"\x00\xff\xfe", b"[]", b"null", b'{"schema": 99}', b'{"schema": 1}',
        b"[" * 100_000,
    ],
)
def test_a_torn_or_foreign_file_is_named_and_skipped(tmp_path, content):
    good = samples.done(m=16)
    store.write(store.path_of(tmp_path, good["label"], good["fingerprint"]), good)
    (tmp_path / "rows" / "torn-0123456789.json").write_bytes(content)
    with pytest.warns(UserWarning, match="torn-0123456789.json"):
        assert store.read_all(tmp_path) == [good]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_row_cut_anywhere_is_skipped(tmp_path, share):
    row = samples.done()
    path = store.path_of(tmp_path, row["label"], row["fingerprint"])
    store.write(path, row)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * (len(content) - 2))])
    with pytest.warns(UserWarning, match=path.name):
        assert store.find(tmp_path, row["label"], row["fingerprint"]) is None


def test_a_row_under_another_units_name_is_skipped(tmp_path):
    row = samples.done()
    store.write(tmp_path / "rows" / "performer_relu-0123456789.json", row)
    with pytest.warns(UserWarning, match=row["fingerprint"]):
        assert store.read_all(tmp_path) == []


def test_no_row_is_no_row(tmp_path):
    assert store.find(tmp_path, "vit", "0123456789") is None
    assert store.read_all(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    store.write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(store.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        store.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("performer_relu m=16", "performer_relu-m-16"), ("../../etc/passwd", "etc-passwd"), ("a/b\\c:d*e", "a-b-c-d-e"),
        ("...", "unit"), ("x" * 300, "x" * 60), ("Ünï", "n"),
    ],
)
def test_a_label_becomes_a_safe_name(label, name):
    assert store.slug(label) == name
