"""The pages of a results folder, and that they can always be remade from the rows."""

import json
import re

import pytest
import samples

from keras_vix.bench import report, store


@pytest.fixture
def folder(tmp_path):
    """A results folder with two finished rows and a failed one, listed in an order of their own."""
    rows = [samples.done("b"), samples.done("a", m=16), samples.broken("c")]
    for row in rows:
        store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
    report.describe_suite(tmp_path, "Three | rows", "A paragraph.", "keras-vix bench", [r["fingerprint"] for r in rows])
    return tmp_path


def test_all_pages_are_written(folder):
    rows = report.write(folder)
    assert [row["label"] for row in rows] == ["b", "a m=16", "c"]
    assert {path.name for path in folder.iterdir()} == {
        "rows", "figures", "suite.json", "results.json", "results.csv", "results.md",
    }
    assert [row["label"] for row in json.loads((folder / "results.json").read_text())["rows"]] == ["b", "a m=16", "c"]
    assert len((folder / "results.csv").read_text().splitlines()) == 4


def test_the_page_reads_well_and_its_figures_exist(folder):
    report.write(folder)
    text = (folder / "results.md").read_text()
    assert text.startswith("# Three \\| rows\n\nA paragraph.\n\nData: digits (1,294 training,")
    assert "Command: `keras-vix bench`." in text and "\n\n\n" not in text
    figures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(figures) == 4
    for figure in figures:
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
        assert (folder / figure).with_suffix(".svg").exists()
    assert "| cpu | Test CPU |" in text and "| keras | 3.15.1 |" in text


def test_only_new_histories_are_drawn_again(folder):
    report.write(folder)
    pictures = {path: path.stat().st_mtime_ns for path in (folder / "figures").glob("history-*.png")}
    assert len(pictures) == 2
    report.write(folder, [samples.done("b")["fingerprint"]])
    changed = [path.name for path, then in pictures.items() if path.stat().st_mtime_ns != then]
    assert len(changed) == 1 and changed[0].startswith("history-b-")


def test_a_torn_suite_file_costs_the_title_only(folder):
    (folder / "suite.json").write_text("{")
    assert len(report.write(folder)) == 3
    assert (folder / "results.md").read_text().startswith("# Results\n")


def test_rows_of_earlier_runs_keep_their_places(folder):
    report.describe_suite(folder, "More", "", "", ["new", samples.done("b")["fingerprint"]])
    assert report.suite_of(folder)["order"][-1] == "new" and len(report.suite_of(folder)["order"]) == 4


def test_no_usable_row_writes_nothing(tmp_path):
    assert report.write(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_rows_that_all_failed_still_make_a_page(tmp_path):
    row = samples.broken()
    store.write(store.path_of(tmp_path, row["label"], row["fingerprint"]), row)
    report.write(tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "linformer (killed)" in text and "![" not in text and not (tmp_path / "figures").exists()


def test_noise_is_told():
    assert report.warnings_of([samples.done()]) == []
    (text,) = report.warnings_of([samples.done("a", busy_at_start=True), samples.done("b", slow_epochs=[4])])
    assert "rows started: a." in text and "twice the median: b." in text
