"""Performers and Transformers on CIFAR-10 and MNIST, 2024: two tables of ten rows, and two peaks."""

from collections.abc import Sequence

from ..tables import Row, count, fraction, milliseconds, seconds
from .study import (
    DATASETS, Figures, Printed, PublishedTable, Relation, Study, beside, matching, measured, ours, percent, read, theirs,
)  # fmt: skip

NOTE = (
    "Left of each pair what the report prints, right what was measured here. Its figures are of single runs on unnamed GPUs: "
    "10,000 images give an accuracy of 0.77 a standard error of 0.004 and one of 0.992 one of 0.0009, so that most differences "
    "between numbers of features are of the size of noise. It validated on what may be the test images, ours are apart. The "
    "loss of the local model holds label smoothing, whose least value is 0.50; CE is without. Performers of the two kinds "
    "and the Transformers were written by different people: times compare implementations as well. †: a failed run."
)
COLUMNS = (
    theirs("Train accuracy", "train_accuracy"), ours("train_accuracy", fraction),
    theirs("Validation accuracy", "val_accuracy"), ours("val_accuracy", fraction),
    theirs("Validation loss", "val_loss"), ours("val_loss", fraction), ours("val_ce", fraction, "CE, ours"),
    theirs("Epochs", "epochs"), ours("epochs", count),
    theirs("Time/epoch (s)", "epoch_seconds"), ours("epoch_seconds", seconds),
    theirs("Time/step (ms)", "step_milliseconds"), ours("step_seconds", milliseconds),
)  # fmt: skip
PEAK = (
    theirs("Best accuracy on the test images (%)", "peak_percent"),
    ours("test_accuracy", percent, "ours, final, test"),
    ours("best_val_accuracy", percent, "ours, best, validation"),
)


def tables(rows: Sequence[Row]) -> list[PublishedTable]:
    """Both tables and the peaks, as far as a row of each was run."""
    printed = read("columbia_2024")
    parts = [[one for one in printed if one["table"] == number] for number in ("1", "2")]
    found = [
        beside(f"Table {part[0]['table']}, {DATASETS[part[0]['dataset']]}", part, rows, COLUMNS)
        for part in parts if any(matching(one, rows) for one in part)
    ]  # fmt: skip
    for one in read("columbia_2024_peaks"):
        if matching(one, rows):
            found.append(beside(f"Section {one['section']}, {DATASETS[one['dataset']]}", [one], rows, PEAK))
    return found


# ---- what holds of the figures -------------------------------------------------------------------------------------

NAMES = ("train_accuracy", "val_accuracy", "epoch_seconds")
SOFTMAX, RELU = ([f"performer_{kind}_m{m}" for m in (16, 32, 64, 128)] for kind in ("softmax", "relu"))
GLOBAL, LOCAL = "transformer_global", "transformer_local"
OTHERS = [*SOFTMAX, *RELU, GLOBAL]  # all but the local one


def key(printed: Printed) -> tuple[str, str]:
    """Data set and model."""
    return printed["dataset"], printed["key"]


def published() -> Figures:
    """The printed figures as numbers."""
    return {key(one): {name: float(one[name]) for name in NAMES} for one in read("columbia_2024")}


def own(rows: Sequence[Row]) -> Figures:
    """Ours."""
    return measured(read("columbia_2024"), rows, key, {name: lambda row, name=name: row.get(name) for name in NAMES})


def of(figures: Figures, dataset: str, models: Sequence[str], name: str) -> list[float]:
    """One figure of several models."""
    return [figures[dataset, model][name] for model in models]


def gaps(figures: Figures, models: Sequence[str]) -> list[float]:
    """Train less validation accuracy on CIFAR-10."""
    pairs = (of(figures, "cifar10", models, name) for name in ("train_accuracy", "val_accuracy"))
    return [train - validation for train, validation in zip(*pairs, strict=True)]


def softmax_is_more_accurate(figures: Figures) -> bool:
    accuracies = [of(figures, "cifar10", models, "val_accuracy") for models in (SOFTMAX, RELU)]
    return min(accuracies[0]) > max(accuracies[1])


def softmax_is_faster(figures: Figures) -> bool:
    times = [of(figures, "cifar10", models, "epoch_seconds") for models in (SOFTMAX, RELU)]
    return max(times[0]) < min(times[1])


def global_has_the_largest_gap(figures: Figures) -> bool:
    return gaps(figures, [GLOBAL])[0] > max(gaps(figures, [*SOFTMAX, *RELU, LOCAL]))


def local_is_the_fastest(dataset: str):
    return lambda figures: figures[dataset, LOCAL]["epoch_seconds"] < min(of(figures, dataset, OTHERS, "epoch_seconds"))


def global_is_the_slowest(figures: Figures) -> bool:
    others = of(figures, "cifar10", [*SOFTMAX, *RELU, LOCAL], "epoch_seconds")
    return figures["cifar10", GLOBAL]["epoch_seconds"] > max(others)


def time_is_flat(figures: Figures) -> bool:
    times = [of(figures, "cifar10", models, "epoch_seconds") for models in (SOFTMAX, RELU)]
    return all(max(one) <= 1.1 * min(one) for one in times)


def mnist_is_level(figures: Figures) -> bool:
    accuracies = of(figures, "mnist", OTHERS, "val_accuracy")
    return max(accuracies) - min(accuracies) <= 0.004


def mnist_times_are_level(figures: Figures) -> bool:
    times = of(figures, "mnist", OTHERS, "epoch_seconds")
    return max(times) <= 1.2 * min(times)


RELATIONS = (
    Relation("CIFAR-10: every softmax Performer validates better than every ReLU Performer", softmax_is_more_accurate),
    Relation("CIFAR-10: the global model has the largest gap between train and validation accuracy", global_has_the_largest_gap),
    Relation("CIFAR-10: the local model takes the least time for an epoch", local_is_the_fastest("cifar10")),
    Relation("CIFAR-10: every softmax Performer takes less time for an epoch than every ReLU Performer", softmax_is_faster),
    Relation("CIFAR-10: the global model takes the most time for an epoch", global_is_the_slowest),
    Relation("CIFAR-10: a Performer's time for an epoch changes by at most 10 % with its features", time_is_flat),
    Relation("MNIST: all but the local model validate within 0.004 of each other", mnist_is_level),
    Relation("MNIST: the local model takes the least time for an epoch", local_is_the_fastest("mnist")),
    Relation("MNIST: the times of all others for an epoch are within 20 % of the shortest", mnist_times_are_level),
)
STUDY = Study(
    "Performer against Transformer on images, Columbia report of 2024", NOTE, tables, RELATIONS, published, own
)
