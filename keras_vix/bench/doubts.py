"""What a reader must know before trusting a table: in which settings its rows differ, and which figures are doubtful."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .columns import count
from .tables import NOISY, Row, failed, noisy, of_cost, one_line, short

# Settings of a unit's recipe and of its surroundings that have to be equal for figures to be comparable.
ALIKE = (
    "task", "dataset", "profile", "train_images", "validation_images", "test_images", "batch_size", "cost_batch_size", "epochs",
    "init", "devices",
    "deterministic", "backend", "device", "cpu", "cores", "jit_compile",
)
NAMED = 5  # rows at most that a doubt calls by name; more are counted
SURROUNDINGS = ("policy", "commit", "keras_vix", "keras", "numpy", "tensorflow", "jax", "torch")


def settings_of(row: Row) -> dict[str, Any]:
    """Everything about a row that should be equal in a fair comparison, in plain words."""
    environment = row.get("environment") or {}
    packages = environment.get("packages") if isinstance(environment.get("packages"), Mapping) else {}
    recipe = {key: value for key, value in (row.get("recipe") or {}).items() if key not in ALIKE}
    around = {key: environment.get(key, packages.get(key)) for key in SURROUNDINGS}
    found = {key: row.get(key) for key in ALIKE} | recipe | around
    return {one_line(key.replace("_", " ")): value for key, value in found.items() if value is not None}


def differences(rows: Sequence[Row]) -> list[tuple[str, dict[str, list[Row]]]]:
    """The settings in which rows that ended well differ, each with its values and the rows that have them.

    A model's own options, its seed and its name are what is compared, and no setting; a setting that older rows did not
    record is looked at in those that did.
    """
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if not failed(row):
            for key, value in settings_of(row).items():
                found.setdefault(key, {}).setdefault(one_line(short(value)), []).append(row)
    return [(key, values) for key, values in found.items() if len(values) > 1]


def told_differences(rows: Sequence[Row]) -> str:
    """One sentence: the settings in which rows differ, the rarer value with its rows; empty if they all agree."""
    parts = []
    for key, values in differences(rows):
        several = sorted(values.items(), key=lambda item: -len(item[1]))
        told = [f"{value} ({len(own)} rows)" if len(own) > 2 else f"{value} ({', '.join(row['label'] for row in own)})"
                for value, own in several[:4]]
        parts.append(f"{key} {', '.join(told)}{f' and {len(several) - 4} more' if len(several) > 4 else ''}")
    return f"Rows differ in {'; in '.join(parts)}." if parts else ""


def guessing(row: Row) -> bool:
    """Whether a finished row's test accuracy is within two standard errors of choosing a class at random."""
    classes = (row.get("config") or {}).get("classes")
    images, accuracy = row.get("test_images"), row.get("test_accuracy")
    if failed(row) or of_cost(row) or accuracy is None or (images or 0) < 1 or not isinstance(classes, int) or classes < 2:
        return False
    chance = 1 / classes
    return accuracy <= chance + 2 * math.sqrt(chance * (1 - chance) / images)


DOUBTS: tuple[tuple[str, Callable[[Row], bool], str], ...] = (
    ("Noisy times", lambda row: bool(row.get("busy_at_start")),
     "Something else was using the machine when these rows started: {}."),
    ("Noisy times", lambda row: bool(row.get("slow_epochs")), "Some epochs took more than twice the median: {}."),
    ("Noisy times", noisy, f"The steps of these rows spread over more than {NOISY:.0%} of their median (marked ?): {{}}."),
    ("Half the batch", lambda row: bool(row.get("retried")),
     "These rows ran out of memory and were measured with half the batch; they are in no mean and no ranking: {}."),
    ("No better than chance", guessing, "The test accuracy of these rows is that of guessing: {}."),
)


def doubts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """A heading and the sentences below it, for every doubt that some row gives reason for."""
    found: dict[str, list[str]] = {}
    for heading, holds, sentence in DOUBTS:
        own = [row["label"] for row in rows if holds(row)]
        if own:
            several = len(own) > NAMED or 2 * len(own) > len(rows) > 2
            told = f"{len(own)} of {count(len(rows))}" if several else ", ".join(own)
            found.setdefault(heading, []).append(sentence.format(told))
    for row in rows:
        for sentence in row.get("findings") or ():
            found.setdefault("Failed trainings", []).append(f"{row['label']}: {one_line(sentence)}")
    return [(heading, " ".join(sentences)) for heading, sentences in found.items()]
