"""Means over seeds against numbers worked out by hand."""

import csv
import math

import pytest
import report_samples
import samples

from keras_vix.bench import seeds


def cells(rows):
    """The table as dictionaries of texts under its headings."""
    table = seeds.grid(rows)
    return [dict(zip((column.title for column in table.columns), (cell.text for cell in line))) for line in table.lines]


def test_the_deviation_is_that_of_a_sample():
    mean, sd = seeds.mean_and_sd([0.9, 0.91, 0.92])
    assert mean == pytest.approx(0.91) and sd == pytest.approx(0.01)
    assert seeds.mean_and_sd([1, 3]) == (2.0, pytest.approx(math.sqrt(2)))
    assert seeds.mean_and_sd([5]) == (5.0, None) and seeds.mean_and_sd([0.95] * 3) == (0.95, 0.0)


def test_rows_that_differ_in_the_seed_alone_are_one_line():
    first, second, third = cells(report_samples.mixed())
    assert (first["Model"], first["Seeds"], first["Test accuracy"]) == ("performer_relu m=16", "3", "0.9100 ± 0.0100")
    assert first["Time/epoch (s)"] == "0.60 ± 0.10" and first["Parameters"] == "138,890" and first["Epochs"] == "30"
    assert (second["Model"], second["Seeds"], second["Test accuracy"]) == ("linformer", "2", "0.8100 ± 0.0141")
    assert (third["Model"], third["Seeds"], third["Test accuracy"]) == ("performer_exp", "1", "0.9361")


def test_failed_and_halved_rows_are_in_no_mean_and_the_note_counts_them():
    rows = report_samples.mixed()
    assert any(row.get("retried") and row["test_accuracy"] == 0.5 for row in rows)
    assert "2 rows that failed, or ran with half the batch, left out." in seeds.grid(rows).notes
    assert "left out" not in " ".join(seeds.grid(rows[:5]).notes)


def test_a_figure_that_some_seeds_lack_says_of_how_many_it_is():
    rows = [report_samples.done(seed=seed, test_top5=None if seed == 0 else 0.9) for seed in range(3)]
    assert cells(rows)[0]["Test top-5"] == "0.9000 ± 0.0000 (2)"
    rows = [row | {"test_top5": None} for row in rows]
    assert "Test top-5" not in cells(rows)[0]


@pytest.mark.parametrize("other", [{"cpu": "Other"}, {"backend": "jax"}, {"init": "checkpoint"}, {"gpu": "A card"}])
def test_other_machines_and_starts_are_other_lines(other):
    assert len(seeds.families([report_samples.done(seed=0), report_samples.done(seed=1) | other])) == 2


def test_a_seed_counts_once_and_another_start_is_no_difference():
    one, again = report_samples.done(seed=0, test_accuracy=0.1), report_samples.done(seed=0, test_accuracy=0.2)
    ((kept,),) = seeds.families([one, again])
    assert kept["test_accuracy"] == 0.2 and not seeds.repeated([one, again])
    started = [row | {"unit": row["unit"] | {"start": row["fingerprint"]}} for row in (report_samples.done(seed=0), report_samples.done(seed=1))]
    assert len(seeds.families(started)) == 1 and seeds.repeated(started)


def test_models_that_are_only_measured_are_not_averaged():
    assert seeds.families([report_samples.cost()]) == [] and not seeds.repeated([samples.done(), samples.broken()])


def test_the_csv_has_mean_and_deviation_in_full():
    lines = list(csv.DictReader(seeds.to_csv(report_samples.mixed()).splitlines()))
    assert [line["label"] for line in lines] == ["performer_relu m=16", "linformer", "performer_exp"]
    assert (lines[0]["seeds"], lines[0]["n"], lines[0]["m"]) == ("0 1 2", "3", "16")
    assert float(lines[0]["test_accuracy_mean"]) == pytest.approx(0.91) and float(lines[0]["test_accuracy_sd"]) == pytest.approx(0.01)
    assert lines[2]["test_accuracy_sd"] == ""
