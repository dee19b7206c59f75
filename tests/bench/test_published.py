"""Published tables beside measured rows, and which of the published relations hold."""

import math
import re

import numpy as np
import pytest
import samples

from keras_vix.bench import published, suites
from keras_vix.bench.scores import scores
from keras_vix.bench.studies import columbia_2024, ieor_2023
from keras_vix.bench.studies.study import DATASETS, matching, read

STUDY = "hybrid_xformers_2022"


def measured(**more):
    row = samples.done("vit", published_parameters=530_442, published_megabytes=209.389, test_top5=0.94321, peak_memory_bytes=2.5e9)
    return row | {"preset": "vit", "dataset": "cifar10", "label": "vit"} | more


def test_ours_stand_beside_theirs():
    text = "\n\n".join(published.sections(STUDY, [measured()]))
    assert "### Table 1, CIFAR-10" in text and "Table 2" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("| ViT |")]
    assert line == "| ViT | 530,442 | 530,442 | 209.39 | 209.39 | 2.50 | 56.81 | 93.61 | 94.82 | 94.32 |"
    (bare,) = [line for line in text.splitlines() if line.startswith("| ViP |")]
    assert bare == "| ViP | 531,978 | – | 85.15 | – | – | – | – | – | – |"
    (run,) = [line for line in text.splitlines() if line.startswith("| vit |")]
    assert "33.6 / 41.17" in run and "56.817" in run and "319" in run


def test_changed_rows_say_so_and_misprints_are_named():
    text = "\n\n".join(published.sections(STUDY, [measured(label="vit patch=2"), measured(preset="levip", label="levip")]))
    assert "| ViT patch=2 |" in text and "662,410, a misprint" in text


def test_rows_of_other_data_are_not_compared():
    parts = published.sections(STUDY, [measured(dataset="mnist")])
    assert len(parts) == 1 and "###" not in parts[0]


def test_unknown_studies_are_refused():
    with pytest.raises(ValueError, match="published='hybrid'"):
        suites.make([{"preset": "vit"}], name="x", published="hybrid")
    with pytest.raises(ValueError, match="published='hybrid'"):
        published.sections("hybrid", [])


def test_scores_are_keras_own():
    import keras

    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.standard_normal((40, 12)), rng.integers(0, 12, 40)
    found = scores(logits, labels)
    for name, metric in (
        ("test_accuracy", keras.metrics.SparseCategoricalAccuracy()),
        ("test_top5", keras.metrics.SparseTopKCategoricalAccuracy(5)),
        ("test_ce", keras.metrics.SparseCategoricalCrossentropy(from_logits=True)),
    ):
        metric.update_state(labels, logits.astype("float32"))
        assert abs(found[name] - float(metric.result())) <= 1e-6


def test_equal_logits_are_no_success():
    assert scores(np.zeros((4, 8)), np.array([0, 4, 5, 7]))["test_accuracy"] == 0.25
    assert scores(np.zeros((4, 8)), np.array([0, 4, 5, 7]))["test_top5"] == 0.5


# ---- the reports of 2024 and 2023 ----------------------------------------------------------------------------------


def row_like(printed, init="scratch", **more):
    """A finished row of the kind of a published one."""
    options = dict(word.split("=") for word in printed["options"].split())
    overrides = {key: None if value == "None" else int(value) if value.isdigit() else value for key, value in options.items()}
    unit = {"preset": printed["preset"], "dataset": printed["dataset"], "overrides": overrides}
    label = " ".join([printed["preset"], *printed["options"].split(), *(["init=checkpoint"] if init == "checkpoint" else [])])
    own = {"preset": printed["preset"], "dataset": printed["dataset"], "unit": unit, "init": init, "label": label, "config": None}
    return samples.done(printed["preset"], m=overrides.get("m")) | own | more


def columbia(**changes):
    """Rows with the figures of the 2024 report; `changes` go over those of a data set and model, `cifar10__performer_relu_m16`."""
    rows = []
    for one in read("columbia_2024"):
        figures = {name: float(one[name]) for name in columbia_2024.NAMES}
        rows.append(row_like(one, **figures | changes.get(f"{one['dataset']}__{one['key']}", {})))
    return rows


