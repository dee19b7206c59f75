"""What figures compute before anything is drawn: fronts, break-even points, means over seeds, names."""

import math

import figure_samples
import pytest
import samples
from hypothesis import given, strategies

from keras_vix.bench.plots import break_even, over_seeds, pareto, scaling, values


def points(*pairs):
    return [{"label": str(n), "cost": x, "worth": y} for n, (x, y) in enumerate(pairs)]


def labels(rows):
    return [row["label"] for row in rows]


# ---- the Pareto front ----------------------------------------------------------------------------------------------


def test_the_front_has_what_nothing_beats():
    rows = points((3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7), (4, 0.9), (5, 0.95))
    assert labels(pareto(rows, "cost", "worth")) == ["1", "3", "0", "5"]


def test_equal_points_are_both_on_the_front_and_half_equal_ones_are_not():
    assert labels(pareto(points((1, 0.5), (1, 0.5)), "cost", "worth")) == ["0", "1"]
    assert labels(pareto(points((1, 0.5), (1, 0.6)), "cost", "worth")) == ["1"]
    assert labels(pareto(points((1, 0.5), (2, 0.5)), "cost", "worth")) == ["0"]


def test_failed_retried_and_unmeasured_rows_are_no_rivals():
    rows = points((1, 0.99), (1, 0.98), (1, None), (None, 0.9), (1, math.nan), (2, 0.5))
    rows[0]["status"], rows[1]["retried"] = "nan", True
    assert labels(pareto(rows, "cost", "worth")) == ["5"]
    assert pareto([], "cost", "worth") == []


@given(strategies.lists(strategies.tuples(strategies.integers(0, 6), strategies.integers(0, 6)), max_size=9))
def test_whatever_is_not_on_the_front_is_beaten_by_something_on_it(pairs):
    rows = points(*pairs)
    front = pareto(rows, "cost", "worth")
    costs = [row["cost"] for row in front]
    assert costs == sorted(costs)
    beats = lambda a, b: a["cost"] <= b["cost"] and a["worth"] >= b["worth"] and (a["cost"], a["worth"]) != (b["cost"], b["worth"])
    for row in rows:
        assert (row in front) != any(beats(other, row) for other in front)


# ---- break-even ----------------------------------------------------------------------------------------------------


SIZES = [196, 576, 1024, 4096]


def test_powers_cross_where_they_do():
    """Costs that are powers of the size are straight on logarithmic axes: the interpolation is then exact."""
    found = break_even(SIZES, [n**2 for n in SIZES], [700 * n for n in SIZES])
    assert found.kind == "at" and found.tokens == pytest.approx(700)
    assert found.words() == "overtakes at about 700 tokens"


def test_the_order_of_sizes_does_not_matter():
    found = break_even(SIZES[::-1], [n**2 for n in SIZES[::-1]], [2000 * n for n in SIZES[::-1]])
    assert found.tokens == pytest.approx(2000)


@pytest.mark.parametrize("factor, kind, tokens, words", [
    (100, "always", 196, "ahead from the first size, 196 tokens"), (5000, "never", 4096, "not up to 4,096 tokens"),
])
def test_always_and_never(factor, kind, tokens, words):
    found = break_even(SIZES, [n**2 for n in SIZES], [factor * n for n in SIZES])
    assert found == (kind, tokens) and found.words() == words


def test_what_falls_behind_again_is_said_to():
    found = break_even([1, 10, 100], [1, 1, 1], [0.5, 0.1, 10])
    assert found.kind == "lost" and found.tokens == pytest.approx(math.sqrt(1000)) and "only below" in found.words()


def test_of_several_crossings_the_last_counts():
    found = break_even([1, 2, 3, 4, 5], [1] * 5, [0.5, 2, 0.5, 2, 0.5])
    assert found.kind == "at" and 4 < found.tokens < 5


def test_equal_costs_are_not_ahead():
    assert break_even([1, 2], [1, 1], [1, 1]).kind == "never"
    assert break_even([1, 2], [1, 1], [1, 0.5]) == ("at", 1.0)


def test_only_sizes_with_both_costs_count():
    assert break_even([1, 2, 3], [None, 4, 0], [1, 1, 1]) == ("always", 2)
    assert break_even([1, 2], [None, 1], [1, None]) is None
    assert break_even([], [], []) is None


# ---- several seeds -------------------------------------------------------------------------------------------------


def test_seeds_become_one_row_with_mean_and_deviation():
    rows = [samples.done("a", seed=seed, test_accuracy=value, unit={"preset": "a", "seed": seed, "start": f"s{seed}"})
            for seed, value in ((0, 0.7), (1, 0.8), (2, 0.9))]
    (row,) = over_seeds(rows, "test_accuracy")
    assert (row["test_accuracy"], row["runs"]) == (pytest.approx(0.8), 3)
    assert row["sd"]["test_accuracy"] == pytest.approx(0.1)
    assert values.uncertainty(row, "test_accuracy") == pytest.approx(0.1)


