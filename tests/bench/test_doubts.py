"""What a reader is warned of: busy machines, halved batches, rows that guess, and settings that are not the same for all."""

import pytest
import report_samples
import samples

from keras_vix.bench import doubts


def test_a_clean_table_raises_no_doubt():
    rows = [report_samples.done("a"), report_samples.done("b", m=4), report_samples.done("b", seed=1)]
    assert doubts.doubts(rows) == [] and doubts.told_differences(rows) == ""


@pytest.mark.parametrize(
    ("changes", "heading", "words"),
    [
        ({"busy_at_start": True}, "Noisy times", "using the machine when these rows started: a."),
        ({"slow_epochs": [3]}, "Noisy times", "twice the median: a."),
        ({"step_spread": 0.11}, "Noisy times", "more than 10% of their median (marked ?): a."),
        ({"retried": True}, "Half the batch", "in no mean and no ranking: a."),
        ({"test_accuracy": 0.12}, "No better than chance", "that of guessing: a."),
    ],
)
def test_each_doubt_names_its_rows(changes, heading, words):
    ((found, text),) = doubts.doubts([report_samples.done("a", **changes), report_samples.done("b")])
    assert found == heading and words in text


def test_most_rows_are_counted_and_not_named():
    rows = [report_samples.done(name, retried=True) for name in "abc"] + [report_samples.done("d")]
    ((_, text),) = doubts.doubts(rows)
    assert "3 of 4" in text
    rows = [report_samples.done(f"a{number}", retried=number < 6) for number in range(20)]
    ((_, text),) = doubts.doubts(rows)
    assert "6 of 20" in text and "a5" not in text


def test_guessing_depends_on_classes_and_images():
    """One standard error of 0.1 on 360 images is 0.0158."""
    assert doubts.guessing(report_samples.done(test_accuracy=0.1 + 0.031)) and not doubts.guessing(report_samples.done(test_accuracy=0.1 + 0.032))
    assert not doubts.guessing(samples.done(test_accuracy=0.0)) and not doubts.guessing(samples.broken())
    assert not doubts.guessing(report_samples.done(test_accuracy=0.1, test_images=0)) and not doubts.guessing(report_samples.cost())


@pytest.mark.parametrize("key", ["dataset", "batch_size", "train_images", "epochs", "profile", "backend", "cpu", "deterministic", "devices", "init"])
def test_a_setting_that_is_not_the_same_is_told(key):
    rows = [report_samples.done("a"), report_samples.done("b"), report_samples.done("c", **{key: "other"})]
    ((name, values),) = doubts.differences(rows)
    assert name == key.replace("_", " ") and [row["label"] for row in values["other"]] == ["c"]
    assert "other (c)" in doubts.told_differences(rows)


def test_recipes_and_packages_are_settings_too():
    rows = [report_samples.done("a"), report_samples.done("b", recipe={"optimizer": "sgd", "learning_rate": 0.003})]
    assert doubts.told_differences(rows) == "Rows differ in optimizer adamw (a), sgd (b)."
    around = samples.SURROUNDINGS | {"packages": {"keras": "4.0"}}
    assert "keras 3.15.1 (a), 4.0 (b)" in doubts.told_differences([report_samples.done("a"), report_samples.done("b", environment=around)])


def test_what_older_rows_did_not_record_is_no_difference():
    assert doubts.differences([samples.done("a"), report_samples.done("b")]) == []
    assert doubts.differences([report_samples.done("a"), samples.broken()]) == []


def test_what_watch_has_found_is_told():
    finding = "3 weights (a, b, c) did not change in the first epoch. The learning rate is 0."
    rows = [report_samples.done("a", findings=[]), report_samples.done("b", findings=[finding])]
    assert doubts.doubts(rows) == [("Failed trainings", f"b: {finding}")]
