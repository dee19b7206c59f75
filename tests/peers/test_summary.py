"""Statistics against numbers worked out by hand."""

import pytest
from peers import summary


def blocks(*medians):
    return [{"round": i, "median": value} for i, value in enumerate(medians)]


def test_percentiles_lie_on_straight_lines_between_sorted_values():
    assert summary.spread([5.0, 1.0, 3.0, 2.0, 4.0]) == pytest.approx((3.0, 1.4, 4.6))
    assert summary.spread([7.0]) == (7.0, 7.0, 7.0)
    assert summary.percentile([0.0, 10.0], 0.25) == pytest.approx(2.5)


def test_ratios_pair_rounds_so_that_drift_falls_out():
    reference, own = blocks(4.0, 8.0, 16.0), blocks(2.0, 4.0, 8.0)
    assert summary.ratios(reference, own) == [2.0, 2.0, 2.0]


def test_ratios_use_only_rounds_that_both_have():
    own = [{"round": 1, "median": 4.0}, {"round": 5, "median": 1.0}]
    assert summary.ratios(blocks(4.0, 8.0), own) == [2.0]


def test_seconds_of_a_contender_without_figures():
    assert summary.seconds({"status": "> limit", "blocks": blocks(1.0)}) is None
    assert summary.seconds({"status": "done", "blocks": blocks(1.0, 3.0)}).median == 2.0


def test_break_even_is_exact_for_power_laws():
    linear = {64: 40.0, 256: 160.0, 1024: 640.0}
    square = {64: 10.0, 256: 160.0 * 1.0001, 1024: 2560.0}
    assert summary.break_even(linear, square) == pytest.approx(256, rel=1e-3)
    assert summary.break_even({100: 2.0, 400: 2.0}, {100: 1.0, 400: 4.0}) == pytest.approx(200.0)


def test_break_even_of_curves_that_do_not_cross():
    slow, fast = {64: 2.0, 256: 4.0}, {64: 1.0, 256: 2.0}
    assert summary.break_even(slow, fast) is None
    assert summary.break_even(fast, slow) is None
    assert summary.always_faster(fast, slow) and not summary.always_faster(slow, fast)
    assert not summary.always_faster({1: 1.0}, {2: 1.0})


def test_break_even_needs_the_lead_to_last():
    assert summary.break_even({1: 2.0, 2: 1.0, 4: 9.0}, {1: 1.0, 2: 2.0, 4: 4.0}) is None


def test_floor_is_arithmetic_or_memory_whichever_is_longer():
    assert summary.floor(10**9, 8, "forward", flops=1e11, bandwidth=1e10) == pytest.approx(0.02)
    assert summary.floor(10**9, 8, "train", flops=1e11, bandwidth=1e10) == pytest.approx(0.06)
    assert summary.floor(1, 10**9, "train", flops=1e11, bandwidth=1e10) == pytest.approx(0.1)
