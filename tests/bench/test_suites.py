"""Experiments as data: values typed on a command line, rows, suite files, and the mistakes in them."""

import hashlib
import json
from pathlib import Path

import pytest

from keras_vix.bench import preflight, report, store, suites, typed
from keras_vix.bench.child import measure
from keras_vix.bench.unit import RECIPE_FIELDS, Unit

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-2", -2), ("1e-3", 0.001), ("true", True), ("null", None), ("softmax", "softmax"),
        ('"3"', "3"), ("[8, 8, 1]", [8, 8, 1]), ("2020-13-45", "2020-13-45"), ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_values_are_toml_or_json_or_words(text, value):
    assert typed.scalar(text) == value


@pytest.mark.parametrize("text", ["", "m", "=3", "m=", "1m=3", "a b=3"])
def test_an_option_is_key_and_value(text):
    with pytest.raises(ValueError, match="key=value"):
        typed.pair(text)


def test_rows_may_carry_options():
    assert typed.rows_of("a:m=64:kernel=relu, b,c:input_shape=[8,8,1]") == [
        {"preset": "a", "m": 64, "kernel": "relu"}, {"preset": "b"}, {"preset": "c", "input_shape": [8, 8, 1]},
    ]


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b"])
def test_an_empty_place_in_a_list_is_refused(text):
    with pytest.raises(ValueError, match="commas between them"):
        typed.rows_of(text)


def test_the_nearer_setting_wins():
    suite = suites.make(
        [{"preset": "a", "epochs": 5, "m": 1}, {"preset": "b"}], name="x",
        defaults={"epochs": 7, "dataset": "mnist", "depth": 2}, forced={"seed": 3, "limit": None},
    )
    assert suite.units == (
        Unit("a", "mnist", epochs=5, seed=3, overrides={"depth": 2, "m": 1}),
        Unit("b", "mnist", epochs=7, seed=3, overrides={"depth": 2}),
    )
    (unit,) = suites.make([{"preset": "a", "epochs": 5}], name="x", forced={"epochs": 1}).units
    assert unit.epochs == 1


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        ({"epochs": 0}, ValueError, "epochs=0"), ({"epochs": 2.5}, TypeError, "epochs=2.5"),
        ({"epochs": True}, TypeError, "epochs=True"), ({"batch_size": -1}, ValueError, "batch_size=-1"),
        ({"limit": 3}, ValueError, "limit=3"), ({"seed": -1}, ValueError, "seed=-1"),
        ({"seed": 2**32}, ValueError, "seed="), ({"dataset": 3}, TypeError, "dataset=3"),
        ({"preset": 3}, TypeError, "preset=3"), ({"dtype_policy": "bfloat"}, ValueError, "mixed_bfloat16"),
    ],
)
def test_a_setting_out_of_range_is_named(row, error, words):
    with pytest.raises(error, match=words):
        suites.make([{"preset": "a"} | row], name="x")


def test_equal_rows_are_refused():
    with pytest.raises(ValueError, match="'a m=1' twice"):
        suites.make([{"preset": "a", "m": 1}, {"preset": "a", "m": 1}], name="x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"title = 'x'\ntitle = 'y'\n[[rows]]\npreset='a'", "suite.toml"),
        (b"\x00\xff\xfe", "suite.toml"),
        (b"title = ", "suite.toml"),
        (b"datset = 'mnist'\n[[rows]]\npreset='a'", "'datset'.*'dataset'"),
        (b"title = 'x'", r"needs \[\[rows\]\]"),
        (b"rows = 3", r"needs \[\[rows\]\]"),
        (b"[[rows]]\nm = 3", r"each with a preset"),
        (b"#" * 1_000_001, "1,000,000 are enough"),
    ],
)
def test_a_bad_suite_file_is_named_with_its_mistake(tmp_path, content, words):
    path = tmp_path / "suite.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        suites.read(path)


def test_a_missing_suite_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="none.toml.*No such file"):
        suites.read(tmp_path / "none.toml")


