"""ViT, Linformer and Performer on CIFAR-10 from scratch and from a checkpoint, 2023: nineteen tables."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..tables import DASH, Row, fraction, seconds, short
from .study import (
    Figures, Printed, PublishedTable, Relation, Study, beside, matching, measured, name_of, ours, percent, read, theirs, told,
)  # fmt: skip

NOTE = (
    "Left of each pair what the report prints, right what was measured here. It does not give the learning rate, the schedule, "
    "Linformer's number of tokens and the number of features. Its ViT and ViL are failed runs (†), and its checkpoint is that "
    "ViT, hardly trained: accuracies of exact and efficient attention do not compare. Nor do the times say what attention costs: "
    "its core is 4 percent of the multiply-adds of a ViT-B/16 at 197 tokens, so that the halved times are those of other code or "
    "another state of the machine. Train figures are of all 50,000 images there, of all but the validation images here."
)
STARTS = {"scratch": "from scratch", "checkpoint": "from the checkpoint"}
TEST = (
    theirs("Test accuracy (%)", "test_accuracy"), ours("test_accuracy", percent),
    theirs("Test loss", "test_loss"), ours("test_ce", fraction),
    theirs("Test pass (s)", "test_seconds"), ours("test_seconds", seconds),
)  # fmt: skip
EPOCH = ("Epoch", "Train accuracy (%)", "ours", "Train loss", "ours", "Time (s)", "ours")


def tables(rows: Sequence[Row]) -> list[PublishedTable]:
    """The settings, and of each run that was repeated here its epochs and its test figures."""
    runs, epochs, found = read("ieor_2023_test"), read("ieor_2023"), []
    repeated = [row for run in runs for row in matching(run, rows)]
    if repeated:
        found.append(settings(repeated))
    for run in runs:
        name = name_of(run, {})
        title = f"{name} {STARTS[run['init']]}"
        own = [one for one in epochs if (one["key"], one["init"]) == (run["key"], run["init"])]
        for row in told(matching(run, rows)):
            changed = name_of(run, row).removeprefix(name)
            found.append(training(f"Table {own[0]['table']}, {title}, training{changed}", own, row))
        if matching(run, rows):
            found.append(beside(f"Table {run['table']}, {title}, test", [run], rows, TEST))
    return found


def training(title: str, printed: Sequence[Printed], row: Row) -> PublishedTable:
    """The epochs of a run beside those of one of ours."""
    history = row.get("history") or {}
    times = [one.get("train_seconds") for one in row.get("epoch_times") or ()]
    cells = []
    for place, one in enumerate(printed):
        cells.append([
            one["epoch"],
            one["train_accuracy"], at(history.get("accuracy"), place, percent),
            one["train_loss"], at(history.get("loss"), place, fraction),
            one["train_seconds"], at(times, place, seconds),
        ])  # fmt: skip
    return PublishedTable(title, EPOCH, cells, left=())


def at(values: Sequence[Any] | None, place: int, write: Callable[[Any], str]) -> str:
    """One value of a curve, or a dash."""
    known = place < len(values or ()) and values[place] is not None
    return write(values[place]) if known else DASH


# Where our value of each setting of table 1 is found.
SETTINGS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Any]] = {
    "batch_size": lambda config, recipe: recipe["batch_size"],
    "patch_size": lambda config, recipe: config["options"]["patch"],
    "number_of_heads": lambda config, recipe: config["num_heads"],
    "layer": lambda config, recipe: config["depth"],
    "embedding_dimension": lambda config, recipe: config["dim"],
    "image_size": lambda config, recipe: config["options"].get("resize") or config["input_shape"][0],
    "query_key_dimension_per_head": lambda config, recipe: config["key_dim"] or [
        width // heads for width, heads in zip(config["dim"], config["num_heads"], strict=True)
    ],
    "number_of_classes": lambda config, recipe: config["classes"],
    "optimizer": lambda config, recipe: recipe["optimizer"],
    "epoch": lambda config, recipe: recipe["epochs"],
    "dropout_rate": lambda config, recipe: config["dropout"],
}


def settings(rows: Sequence[Row]) -> PublishedTable:
    """Table 1; ours as far as rows hold their configuration and recipe, every value that occurs."""
    cells = []
    for one in read("ieor_2023_settings"):
        found = [value for row in rows if (value := setting(one["key"], row)) is not None]
        cells.append([one["setting"], one["value"], ", ".join(dict.fromkeys(found)) or DASH])
    notes = ["Heads of 128 do not fit a width of 768 and 12 heads; ours are the quotient, key_dim=128 is the other reading"]
    return PublishedTable("Table 1, settings", ("Setting", "Value", "ours"), cells, notes, left=("Setting",))


def setting(key: str, row: Row) -> str | None:
    """A row's value of a setting, or None."""
    try:
        return short(SETTINGS[key](row["config"], row["recipe"]))
    except (KeyError, TypeError, IndexError):
        return None