def ieor(**changes):
    """Rows with the figures of the 2023 report, accuracies as fractions."""
    rows = []
    for one in read("ieor_2023_test"):
        epochs = [epoch for epoch in read("ieor_2023") if (epoch["key"], epoch["init"]) == (one["key"], one["init"])]
        times = [float(epoch["train_seconds"]) for epoch in epochs]
        figures = {
            "history": {
                "accuracy": [float(epoch["train_accuracy"]) / 100 for epoch in epochs],
                "loss": [float(epoch["train_loss"]) for epoch in epochs],
            },
            "epoch_times": [{"train_seconds": time} for time in times],
            "train_seconds": sum(times) / 10,
            "test_accuracy": float(one["test_accuracy"]) / 100,
            "test_ce": float(one["test_loss"]),
            "test_seconds": float(one["test_seconds"]),
        }
        rows.append(row_like(one, one["init"], **figures | changes.get(f"{one['key']}__{one['init']}", {})))
    return rows


def test_the_figures_have_their_digits():
    """The counts, and some figures typed from the reports."""
    table = read("columbia_2024")
    assert len(table) == 20 and len({(one["dataset"], one["preset"], one["options"]) for one in table}) == 20
    assert [(one["val_loss"], one["step_milliseconds"]) for one in table if one["key"] == "performer_softmax_m16"] == [
        ("0.6970", "74"), ("0.0291", "30"),
    ]
    assert [one["dataset"] for one in table if one["anomaly"]] == ["mnist"]
    epochs, tests = read("ieor_2023"), read("ieor_2023_test")
    assert len(epochs) == 90 and len(tests) == 9 and len(read("ieor_2023_settings")) == 11
    assert {int(one["table"]) for one in [*epochs, *tests]} == set(range(2, 20))
    assert epochs[0] == {
        "table": "2", "key": "vit", "init": "scratch", "epoch": "1", "train_accuracy": "14.5", "train_loss": "2.25031537",
        "train_seconds": "951.9983308",
    }
    assert {one["model"] for one in tests if one["anomaly"]} == {"ViT", "ViL"}
    assert [one["peak_percent"] for one in read("columbia_2024_peaks")] == ["44.16", "73.44"]


def test_means_and_speed_ups_of_the_2023_report():
    """Its own arithmetic: the mean epoch of ViT takes 933.6 s, that of ViP-ReLU 361.9 s."""
    found = ieor_2023.published()
    means = {name: round(found[name]["train_seconds"], 1) for name in (("vit", "scratch"), ("vip_relu", "scratch"), ("vil", "checkpoint"))}
    assert list(means.values()) == [933.6, 361.9, 390.9]


@pytest.mark.parametrize("rows", [columbia(), ieor()], ids=["columbia_2024", "ieor_2023"])
def test_every_published_row_is_found_by_one_row_and_the_other_way_round(rows):
    name = "ieor_2023_test" if rows[0]["preset"] == "vit_b16" else "columbia_2024"
    assert [matching(one, rows) for one in read(name)] == [[row] for row in rows]


def test_suites_and_studies_fit():
    for name, data in (("columbia_2024", "columbia_2024"), ("ieor_2023", "ieor_2023_test"), ("ieor_2023_small", "ieor_2023_test")):
        suite = suites.load(suites.find(name))
        rows = [published_identity(unit) for unit in suite.units]
        assert all(len(matching(one, rows)) == 1 for one in read(data))
        assert suite.published in published.STUDIES


def published_identity(unit):
    from keras_vix.bench.unit import identity

    return identity(unit)


def test_the_figures_of_the_2024_report_beside_themselves_are_equal():
    first, second, *_ = published.tables("columbia_2024", columbia())
    assert (first.title, second.title) == ("Table 1, CIFAR-10", "Table 2, MNIST")
    for table in (first, second):
        assert len(table.rows) == 10
        for cells in table.rows:
            for left in (1, 3):
                assert cells[left] == cells[left + 1]
    assert second.rows[-1][0] == "Transformer, local †" and "failed run" in second.notes[0]
    assert first.rows[0][0] == "Performer-ReLU, m = 16"