def suite(name, **given):
    return suites.load(suites.find(name), backend="tensorflow", **given)


def fingerprints(found):
    return [unit.fingerprint for unit in found.units]


@pytest.mark.long
def test_the_suites_of_the_package():
    counts = {name: len(suite(name).units) for name in suites.named()}
    own = {
        "columbia_2024": 21, "digits": 10, "hybrid_trial": 23, "hybrid_xformers_2022": 62, "ieor_2023": 9, "ieor_2023_small": 9,
        "smoke": 4,
    }
    assert own.items() <= counts.items() and suites.DEFAULT in counts
    assert all(suite(name).title and suite(name).description for name in counts)
    with pytest.raises(ValueError, match="suite='columbia'.*columbia_2024"):
        suites.find("columbia")


@pytest.mark.parametrize("name", ["digits", "ieor_2023_small", "smoke"])
def test_their_rows_can_all_be_run(name):
    preflight.check(suite(name).units)


@pytest.mark.parametrize("folder", ["digits", "hybrid_trial"])
def test_stored_results_are_those_of_the_suite(folder):
    stored = json.loads((RESULTS / folder / "results.json").read_text())["rows"]
    assert fingerprints(suite(folder)) == [row["fingerprint"] for row in stored]


def test_fingerprints_outlive_the_way_a_suite_is_written():
    """Digests of all fingerprints, in order, from when every row stood on its own."""
    def digest(found):
        return hashlib.sha256(" ".join(fingerprints(found)).encode()).hexdigest()[:10]

    assert digest(suite("hybrid_xformers_2022")) == "1fe947adbd"
    assert digest(suite("columbia_2024", forced={"dataset": "mnist"})) == "2363f19e38"
    assert digest(suite("columbia_2024", forced={"dataset": "cifar10"})) == "157db57bd7"


def test_the_epochs_of_the_2024_report():
    units = suite("columbia_2024").units
    assert [unit.epochs for unit in units] == ([60] * 9 + [50]) * 2 + [50]
    plans = preflight.check([unit for unit in units if unit.overrides.get("m", 16) == 16])
    assert [plan.epochs for plan, _ in plans] == [60, 60, 60, 50] * 2 + [50]


def test_the_models_of_the_2023_report_have_its_sizes():
    """ViT-B/16 at 224 pixels with ten classes has 85,806,346 parameters; E and F of 12 layers add 302,592; features add none."""
    units = suite("ieor_2023").units
    plans = preflight.check(units[:4])
    vit, vil = 85_806_346, 85_806_346 + 302_592
    assert [one.trainable_parameters for _, one in plans] == [vit, vil, vit, vit]
    assert [one.tokens for _, one in plans] == [197] * 4
    assert [unit.overrides | {"features": ""} for unit in units[5:]] == [unit.overrides | {"features": ""} for unit in units[1:5]]


def test_a_start_is_the_fingerprint_of_the_earlier_row():
    for name in ("ieor_2023", "ieor_2023_small"):
        units = suite(name, seeds=[0, 1]).units
        for seed in (0, 1):
            nine = [unit for unit in units if unit.seed == seed]
            assert [unit.start for unit in nine] == [None] * 5 + [nine[0].fingerprint] * 4
            assert [unit.label.endswith(" init=checkpoint") for unit in nine] == [False] * 5 + [True] * 4
    first, second = suites.make([{"preset": "a", "m": 1}, {"preset": "b", "checkpoint": "a m=1"}], name="x").units
    assert second.start == first.fingerprint and second.fingerprint != Unit("b").fingerprint


@pytest.mark.parametrize(
    "rows",
    [
        [{"preset": "a", "checkpoint": "b"}, {"preset": "b"}],
        [{"preset": "a", "checkpoint": "a"}],
        [{"preset": "a", "id": "x", "each": {"m": [1, 2]}}, {"preset": "b", "checkpoint": "x"}],
    ],
)
def test_a_start_must_be_one_earlier_row(rows):
    with pytest.raises(ValueError, match="one earlier row"):
        suites.make(rows, name="x")


