"""Published tables beside measured rows."""

import numpy as np
import pytest
import samples

from keras_vix.bench import published, suites
from keras_vix.bench.scores import scores

STUDY = "hybrid_xformers_2022"


def measured(**more):
    row = samples.done("vit", published_parameters=530_442, published_megabytes=209.389, test_top5=0.94321, peak_memory_bytes=2.5e9)
    return row | {"preset": "vit", "dataset": "cifar10", "label": "vit"} | more


def test_ours_stand_beside_theirs():
    text = "\n\n".join(published.sections(STUDY, [measured()]))
    assert "### Table 1, CIFAR-10" in text and "Table 2" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("| ViT |")]
    assert line == "| ViT | 530,442 | 530,442 | 209.39 | 209.39 | 2.50 | 56.81 | 93.61 | 94.82 | 94.32 |"
    (bare,) = [line for line in text.splitlines() if line.startswith("| ViP |")]
    assert bare == "| ViP | 531,978 | – | 85.15 | – | – | – | – | – | – |"
    (run,) = [line for line in text.splitlines() if line.startswith("| vit |")]
    assert "33.6 / 41.17" in run and "56.817" in run and "319" in run


def test_changed_rows_say_so_and_misprints_are_named():
    text = "\n\n".join(published.sections(STUDY, [measured(label="vit patch=2"), measured(preset="levip", label="levip")]))
    assert "| ViT patch=2 |" in text and "662,410, a misprint" in text


def test_rows_of_other_data_are_not_compared():
    parts = published.sections(STUDY, [measured(dataset="mnist")])
    assert len(parts) == 1 and "###" not in parts[0]


def test_unknown_studies_are_refused():
    with pytest.raises(ValueError, match="published='hybrid'"):
        suites.make([{"preset": "vit"}], name="x", published="hybrid")
    with pytest.raises(ValueError, match="published='hybrid'"):
        published.sections("hybrid", [])


def test_scores_are_keras_own():
    import keras

    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.standard_normal((40, 12)), rng.integers(0, 12, 40)
    found = scores(logits, labels)
    for name, metric in (
        ("test_accuracy", keras.metrics.SparseCategoricalAccuracy()),
        ("test_top5", keras.metrics.SparseTopKCategoricalAccuracy(5)),
        ("test_ce", keras.metrics.SparseCategoricalCrossentropy(from_logits=True)),
    ):
        metric.update_state(labels, logits.astype("float32"))
        assert abs(found[name] - float(metric.result())) <= 1e-6


def test_equal_logits_are_no_success():
    assert scores(np.zeros((4, 8)), np.array([0, 4, 5, 7]))["test_accuracy"] == 0.25
    assert scores(np.zeros((4, 8)), np.array([0, 4, 5, 7]))["test_top5"] == 0.5