def test_the_nineteen_tables_of_the_2023_report():
    tables = published.tables("ieor_2023", ieor())
    numbers = [int(re.match(r"Table (\d+)", table.title)[1]) for table in tables[:-1]]
    assert numbers == list(range(1, 20))
    second, third = tables[1:3]
    assert second.title == "Table 2, ViT † from scratch, training" and len(second.rows) == 10
    assert second.rows[0] == ["1", "14.5", "14.50", "2.25031537", "2.2503", "951.9983308", "952"]
    assert third.rows == [["ViT †", "20.65", "20.65", "2.08", "2.0800", "69.94", "69.9"]]


def test_settings_are_read_off_configuration_and_recipe():
    import dataclasses

    from keras_vix.bench import store
    from keras_vix.train import recipe
    from keras_vix.zoo import configure

    unit = suites.load(suites.find("ieor_2023")).units[0]
    config = store.plain(dataclasses.asdict(configure(unit.preset, dataset=unit.dataset, **unit.of_model)))
    how = store.plain(dataclasses.asdict(recipe(unit.preset, unit.dataset, **unit.of_recipe)))
    table = published.tables("ieor_2023", [published_identity(unit) | {"config": config, "recipe": how}])[0]
    ours = {setting: (theirs, ours) for setting, theirs, ours in table.rows}
    assert ours.pop("Width of queries and keys of a head") == ("128", "64")
    assert ours.pop("Optimiser") == ("Adam", "adam")
    assert all(float(theirs) == float(ours) for theirs, ours in ours.values()) and len(ours) == 9


def test_a_row_without_figures_breaks_nothing():
    failed = [
        {key: row[key] for key in ("schema", "label", "fingerprint", "unit", "preset", "dataset", "seed", "init")} | {"status": "oom"}
        for row in ieor() + columbia()
    ]
    for study in ("ieor_2023", "columbia_2024"):
        text = "\n".join(published.sections(study, failed))
        assert "–" in text and "| – |" in text
        assert {ours for *_, ours in published.relations(study, failed)} == {None}


def test_two_seeds_are_told_apart():
    rows = columbia()[:1]
    table = published.tables("columbia_2024", rows + [rows[0] | {"seed": 1}])[0]
    assert [cells[0] for cells in table.rows[:2]] == ["Performer-ReLU, m = 16 seed 0", "Performer-ReLU, m = 16 seed 1"]


def test_peaks_stand_beside_final_and_best():
    (row,) = [row for row in columbia() if (row["preset"], row["dataset"]) == ("transformer_local", "cifar10")]
    tables = {table.title: table for table in published.tables("columbia_2024", [row])}
    assert tables["Section 7.3.1, CIFAR-10"].rows == [["Transformer, local", "73.44", "93.61", "95.00"]]
    assert "Section 7.3, CIFAR-100" not in tables


# ---- relations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("study", "rows"), [("columbia_2024", columbia()), ("ieor_2023", ieor())])
def test_all_relations_hold_of_the_published_figures_on_both_sides(study, rows):
    found = published.relations(study, rows)
    assert len(found) >= 7 and len({sentence for sentence, *_ in found}) == len(found)
    assert all((theirs, ours) == (True, True) for _, theirs, ours in found)
    assert {ours for *_, ours in published.relations(study, [])} == {None}


