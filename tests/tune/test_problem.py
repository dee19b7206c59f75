"""Points of a space: which words mean something, which are models, and the spaces of all presets."""

import random

import keras_tuner
import pytest

from keras_vix import tune
from keras_vix.tune import ready
from keras_vix.tune.problem import Problem
from keras_vix.zoo import PRESETS, configure
from keras_vix.zoo.outline import outline
from tests.presets import SAMPLE, SOME, sampled


def points(problem, number=40):
    draw = random.Random(1)
    return [problem.random(draw) for _ in range(number)]


def test_m_is_drawn_with_kernels_that_have_one():
    problem = Problem("performer_softmax", {"m": [4, 8], "kernel": ["softmax", "performer", "linformer"]}, "digits")
    found = points(problem)
    assert {point["kernel"] for point in found} == {"softmax", "performer", "linformer"}
    assert all(("m" in point) == (point["kernel"] != "softmax") for point in found)
    for point in found:
        config, _ = problem.point(point)
        assert config.kernel == point["kernel"] and config.options.get("m") == point.get("m")


def test_conditions_of_conditions():
    """A mixer without a kernel has no `kernel`, and so no `m`."""
    problem = Problem("vit", {"mixer": ["attention", "fourier"], "kernel": ["softmax", "performer"], "m": [4, 8]}, "digits")
    seen = {tuple(point) for point in points(problem)}
    assert seen == {("mixer",), ("mixer", "kernel"), ("mixer", "kernel", "m")}
    hp = keras_tuner.HyperParameters()
    assert problem.declare(hp) == {"mixer": "attention", "kernel": "softmax"}
    hp.values |= {"kernel": "performer", "m": 8}
    assert problem.declare(hp) == {"mixer": "attention", "kernel": "performer", "m": 8}
    hp.values = {"mixer": "fourier"}
    assert problem.declare(hp) == {"mixer": "fourier"}


def test_a_fixed_option_is_left_out_where_it_means_nothing():
    problem = Problem("transformer_global", {"kernel": ["softmax", "performer"]}, "digits", overrides={"m": 8, "dim": 16})
    assert problem.words({"kernel": "softmax"}) == {"dim": 16, "kernel": "softmax"}
    assert problem.words({"kernel": "performer"}) == {"m": 8, "dim": 16, "kernel": "performer"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("performer_softmax", {"mm": [1]}), "`mm` is no word of `build` that a choice here asks for"),
        (("performer_softmax", {"window": [2]}), "`window` is no word"),
        (("performer_softmax", {"num_head": [2]}), "Did you mean 'num_heads'"),
        (("performer_softmax", {"m": [4]}, "digits", "default", {"strids": 4}), "`strids` is no word .* Did you mean 'strides'"),
        (("performer_softmax", {"m": [4]}, "digits", "default", {"m": 4}), "either drawn or fixed. Received: m in the space"),
        (("performer_softmax", {"dim": [7, 9]}, "digits"), "none is. The first says: `dim` must be a multiple of `num_heads`"),
        (("performer_softmax", {"learning_rate": [-1.0]}, "digits"), "The first says: `learning_rate` must satisfy"),
        (("performer_softmax", {"m": [4]}, "digits", "defalt"), "`profile` must be one of"),
        (("performer_sofmax", {"m": [4]}), "Did you mean 'performer_softmax'"),
        (("transformer_base", {"dim": [64]}), "A search needs a preset for images. Received: preset='transformer_base'"),
    ],
)  # fmt: skip
def test_wrong_calls(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Problem(*call)


def test_a_point_that_is_no_model_is_no_mistake_of_the_space():
    problem = Problem("performer_softmax", {"dim": [9, 12], "num_heads": [2, 3]}, "digits")
    with pytest.raises(ValueError, match="dim=9, num_heads=2"):
        problem.point({"dim": 9, "num_heads": 2})
    assert problem.point({"dim": 9, "num_heads": 3})[0].dim == (9,)


# ---- ready spaces --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_space_of_models(name, monkeypatch):
    """At 32 tokens; what a model sees is below."""
    monkeypatch.setattr(ready, "fewest_tokens", lambda config, preset: 32)
    space = tune.space(name)
    problem, config = Problem(name, space), configure(name)
    assert {"depth", "dim", "learning_rate"} <= set(space)
    assert ("kernel" in space) <= ("kernel" in config.asks("mixer"))
    drawn = points(problem, 400)
    for word, record in space.items():  # every value of every word, at least once
        for value in getattr(record, "values", ()):
            problem.point(next(point for point in drawn if point.get(word) == value))


@pytest.mark.long
@pytest.mark.parametrize("name", sampled(sorted(SAMPLE), sample=SOME))
def test_spaces_fit_the_tokens_that_a_model_sees(name):
    """The extremes that matter to a kernel: its largest m, in the narrowest and the widest model."""
    space = tune.space(name, dataset="digits")
    problem = Problem(name, space, "digits")
    for kernel in getattr(space.get("kernel"), "values", (None,)):
        drawn = {} if kernel is None else {"kernel": kernel}
        if "m" in space and problem.active("m", drawn):
            drawn["m"] = max(space["m"].values)
        for pick in (0, -1):
            sizes = {word: space[word].values[pick] for word in ("dim", "mlp_dim") if word in space}
            outline(problem.point({**drawn, **sizes, "depth": space["depth"].values[0]})[0], name)


def test_a_ready_space_leaves_out_what_is_fixed():
    assert "kernel" in tune.space("performer_softmax", dataset="digits")
    assert not {"kernel", "dim"} & set(tune.space("performer_softmax", dataset="digits", kernel="softmax", dim=16))
    assert "m" not in tune.space("transformer_global", dataset="digits", kernel="softmax")
    assert tune.space("performer_softmax", dataset="digits", learning_rate=1e-3).keys() >= {"m"}
