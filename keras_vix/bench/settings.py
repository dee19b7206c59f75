"""What rows were measured under: in which settings they differ, and which of them may be ranked."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

# What a fair comparison holds equal, under the keys of a row; of nested records all entries count.
EQUAL = (
    "task", "dataset", "profile", "seed", "init", "train_images", "validation_images", "test_images", "batch_size",
    "planned_epochs", "recipe", "jit_compile", "deterministic", "devices", "backend", "device", "cpu", "cores",
)
SURROUNDINGS = ("policy", "commit", "packages", "switches")
REPEATED = ("epochs", "batch_size")  # entries of a recipe that rows have under names of their own


def settings(row: Row) -> dict[str, Any]:
    """All settings of a row by name, `recipe.learning_rate` and `packages.keras` among them; unknown ones are left out."""
    found = {key: row[key] for key in EQUAL if row.get(key) is not None and key != "recipe"}
    found |= {f"recipe.{key}": value for key, value in (row.get("recipe") or {}).items() if key not in REPEATED}
    for key in SURROUNDINGS:
        value = (row.get("environment") or {}).get(key)
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": one for name, one in value.items()}
        elif value is not None:
            found[key] = value
    return found


def differences(rows: Sequence[Row]) -> dict[str, dict[str, list[str]]]:
    """The settings in which rows differ: for each its values as text, and the labels of the rows that have them.

    A row that knows nothing of a setting is not counted: older results have fewer. Failed rows count, as they were to be
    measured alike.
    """
    names = dict.fromkeys(name for row in rows for name in settings(row))
    found: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for row in rows:
        for name, value in settings(row).items():
            found[name].setdefault(str(value), []).append(row["label"])
    return {name: values for name, values in found.items() if len(values) > 1}


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows that may be ranked: those that ended well, at the batch that all were given."""
    return [row for row in rows if row.get("status") == "done" and not row.get("retried")]