# ---- what holds of the figures -------------------------------------------------------------------------------------

MODELS = ("vit", "vil", "vip_positive", "vip_relu", "vip_exp")
EFFICIENT = [(model, init) for model in MODELS[1:] for init in STARTS]
ROW_FIGURES = {
    "train_seconds": lambda row: row.get("train_seconds"),
    "test_seconds": lambda row: row.get("test_seconds"),
    "test_accuracy": lambda row: row.get("test_accuracy"),
    "first": lambda row: ((row.get("history") or {}).get("accuracy") or [None])[0],
    "last": lambda row: ((row.get("history") or {}).get("accuracy") or [None])[-1],
}


def key(printed: Printed) -> tuple[str, str]:
    """Model and start."""
    return printed["key"], printed["init"]


def published() -> Figures:
    """The printed figures as numbers: mean time of an epoch, first and last train accuracy, and those of the test."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for one in read("ieor_2023_test"):
        epochs = [epoch for epoch in read("ieor_2023") if key(epoch) == key(one)]
        found[key(one)] = {
            "train_seconds": statistics.fmean(float(epoch["train_seconds"]) for epoch in epochs),
            "test_seconds": float(one["test_seconds"]),
            "test_accuracy": float(one["test_accuracy"]),
            "first": float(epochs[0]["train_accuracy"]),
            "last": float(epochs[-1]["train_accuracy"]),
        }
    return found


def own(rows: Sequence[Row]) -> Figures:
    """Ours."""
    return measured(read("ieor_2023_test"), rows, key, ROW_FIGURES)


def efficient_is_faster(name: str) -> Callable[[Figures], bool]:
    return lambda figures: max(figures[one][name] for one in EFFICIENT) < figures["vit", "scratch"][name]


def relu_is_the_fastest(figures: Figures) -> bool:
    return all(
        figures["vip_relu", init]["train_seconds"]
        < min(figures[model, init]["train_seconds"] for model in ("vil", "vip_positive", "vip_exp"))
        for init in STARTS
    )


def checkpoint_is_better(name: str, *models: str) -> Callable[[Figures], bool]:
    return lambda figures: all(figures[model, "checkpoint"][name] > figures[model, "scratch"][name] for model in models)


def checkpoint_is_worse(figures: Figures) -> bool:
    return figures["vip_positive", "checkpoint"]["test_accuracy"] < figures["vip_positive", "scratch"]["test_accuracy"]


def maps_fit_better(figures: Figures) -> bool:
    return all(
        min(figures[model, init]["last"] for model in ("vip_relu", "vip_exp")) > figures["vip_positive", init]["last"]
        for init in STARTS
    )


RELATIONS = (
    Relation("Every run of ViL and of the ViPs takes less time for an epoch than ViT", efficient_is_faster("train_seconds")),
    Relation("Every run of ViL and of the ViPs takes less time for a test pass than ViT", efficient_is_faster("test_seconds")),
    Relation("ViP-ReLU takes the least time for an epoch of the four efficient models, from either start", relu_is_the_fastest),
    Relation(
        "All three ViPs have a higher train accuracy after the first epoch from the checkpoint than from scratch",
        checkpoint_is_better("first", *MODELS[2:]),
    ),
    Relation(
        "ViP-ReLU and ViP-EXP have a higher test accuracy from the checkpoint than from scratch",
        checkpoint_is_better("test_accuracy", "vip_relu", "vip_exp"),
    ),
    Relation("ViP-a has a lower test accuracy from the checkpoint than from scratch", checkpoint_is_worse),
    Relation("ViP-ReLU and ViP-EXP end with a higher train accuracy than ViP-a, from either start", maps_fit_better),
)
STUDY = Study(
    "ViT, Linformer and Performer on CIFAR-10, IEOR report of 2023", NOTE, tables, RELATIONS, published, own
)
