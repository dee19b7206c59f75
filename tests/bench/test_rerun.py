"""The command of a row, read back by the command line itself, gives the very unit of the row."""

import shlex

import pytest
import report_samples
import samples
from hypothesis import given, settings, strategies as st

from keras_vix.bench import rerun, typed
from keras_vix.bench.unit import Unit


def row_of(unit: Unit) -> dict:
    return {"unit": unit.to_dict(), "fingerprint": unit.fingerprint}


def read_back(command: str) -> Unit:
    """The unit that the words of a command stand for, options read as `keras-vix bench` reads them."""
    words = shlex.split(command)
    backend = words.pop(0).removeprefix("KERAS_BACKEND=") if words[0].startswith("KERAS_BACKEND") else "tensorflow"
    assert words[:2] == ["keras-vix", "bench"]
    given, forced = {}, {}
    rest = iter(words[2:])
    for word in rest:
        if word == "--deterministic":
            given["deterministic"] = True
        elif word == "--set":
            forced |= dict([typed.pair(next(rest))])
        else:
            given[word.removeprefix("--").replace("-", "_")] = next(rest)
    for key in ("seed", "epochs", "batch_size", "limit", "devices"):
        if key in given:
            given[key] = int(given[key])
    given.pop("out")
    (row,) = typed.rows_of(given.pop("models"))
    preset = row.pop("preset")
    return Unit(preset=preset, overrides=row | forced, backend=backend, **given)


UNITS = [
    Unit("performer_relu", backend="tensorflow"),
    Unit("performer_relu", seed=3, epochs=5, batch_size=32, limit=100, dataset="mnist", profile="reference", backend="tensorflow", overrides={"m": 16}),
    Unit("hybrid_vit", backend="jax", overrides={"strides": [2, 1, 1], "augment": "none", "dropout": 0.1, "qkv_bias": True}),
    Unit("vit", backend="torch", overrides={"note": "a:b, 'c' $(x) `y`", "empty": [], "nested": [[1, 2], [3, 4]]}),
    Unit("vit", backend="tensorflow", devices=2, deterministic=True),
]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.label)
def test_the_command_gives_the_unit_again(unit):
    command = rerun.command_of(row_of(unit))
    assert read_back(command) == unit and read_back(command).fingerprint == unit.fingerprint
    assert f"--out runs/{unit.fingerprint}" in command


def test_the_plain_form_is_short():
    assert rerun.command_of(report_samples.done(m=16)) == (
        f"keras-vix bench --models performer_relu:m=16 --dataset digits --seed 0 --out runs/{report_samples.done(m=16)['fingerprint']}"
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.dictionaries(
    st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True),
    st.one_of(st.text(max_size=12), st.integers(-10**6, 10**6), st.booleans(), st.floats(allow_nan=False, allow_infinity=False),
              st.lists(st.integers(0, 99), max_size=3)), max_size=3,
))  # fmt: skip
def test_whatever_the_options_are_the_command_gives_them_again_or_there_is_none(overrides):
    unit = Unit("vit", backend="tensorflow", overrides=overrides)
    command = rerun.command_of(row_of(unit))
    assert command is None or read_back(command).to_dict() == unit.to_dict()
    assert command is None or "\n" not in command


@pytest.mark.parametrize("unit", [
    {}, {"preset": ""}, {"preset": 3}, {"preset": "vit; rm -rf /"}, {"preset": "--help"}, {"preset": "vit", "dataset": "$(x)"}, {"preset": "vit", "seed": "0"},
    {"preset": "vit", "seed": True}, {"preset": "vit", "backend": "x"}, {"preset": "vit", "task": "cost"}, {"preset": "vit", "start": "0123456789"},
    {"preset": "vit", "overrides": {"m": "a\nb"}}, {"preset": "vit", "overrides": {"--x": 1}},
    {"preset": "vit", "overrides": {"m": "16"}},
])  # fmt: skip
def test_what_a_command_line_cannot_say_has_no_command(unit):
    assert rerun.command_of({"unit": unit, "fingerprint": "x"}) is None


def test_every_row_of_the_samples_has_a_command_or_a_reason():
    for row in samples.suite():
        assert read_back(rerun.command_of(row)).label == row["label"]
    assert rerun.command_of({"label": "x"}) is None