def test_one_seed_has_no_deviation_but_a_standard_error():
    (row,) = over_seeds([samples.done("a", test_accuracy=0.5, test_images=100)], "test_accuracy")
    assert row["sd"] == {} and values.uncertainty(row, "test_accuracy") == pytest.approx(0.05)


@pytest.mark.parametrize("change", [{"device": "gpu"}, {"backend": "jax"}, {"dataset": "mnist"}, {"init": "checkpoint"},
                                    {"retried": True}, {"label": "a m=3"}, {"unit": {"epochs": 3}}])
def test_other_differences_are_not_averaged_away(change):
    rows = [samples.done("a", test_accuracy=0.5), samples.done("a", test_accuracy=0.7) | change]
    assert [row["runs"] for row in over_seeds(rows, "test_accuracy")] == [1, 1]


# ---- names ---------------------------------------------------------------------------------------------------------


def named(*words):
    return values.names([{"label": one, "preset": one.split(" ")[0]} for one in words])


def test_names_leave_out_what_all_share():
    assert named("a m=1 patch=2", "a m=2 patch=2", "b patch=2") == ["a m=1", "a m=2", "b"]


def test_long_names_leave_out_what_their_preset_shares():
    assert named("a_long_name strides=2x1x1x1", "b patch=2 m=3", "b patch=2 m=4") == ["a_long_name", "b m=3", "b m=4"]


def test_equal_names_are_told_apart_by_what_the_rows_differ_in():
    rows = [{"label": "a", "init": "scratch"}, {"label": "a", "init": "checkpoint"}, {"label": "b"}]
    assert values.names(rows) == ["a scratch", "a checkpoint", "b"]
    assert values.names([{"label": "a"}, {"label": "a", "retried": True}]) == ["a", "a half batch"]
    assert values.names([{"label": "a"}, {"label": "a"}]) == ["a (1)", "a (2)"]


def test_names_are_of_one_line_and_not_hidden():
    assert named("_a\nb") == [" _a b"]
    (long,) = named("x" * 200)
    assert len(long) == values.CLIP and long.endswith("…")
    assert values.names([{}]) == ["?"]


def test_exact_attention_is_known_by_its_choices():
    softmax = {"config": {"mixer": "attention", "kernel": "softmax"}}
    assert values.exact(softmax)
    assert not values.exact({"config": {"mixer": "fourier", "kernel": "softmax"}})
    assert not values.exact(softmax | {"unit": {"overrides": {"kernel": "performer"}}})
    assert values.exact({"preset": "transformer_global"}) and not values.exact({"preset": "performer_relu"})
    assert not values.exact({})


def test_mixers_are_called_by_what_tells_them_apart():
    rows = figure_samples.resolution()
    found = dict(zip((row["label"] for row in rows), scaling.mixer_names(rows), strict=True))
    assert found["vit_ti16 input_shape=224x224x3"] == scaling.EXACT
    assert found["vit_ti16 kernel=performer input_shape=224x224x3 features=relu m=64"] == "performer relu"
    assert len(set(found.values())) == len(figure_samples.MIXERS)
    assert {found[label] for label in found if "linformer" in label} == {"linformer"}


def test_mixers_of_several_presets_and_shared_words():
    labels = ["vit depth=4 input_shape=2x2x3 pool=mean", "vip depth=4 input_shape=2x2x3 pool=mean",
              "vit depth=4 input_shape=4x4x3 pool=mean"]
    rows = [{"label": label, "preset": label[:3]} for label in labels]
    assert scaling.mixer_names(rows) == [scaling.EXACT, "vip", scaling.EXACT]


LONG = "learning_rate=0.001 num_features=64 another_option=7"


def swapped(*words):
    return [{"label": f"transformer_global {one}", "preset": "transformer_global", "init": "checkpoint"} for one in words]


def test_names_too_long_leave_out_how_rows_were_trained_and_the_preset_of_all():
    rows = swapped(f"kernel=linformer m=16 {LONG}", f"kernel=nystrom m=16 {LONG}", "mixer=window window=4 num_features=64 shift=2")
    found = values.names(rows)
    assert [name.split(" ")[0] for name in found] == ["linformer", "nystrom", "window"]
    assert all("learning_rate" not in name and len(name) <= values.CLIP for name in found)


def test_what_rows_alone_differ_in_stays_in_their_names():
    many = "kernel=performer num_features=64 dropout=0.1"
    found = values.names(swapped(f"{many} learning_rate=0.001", f"{many} learning_rate=0.1", "kernel=lsa"))
    assert len(set(found)) == 3 and "learning_rate=0.1" in found[1]


def test_names_too_long_are_still_told_apart_by_their_start():
    rows = swapped(f"kernel=linformer {LONG} {LONG}x", f"kernel=linformer {LONG} {LONG}x", "kernel=lsa")
    rows[1]["init"] = "scratch"
    assert kinds_of(values.names(rows)) == 3


def kinds_of(found):
    return len(set(found))