def test_each_stands_for_many_rows_and_lists_stay_options():
    (one, two, three, four) = suites.make(
        [{"preset": "a", "strides": [2, 1], "each": {"dataset": ["mnist", "digits"], "m": [1, 2]}}], name="x"
    ).units
    assert [(unit.dataset, unit.overrides["m"]) for unit in (one, two, three, four)] == [
        ("mnist", 1), ("mnist", 2), ("digits", 1), ("digits", 2),
    ]
    assert one == Unit("a", "mnist", overrides={"strides": [2, 1], "m": 1})


@pytest.mark.parametrize(
    ("each", "error"),
    [(3, TypeError), ({"m": 3}, TypeError), ({"m": []}, TypeError), ({"k": [1]}, ValueError), ({"id": ["x"]}, ValueError)],
)
def test_a_wrong_each_is_refused(each, error):
    with pytest.raises(error, match="each"):
        suites.make([{"preset": "a", "k": 1, "each": each}], name="x")


def test_a_row_does_not_stand_for_millions():
    many = list(range(1000))
    with pytest.raises(ValueError, match="1,000,000,000"):
        suites.make([{"preset": "a", "each": {"k": many, "l": many, "m": many}}], name="x")


def test_seeds_repeat_all_rows():
    rows = [{"preset": "a"}, {"preset": "b"}]
    units = suites.make(rows, name="x", seeds=[0, 7]).units
    assert [(unit.preset, unit.seed) for unit in units] == [("a", 0), ("b", 0), ("a", 7), ("b", 7)]
    assert units[:2] == suites.make(rows, name="x").units
    for seeds, error in (([0, 0], ValueError), ([-1], ValueError), ([0.5], TypeError), (3, TypeError)):
        with pytest.raises(error, match="seeds"):
            suites.make(rows, name="x", seeds=seeds)


def test_a_file_may_give_seeds_which_a_seed_replaces(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("seeds = [0, 1, 2]\n[[rows]]\npreset = 'a'")
    assert [unit.seed for unit in suites.load(path).units] == [0, 1, 2]
    assert [unit.seed for unit in suites.load(path, forced={"seed": 5}).units] == [5]
    assert [unit.seed for unit in suites.load(path, seeds=range(2)).units] == [0, 1]
    path.write_text("seeds = [0, 1, 2]\nseed = 3\n[[rows]]\npreset = 'a'")
    with pytest.raises(ValueError, match="seed and seeds"):
        suites.load(path)


def test_a_data_set_selects_rows_that_name_it_and_moves_them_otherwise():
    rows = [{"preset": "a", "dataset": "mnist"}, {"preset": "a", "dataset": "cifar10"}, {"preset": "b", "dataset": "mnist"}]

    def found(dataset, **defaults):
        units = suites.make(rows, name="x", forced={"dataset": dataset}, defaults=defaults).units
        return [(unit.preset, unit.dataset) for unit in units]

    assert found("mnist") == [("a", "mnist"), ("b", "mnist")]
    assert found("digits") == [("a", "digits"), ("b", "digits")]
    (unit,) = suites.make([{"preset": "a"}], name="x", defaults={"dataset": "digits"}, forced={"dataset": "mnist"}).units
    assert unit.dataset == "mnist"


def test_null_is_no_value(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("[[rows]]\npreset = 'a'\nm = 'null'\n[[rows]]\npreset = 'a'\neach = {m = ['null', 3]}\nk = 1")
    assert [unit.overrides for unit in suites.load(path).units] == [{"m": None}, {"k": 1, "m": None}, {"k": 1, "m": 3}]


def test_no_option_of_a_model_or_recipe_is_a_word_of_rows():
    from keras_vix.base import arguments
    from keras_vix.zoo.config import AXES, fields

    asked = {option for table in AXES.values() for part in table.values() if part for option in arguments(part)}
    assert not (asked | set(fields()) | set(RECIPE_FIELDS)) & {"each", "id", "checkpoint", "seeds", "dataset", "limit", "task", "devices"}
    (unit,) = suites.make([{"preset": "linformer", "start": "pool"}], name="x").units
    assert unit.overrides == {"start": "pool"} and unit.start is None


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"task": "sleep"}, ValueError), ({"devices": 0}, ValueError), ({"deterministic": 1}, TypeError), ({"id": 3}, TypeError),
        ({"validation": 1.0}, ValueError), ({"validation": 0}, ValueError), ({"validation": "half"}, TypeError),
        ({"checkpoint": 3}, TypeError), ({"distill_epochs": 1}, ValueError), ({"distill_epochs": -1}, ValueError),
    ],
)
def test_a_wrong_kind_of_row_is_named(row, error):
    with pytest.raises(error, match=next(iter(row))):
        suites.make([{"preset": "a"} | row], name="x")


