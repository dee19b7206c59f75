"""What runs beside what, and for how long."""

import pytest
from peers import plan
from peers.case import matching
from peers.cases import CASES, find
from peers.settings import Settings


def test_names_are_unique_and_begin_with_their_environment():
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.name.startswith(f"{case.environment}-") for case in CASES)


def test_every_maker_exists():
    from pathlib import Path

    folder = Path(plan.__file__).parent / "contenders"
    for case in CASES:
        if ":" in case.maker:
            module, function = case.maker.split(":")
            assert f"def {function}(place" in (folder / f"{module}.py").read_text(encoding="utf-8"), case.name


def test_patterns_choose_cases_and_refuse_what_fits_nothing():
    assert [case.name for case in matching("torch-linformer*, tensorflow-mha", CASES)] == [
        "tensorflow-mha", "torch-linformer-package"]
    with pytest.raises(ValueError, match="Received: cases='nothing'"):
        matching("nothing", CASES)


def test_the_reference_joins_whatever_is_chosen():
    chosen = plan.with_references([find("torch-linformer-package")], CASES, "tensorflow")
    assert [case.name for case in chosen] == ["tensorflow-mha", "torch-linformer-package"]


def test_exact_attention_stops_where_linear_attention_goes_on():
    sets = plan.sets(CASES, ["attention"], [4096, 16384], ["train"])
    cases = [{one.case.name for one in group.contenders} for group in sets]
    exact, linear, longest = cases
    assert {"tensorflow-mha", "torch-sdpa"} <= exact and "tensorflow-vix-linformer" not in exact
    assert {"tensorflow-mha", "tensorflow-vix-linformer"} <= linear and "torch-sdpa" not in linear
    assert longest == linear - {"tensorflow-mha"}


def test_small_sets_and_lone_references_are_not_split():
    sets = plan.sets(CASES, ["attention"], [256], ["train"])
    assert len(sets) == 1
    alone = plan.sets([find("tensorflow-mha"), find("torch-sdpa")], ["attention"], [4096], ["train"])
    assert [len(group.contenders) for group in alone] == [2]


def test_sets_go_up_in_size_and_doubling_is_one_set():
    sets = plan.sets(CASES, ["attention", "doubling"], [64, 128], ["forward", "train"])
    assert [group.title for group in sets] == [
        "attention, 64 tokens, train", "attention, 64 tokens, forward", "attention, 128 tokens, train",
        "attention, 128 tokens, forward", "doubling, 64 and 128 tokens, train"]


@pytest.mark.parametrize(("per_round", "rounds"), [(1.0, 5), (20.0, 5), (26.0, 3), (1000.0, 3)])
def test_long_sets_get_fewer_rounds_but_three(per_round, rounds):
    assert plan.rounds_of(per_round, Settings(rounds=5, budget=100.0)) == rounds


def test_a_run_of_one_round_stays_one():
    assert plan.rounds_of(1000.0, Settings(rounds=1)) == 1


@pytest.mark.parametrize(("step", "steps"), [(0.0001, 50), (0.05, 4), (0.15, 2), (5.0, 1)])
def test_a_block_fills_its_time_within_bounds(step, steps):
    assert plan.block_steps(step, Settings(block=0.2, most_steps=50)) == steps


def test_a_full_run_is_expected_to_take_a_good_half_hour():
    full = plan.sets(CASES, list(plan.GROUPS), None, ["train", "forward"])
    assert 15 * 60 < plan.estimate(full, Settings()) < 60 * 60
