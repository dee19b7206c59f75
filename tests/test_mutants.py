"""The table of mistakes: each has a place in the package, and tests of this suite that are to notice it."""

import ast
import json
import pathlib

import pytest

import keras_vix

from .mutants.mutants import MUTANTS

PACKAGE = pathlib.Path(keras_vix.__file__).parent
TESTS = pathlib.Path(__file__).parent


def test_there_are_thirty_of_different_names():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_has_a_place_and_tests(mutant):
    text = (PACKAGE / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1 and mutant.old != mutant.new
    ast.parse(text.replace(mutant.old, mutant.new))
    assert mutant.harm and mutant.tests
    for word in mutant.tests if "-k" not in mutant.tests else mutant.tests[:1]:
        file, _, name = word.partition("::")
        assert file.startswith("tests/") and not {"slow", "faults", "mutants"} & set(pathlib.Path(file).parts)
        assert f"def {name.partition('[')[0]}" in (TESTS.parent / file).read_text(encoding="utf-8")


def test_every_mistake_has_a_verdict():
    """A new one fails here until `python -m tests.mutants.run its-name` has tried it."""
    verdicts = {one["name"]: one for one in json.loads((TESTS / "mutants" / "results.json").read_text(encoding="utf-8"))["mutants"]}
    assert set(verdicts) == {mutant.name for mutant in MUTANTS}
    assert sum(one["verdict"] == "killed" for one in verdicts.values()) >= 28
    assert all(one["verdict"] == "killed" or one["reason"] for one in verdicts.values())
