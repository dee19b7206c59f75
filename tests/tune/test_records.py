"""The records of a space."""

import json

import keras_tuner
import pytest

from keras_vix.tune import Choice, Float, Int
from keras_vix.tune.records import from_dict, records, to_dict


@pytest.mark.parametrize(
    "values",
    [("softmax", "performer"), (16, 32), (0.1, 0.2), (None, 16), (True, False), ((32, 64), (64, 128)), (1, 0.5), ("auto", True)],
)
def test_a_choice_gives_back_what_it_was_given(values):
    choice, hp = Choice(values), keras_tuner.HyperParameters()
    assert choice.decode(choice.declare(hp, "word")) == values[0]
    drawn = {choice.decode(hp.space[0].random_sample(seed)) for seed in range(50)}
    assert drawn == set(values) and {type(value) for value in drawn} == {type(value) for value in values}


@pytest.mark.parametrize("record", [Choice([[1, 2], [3, 4]]), Int(1, 9), Int(2, 64, step=2, log=True), Float(1e-4, 1e-2, log=True)])
def test_records_survive_json(record):
    assert from_dict(json.loads(json.dumps(to_dict(record)))) == record


def test_ranges_are_drawn_within_their_ends():
    hp = keras_tuner.HyperParameters()
    Int(2, 64, step=2, log=True).declare(hp, "m")
    Float(1e-4, 1e-2, log=True).declare(hp, "learning_rate")
    powers, rates = ({entry.random_sample(seed) for seed in range(200)} for entry in hp.space)
    assert powers == {2, 4, 8, 16, 32, 64}
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 0.3 < sum(rate < 1e-3 for rate in rates) / len(rates) < 0.7  # half of them below the geometric mean


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Choice([]), "one value or more. Received: values=\\[\\]"),
        (lambda: Choice("softmax"), "Received: values='softmax'"),
        (lambda: Choice([1, 1]), "values that differ. Received: values=\\(1, 1\\)"),
        (lambda: Choice([{}]), "Received: {}, a dict"),
        (lambda: Int(3, 3), "`low` must be below `high`. Received: low=3, high=3"),
        (lambda: Int(1.5, 3), "`low` must be an integer. Received: low=1.5"),
        (lambda: Int(0, 3, log=True), "`low` must be above 0 with log=True. Received: low=0"),
        (lambda: Int(1, 9, step=0), "`step` must be at least 1. Received: step=0"),
        (lambda: Int(1, 9, step=1, log=True), "`step` must be at least 2. Received: step=1"),
        (lambda: Float(2.0, 1.0), "`low` must be below `high`"),
        (lambda: Float(0.0, float("inf")), "`high` must satisfy"),
        (lambda: Float(0.0, 1.0, step=0.0), "`step` must be above 0. Received: step=0.0"),
        (lambda: records({}), "`space` needs a word of `build`.*Received: space={}"),
        (lambda: records({"m": 16}), "a list, Choice, Int or Float for each word. Received: m=16"),
        (lambda: records({"not a word": [1]}), "words of `build` as keys. Received: 'not a word'"),
    ],
)
def test_wrong_calls(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()