def test_what_is_only_weighed_is_weighed_at_one_seed():
    rows = [{"preset": "a", "id": "one"}, {"preset": "b", "checkpoint": "one", "distill_epochs": 1}, {"preset": "a", "task": "cost"}]
    units = suites.make(rows, name="x", seeds=[3, 4]).units
    assert [(unit.preset, unit.task, unit.seed) for unit in units] == [
        ("a", "train", 3), ("b", "train", 3), ("a", "cost", 3), ("a", "train", 4), ("b", "train", 4),
    ]
    assert [unit.start for unit in units] == [None, units[0].fingerprint, None, None, units[3].fingerprint]
    assert units[1].label == "b init=checkpoint distill=1"


def test_the_swap_suite_has_the_same_models_from_scratch_for_as_many_epochs():
    units = [unit for unit in suite("swap").units if unit.task == "train"]
    teachers = {unit.fingerprint for unit in units if not unit.start and not unit.overrides}
    swapped = [unit for unit in units if unit.start]
    scratch = [(unit.seed, dict(unit.overrides), unit.epochs) for unit in units if not unit.start and unit.overrides]
    assert len(teachers) == 3 and len(swapped) == 21 == len(scratch)
    assert all(unit.start in teachers for unit in swapped)
    assert {unit.overrides["learning_rate"] for unit in swapped} == {1e-3}  # fine-tuning is gentler; the models are the same
    models = [{key: value for key, value in unit.overrides.items() if key != "learning_rate"} for unit in swapped]
    assert [(unit.seed, own, unit.epochs + unit.distill_epochs) for unit, own in zip(swapped, models)] == scratch


@pytest.mark.long
def test_the_smoke_suite_trains_measures_and_reports(tmp_path):
    units = suite("smoke").units
    report.describe_suite(tmp_path, "Smoke", "", "", [unit.fingerprint for unit in units])
    for unit in units:
        row = measure(unit)
        assert row["status"] == "done" and row["epochs"] == 3 and row["train_images"] == 180
        store.write(store.path_of(tmp_path, unit.label, unit.fingerprint), row)
    assert [row["fingerprint"] for row in report.write(tmp_path)] == [unit.fingerprint for unit in units]
    assert "| linformer" in (tmp_path / "results.md").read_text()


def test_equal_units_have_equal_fingerprints_and_others_do_not():
    one, same = Unit("a", overrides={"m": 1, "dim": 8}), Unit("a", overrides={"dim": 8, "m": 1})
    others = [Unit("b", overrides=one.overrides), Unit("a", seed=1, overrides=one.overrides), Unit("a")]
    assert one.fingerprint == same.fingerprint and len(one.fingerprint) == 10
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 4
    # A literal: results on disk must still be found by the next version.
    assert Unit("performer_relu", overrides={"m": 16}).fingerprint == "69a386a16b"


def test_options_go_to_the_recipe_or_to_the_model():
    unit = Unit("a", seed=4, epochs=3, overrides={"m": 1, "augment": "none", "input_shape": [8, 8, 1]})
    assert unit.of_recipe == {"epochs": 3, "augment": "none"}
    assert unit.of_model == {"seed": 4, "m": 1, "input_shape": (8, 8, 1)}
    assert unit.label == "a m=1 augment=none input_shape=8x8x1"
