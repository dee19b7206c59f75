"""Experiments as data: values typed on a command line, rows, suite files, and the mistakes in them."""

from pathlib import Path

import pytest

from keras_vix.bench import suites
from keras_vix.bench.unit import Unit

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-2", -2), ("1e-3", 0.001), ("true", True), ("null", None), ("softmax", "softmax"),
        ('"3"', "3"), ("[8, 8, 1]", [8, 8, 1]), ("2020-13-45", "2020-13-45"), ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_values_are_toml_or_json_or_words(text, value):
    assert suites.scalar(text) == value


@pytest.mark.parametrize("text", ["", "m", "=3", "m=", "1m=3", "a b=3"])
def test_an_option_is_key_and_value(text):
    with pytest.raises(ValueError, match="key=value"):
        suites.pair(text)


def test_rows_may_carry_options():
    assert suites.rows_of("a:m=64:kernel=relu, b,c:input_shape=[8,8,1]") == [
        {"preset": "a", "m": 64, "kernel": "relu"}, {"preset": "b"}, {"preset": "c", "input_shape": [8, 8, 1]},
    ]


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b"])
def test_an_empty_place_in_a_list_is_refused(text):
    with pytest.raises(ValueError, match="commas between them"):
        suites.rows_of(text)


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
        ({"preset": 3}, TypeError, "preset=3"),
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


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10"])
def test_the_experiments_of_the_project_have_ten_valid_rows(name):
    data = suites.read(BENCHMARKS / f"{name}.toml")
    defaults = {key: data[key] for key in suites.SETTINGS if key in data}
    suite = suites.make(data["rows"], name=name, defaults=defaults)
    plans = suites.check(suite.units)
    assert len(plans) == 10
    assert {unit.dataset for unit in suite.units} == {name}
    if name != "digits":
        assert [plan.epochs for plan, _ in plans] == [60] * 9 + [50]


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
