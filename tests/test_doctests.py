"""Every public name has an example in its docstring, and each of them gives what it says, on any backend.

An example finds `keras`, `ops`, `np`, `keras_vix` and the public names of its module, and runs in a folder of its own.
"""

import doctest
import importlib
import importlib.util
import inspect
import pathlib

import keras
import numpy as np
import pytest

import keras_vix

ROOT = pathlib.Path(__file__).parent.parent
LEFT_OUT = {
    "keras_vix.CheckpointError": "an error",
    "keras_vix.data.DatasetUnavailable": "an error",
    "keras_vix.interop.ExportError": "an error",
    "keras_vix.callbacks.TrainingWarning": "a warning",
    "keras_vix.interop.Exported": "a record that only `export` makes, whose example shows it",
    "keras_vix.load_pretrained": "needs a public checkpoint",
    "keras_vix.interop.restore": "needs a public checkpoint",
}
NEEDS = {
    "keras_vix.export": "tensorflow",
    **{f"keras_vix.interpret.{word}": "matplotlib" for word in ("overlay", "plot_attention", "plot_maps")},
    **{f"keras_vix.tune.{word}": "keras_tuner" for word in ("Results", "best", "hypermodel", "plot", "results", "search")},
}


def public():
    """Every function and class by its public name, under the first module that has it, as the pages of names do."""
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs/make_api.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    found = {}
    for name in pages.MODULES:
        module = importlib.import_module(name)
        for word in module.__all__:
            thing = getattr(module, word)
            if callable(thing) and thing not in found.values():
                found[f"{name}.{word}"] = thing
    return found


def examples(name):
    """The docstrings with examples of a public name, its own first and then those of its methods."""
    module = importlib.import_module(name.rpartition(".")[0])
    names = {word: getattr(module, word) for word in module.__all__}
    names |= {"keras": keras, "ops": keras.ops, "np": np, "keras_vix": keras_vix}
    thing = inspect.unwrap(PUBLIC[name])
    found = [one for one in doctest.DocTestFinder().find(thing, name, module=False, globs=names) if one.examples]
    for one in found:
        one.filename = inspect.getsourcefile(thing)  # which a report names
    return sorted(found, key=lambda one: one.name)


PUBLIC = public()
EXAMPLES = {name: found for name in PUBLIC if (found := examples(name))}


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    """One folder for all searches: what one example has searched the next takes up, and does not train again."""
    return tmp_path_factory.mktemp("searches")


@pytest.mark.long
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(name, tmp_path, searches, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.chdir(searches if name.startswith("keras_vix.tune.") else tmp_path)
    report = []
    for one in EXAMPLES[name]:
        doctest.DocTestRunner(verbose=False).run(one, out=report.append)
    if report:
        pytest.fail("".join(report), pytrace=False)


def test_every_public_name_has_an_example_that_shows_a_result():
    shown = {name for name, found in EXAMPLES.items() if found[0].name == name and any(one.want for one in found[0].examples)}
    assert PUBLIC.keys() - shown == LEFT_OUT.keys()