BREAKS = [
    ("columbia_2024", "softmax Performer validates better", {"cifar10__performer_relu_m128": {"val_accuracy": 0.77}}),
    ("columbia_2024", "largest gap", {"cifar10__transformer_global": {"train_accuracy": 0.8}}),
    ("columbia_2024", "CIFAR-10: the local model takes the least", {"cifar10__transformer_local": {"epoch_seconds": 14.0}}),
    ("columbia_2024", "less time for an epoch than every ReLU", {"cifar10__performer_softmax_m64": {"epoch_seconds": 19.0}}),
    ("columbia_2024", "takes the most time", {"cifar10__performer_relu_m16": {"epoch_seconds": 24.5}}),
    ("columbia_2024", "changes by at most 10 %", {"cifar10__performer_softmax_m16": {"epoch_seconds": 15.5}}),
    ("columbia_2024", "within 0.004", {"mnist__performer_relu_m64": {"val_accuracy": 0.989}}),
    ("columbia_2024", "MNIST: the local model takes the least", {"mnist__transformer_local": {"epoch_seconds": 7.0}}),
    ("columbia_2024", "within 20 %", {"mnist__transformer_global": {"epoch_seconds": 8.5}}),
    ("ieor_2023", "less time for an epoch than ViT", {"vil__checkpoint": {"train_seconds": 934.0}}),
    ("ieor_2023", "less time for a test pass", {"vip_exp__scratch": {"test_seconds": 70.0}}),
    ("ieor_2023", "takes the least time for an epoch", {"vip_exp__checkpoint": {"train_seconds": 362.0}}),
    ("ieor_2023", "after the first epoch", {"vip_relu__checkpoint": {"history": {"accuracy": [0.3, 0.9]}}}),
    ("ieor_2023", "have a higher test accuracy", {"vip_exp__checkpoint": {"test_accuracy": 0.6}}),
    ("ieor_2023", "has a lower test accuracy", {"vip_positive__checkpoint": {"test_accuracy": 0.62}}),
    ("ieor_2023", "end with a higher train accuracy", {"vip_relu__scratch": {"history": {"accuracy": [0.3, 0.5]}}}),
]


@pytest.mark.parametrize(("study", "words", "change"), BREAKS, ids=[words for _, words, _ in BREAKS])
def test_a_relation_that_does_not_hold_of_ours_is_said_not_to(study, words, change):
    rows = (columbia if study == "columbia_2024" else ieor)(**change)
    (found,) = [(theirs, ours) for sentence, theirs, ours in published.relations(study, rows) if words in sentence]
    assert found == (True, False)
    (line,) = [cells for cells in published.tables(study, rows)[-1].rows if words in cells[0]]
    assert line[1:] == ["holds", "does not hold"]


def test_every_relation_is_broken_by_some_case():
    for study in ("columbia_2024", "ieor_2023"):
        sentences = [sentence for sentence, *_ in published.relations(study, [])]
        words = [words for of, words, _ in BREAKS if of == study]
        assert len(words) == len(sentences) and all(sum(word in sentence for sentence in sentences) == 1 for word in words)


def test_a_missing_failed_or_retried_row_leaves_a_relation_open():
    rows = columbia()
    name = "CIFAR-10: the global model has the largest gap"

    def held(found):
        (ours,) = [ours for sentence, _, ours in published.relations("columbia_2024", found) if sentence.startswith(name)]
        return ours

    assert held(rows) is True
    place = next(i for i, row in enumerate(rows) if row["preset"] == "transformer_global")
    for instead in ([], [rows[place] | {"status": "nan"}], [rows[place] | {"retried": True}], [rows[place] | {"val_accuracy": None}]):
        assert held(rows[:place] + instead + rows[place + 1:]) is None


def test_ours_are_means_over_seeds():
    rows = columbia(cifar10__transformer_global={"epoch_seconds": 10.0})
    again = [row | {"seed": 1, "epoch_seconds": 50.0} for row in rows if row["preset"] == "transformer_global"]
    found = columbia_2024.own(rows + again)
    assert math.isclose(found["cifar10", "transformer_global"]["epoch_seconds"], 30.0)
    assert set(DATASETS) >= {dataset for dataset, _ in found}


def test_relations_of_other_data_sets_are_left_out():
    rows = [samples.done("performer_relu", m=16, dataset="mnist")]
    sentences = [cells[0] for cells in published.tables("columbia_2024", rows)[-1].rows]
    assert len(sentences) == 3 and all(sentence.startswith("MNIST: ") for sentence in sentences)
    both = [*rows, samples.done("performer_relu", m=16, dataset="cifar10")]
    assert len(published.tables("columbia_2024", both)[-1].rows) == 9
