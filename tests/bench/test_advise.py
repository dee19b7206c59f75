"""The adviser: what it measures is there, what it says follows from it, and wrong calls are answered before anything runs."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix import cli
from keras_vix.bench import advise as module
from keras_vix.bench.advise import CANDIDATES, EXACT, Advice, Candidate, chosen, unit_error

SMALL = dict(dim=16, num_heads=2, batch_size=2, seconds=0.0)


@pytest.fixture(scope="module")
def advice():
    """Three mixers on 64 tokens, one of them with a projection that all blocks share."""
    mixers = {
        "features": {"kernel": "performer", "m": 8},
        "shared": {"kernel": "linformer", "m": 4, "share": "layer"},
        "fourier": {"mixer": "fourier"},
    }
    return keras_vix.advise((32, 32, 3), 4, mixers=mixers, **SMALL)


@pytest.mark.long
def test_every_candidate_is_measured_as_often_as_the_others_and_the_fastest_is_first(advice):
    found = {one.name: one for one in advice.candidates}
    assert set(found) == {EXACT, "features", "shared", "fourier"} and not any(one.problem for one in found.values())
    steps = [one.step_seconds for one in advice.candidates]
    assert steps == sorted(steps) and steps[0] > 0 and advice.best is advice.candidates[0]
    assert {one.runs for one in found.values()} == {module.LEAST}
    assert all(one.pass_seconds > 0 and one.memory_bytes is None for one in found.values())
    assert (advice.tokens, advice.grid, advice.patch, advice.device) == (64, (8, 8), 4, advice.device)


def test_sizes_are_those_of_one_block(advice):
    found = {one.name: one for one in advice.candidates}
    n, dim = 64, 16
    assert found[EXACT].parameters == 2 * dim + 4 * (dim * dim + dim)
    assert found[EXACT].multiply_adds == 4 * n * dim * dim + 2 * n * n * dim
    assert found["fourier"].parameters == 2 * dim


def test_errors_are_of_estimates_of_attention_alone(advice):
    found = {one.name: one for one in advice.candidates}
    assert found[EXACT].error < 1e-5 < found["features"].error
    assert found["fourier"].error is None


def test_more_features_are_nearer_to_exact_attention():
    def error(m):
        layer = keras_vix.layers.PerformerAttention(num_heads=2, num_features=m)
        layer(np.zeros((1, 32, 8), "float32"))
        return unit_error(layer, 32)

    assert error(256) < 0.7 * error(8)


def test_a_candidate_that_fails_leaves_the_others(monkeypatch):
    real = module.Racer.step

    def step(self):
        if self.name == "greedy":
            raise MemoryError("no room\nfor it")
        real(self)

    monkeypatch.setattr(module.Racer, "step", step)
    found = keras_vix.advise((16, 16, 3), 4, mixers={"greedy": {"kernel": "lsa"}}, **SMALL)
    assert [one.name for one in found.candidates] == [EXACT, "greedy"]
    assert found.candidates[1].problem == "no room" and "greedy: no room" in str(found)


def test_what_is_said_follows_from_the_figures():
    def said(*candidates):
        return Advice(candidates, (8, 8, 1), 1, (8, 8), 64, 16, 2, 2, "x", "cpu:0", 1.0).sentence()

    exact = Candidate(EXACT, {"kernel": "softmax"}, 2.0, error=0.0)
    other = Candidate("other", {"kernel": "linformer", "m": 4}, 1.0, error=0.5)
    assert "nothing is gained" in said(exact, dataclasses.replace(other, step_seconds=3.0))
    assert "build(..., kernel='linformer', m=4), 2.0 times as fast" in said(other, exact) and "50% away" in said(other, exact)
    assert "even with it" in said(dataclasses.replace(other, step_seconds=1.95), exact)
    assert "estimates no attention" in said(dataclasses.replace(other, error=None), exact)
    assert "could be measured" in said(dataclasses.replace(exact, problem="no room"))


def test_the_candidates_of_the_package_are_all_models():
    from keras_vix.zoo import configure

    for options in chosen(None, 16).values():
        configure(module.PRESET, input_shape=(64, 64, 3), patch=8, prefix=0, pool="mean", **options)
    assert chosen(None, 16)["Linformer"]["m"] == 16 and CANDIDATES["Linformer"]["m"] == 64


def test_where_nothing_could_be_measured_the_command_says_so_and_fails(monkeypatch, capsys):
    def full(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(module, "Racer", full)
    assert cli.main("advise --input-shape 16x16x3 --patch 4 --dim 16 --num-heads 2 --m 4".split()) == 1
    text = capsys.readouterr().out
    assert "None of the mixers could be measured" in text and f"{EXACT}: no room" in text


@pytest.mark.long
def test_memory_is_weighed_in_processes_of_their_own():
    found = keras_vix.advise((16, 16, 3), 4, mixers={}, memory=True, **SMALL)
    assert found.best.memory_bytes > 2**20 and "MiB" in str(found)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (dict(device="tpu:7"), "tpu:7"), (dict(device="cpu", memory=True), "memory=True"), (dict(patch=5), "patch"),
        (dict(patch=16), "1 x 1"), (dict(num_heads=5), "num_heads=5"), (dict(m=0), "m=0"), (dict(seconds=-1), "seconds=-1"),
        (dict(mixers=["lsa"]), "mixers"), (dict(mixers={"a": {"kernel": "perform"}}), "performer"), (dict(batch_size=0), "batch_size=0"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused_before_anything_is_measured(call, words, monkeypatch):
    monkeypatch.setattr(module, "measured", None)
    with pytest.raises(ValueError, match=words):
        keras_vix.advise((16, 16, 3), **{"patch": 4, "dim": 16, "num_heads": 2} | call)


@pytest.mark.long
def test_the_command_prints_a_table_or_json(capsys, monkeypatch):
    monkeypatch.setattr(module, "CANDIDATES", {EXACT: {"kernel": "softmax"}, "Linformer": {"kernel": "linformer", "m": 64}})
    call = "advise --input-shape 16x16x3 --patch 4 --dim 16 --num-heads 2 --batch-size 2 --seconds 0 --m 4".split()
    assert cli.main(call) == 0
    text = capsys.readouterr().out
    assert "16 tokens of width 16" in text and "Linformer" in text and "exact / it" in text
    assert cli.main([*call, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == 16 and {one["name"] for one in found["candidates"]} == {EXACT, "Linformer"}
    assert found["backend"] == keras.config.backend()
    assert cli.main(["advise", "--input-shape", "16,16"]) == 2 and "224,224,3" in capsys.readouterr().err
