"""Experiments as data: a TOML file, or a few words on a command line, become a list of units."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checks import near
from .published import STUDIES
from .unit import Unit

SETTINGS = ("dataset", "profile", "seed", "epochs", "batch_size", "limit")
HEADINGS = ("title", "description", "published", "set", "rows")
LARGEST = 1_000_000  # bytes; an experiment is a page of text


@dataclasses.dataclass(frozen=True)
class Suite:
    """An experiment: what it is called, the units it consists of, and whose published tables belong beside it."""

    name: str
    title: str
    units: tuple[Unit, ...]
    description: str = ""
    published: str = ""


def scalar(text: str) -> Any:
    """A value typed on a command line: a TOML or JSON value, or else the word itself.

    `3` is a number, `true` and `null` are themselves, `[8, 8, 1]` is a list, `softmax` and `"softmax"` are strings.
    """
    try:
        found = tomllib.loads(f"value = {text}")
        if set(found) == {"value"}:
            return found["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def pair(text: str) -> tuple[str, Any]:
    """`key=value` as a key and its value.

    Raises:
        ValueError: there is no `=`, or the key is no plain name.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip().isidentifier() or not value.strip():
        raise ValueError(f"An option is written key=value. Received: {text!r}; write for example m=64.")
    return key.strip(), scalar(value.strip())


def row_of(text: str) -> dict[str, Any]:
    """`performer_softmax:m=64` as the row `{"preset": "performer_softmax", "m": 64}`."""
    preset, *options = text.split(":")
    return {"preset": preset.strip()} | dict(pair(option) for option in options)


def rows_of(text: str) -> list[dict[str, Any]]:
    """Rows from a list with commas; brackets keep their commas, so `a:input_shape=[8,8,1],b` is two rows.

    Raises:
        ValueError: the list is empty or has an empty place.
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if not all(part.strip() for part in parts):
        raise ValueError(f"Models are names with commas between them. Received: {text!r}.")
    return [row_of(part) for part in parts]


def read(path: Path) -> dict[str, Any]:
    """A suite file as plain data, its keys checked.

    Raises:
        ValueError: it cannot be read, is no TOML, or holds a key that means nothing; the message names the file.
    """
    try:
        content = path.read_bytes()
        if len(content) > LARGEST:
            raise ValueError(f"it has {len(content):,} bytes, and {LARGEST:,} are enough")
        data = tomllib.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"A suite is a TOML file. Received: {str(path)!r}: {reason}.") from None
    check_keys(data, (*SETTINGS, *HEADINGS), path)
    rows = data.get("rows", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and "preset" in row for row in rows):
        raise ValueError(f"A suite needs [[rows]], each with a preset. Received: {str(path)!r}, rows={rows!r}.")
    return data


def check_keys(data: Mapping[str, Any], known: Sequence[str], path: Path) -> None:
    """Refuse a key that means nothing at the top of a suite file."""
    for key in data:
        if key not in known:
            raise ValueError(
                f"A suite file has the keys {', '.join(known)}. Received: {key!r} in {str(path)!r}.{near(key, known)}"
            )


def make(
    rows: Sequence[Mapping[str, Any]],
    *,
    name: str,
    title: str = "",
    description: str = "",
    published: str = "",
    defaults: Mapping[str, Any] | None = None,
    forced: Mapping[str, Any] | None = None,
    backend: str | None = None,
) -> Suite:
    """A suite from rows.

    Args:
        rows: each has a `preset`, and may have settings (`epochs`, `seed`, ...) and options of model and recipe.
        name: short name, for the results folder.
        title: heading of the report; the name if empty.
        description: a paragraph below the heading.
        published: a name of `published.STUDIES`, or empty.
        defaults: settings and options for rows that do not give them.
        forced: settings and options that win over those of rows; None means not given.
        backend: the Keras backend of all units.

    Raises:
        ValueError, TypeError: a setting makes no sense, or two rows are the same.
    """
    chosen = {key: value for key, value in (forced or {}).items() if value is not None}
    units = tuple(unit_of({**(defaults or {}), **row, **chosen}, backend) for row in rows)
    for unit in units:
        if sum(other.fingerprint == unit.fingerprint for other in units) > 1:
            raise ValueError(f"The rows of a suite must differ. Received: {unit.label!r} twice; change one of them.")
    if published and published not in STUDIES:
        raise ValueError(f"published must be one of {', '.join(STUDIES)}. Received: published={published!r}.")
    return Suite(name, title or name, units, description, published)


def unit_of(row: Mapping[str, Any], backend: str | None) -> Unit:
    """A unit from one flat row: settings where they belong, everything else as overrides."""
    settings = {key: row[key] for key in SETTINGS if key in row}
    overrides = {key: value for key, value in row.items() if key not in (*SETTINGS, "preset")}
    for key, least in (("epochs", 1), ("batch_size", 1), ("limit", 10), ("seed", 0)):
        whole(key, settings.get(key), least)
    for key, value in (("preset", row["preset"]), *((key, settings.get(key, "")) for key in ("dataset", "profile"))):
        if not isinstance(value, str):
            raise TypeError(f"{key} must be a name. Received: {key}={value!r}.")
    return Unit(preset=row["preset"], backend=backend, overrides=overrides, **settings)


def whole(name: str, value: Any, least: int) -> None:
    """Check that a setting is left open or is a whole number of at least `least`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number. Received: {name}={value!r}.")
    if not least <= value < 2**32:
        raise ValueError(f"{name} must be at least {least} and below 2**32. Received: {name}={value!r}.")


def check(units: Sequence[Unit]) -> list[tuple[Any, Any]]:
    """Find every mistake that can be found before anything is run.

    Returns:
        The recipe and the description of each unit.

    Raises:
        ValueError, TypeError: an unknown preset, data set, profile or option, or one out of range.
    """
    from .. import describe
    from ..data import POLICIES
    from ..facts import DATASETS
    from ..train import recipe
    from ..train.devices import check as check_devices

    found = []
    for unit in units:
        if unit.dataset not in DATASETS:
            raise ValueError(
                f"dataset must be one of {', '.join(DATASETS)}. Received: dataset={unit.dataset!r}."
                f"{near(unit.dataset, DATASETS)}"
            )
        plan = recipe(unit.preset, unit.dataset, unit.profile, **unit.of_recipe)
        if plan.augment not in ("default", *POLICIES):
            raise ValueError(
                f"augment must be default or one of {', '.join(POLICIES)}. Received: augment={plan.augment!r} for "
                f"{unit.label}.{near(plan.augment, POLICIES)}"
            )
        check_devices(unit.devices, plan.batch_size, unit.backend)
        description = describe(unit.preset, dataset=unit.dataset, profile=unit.profile, **unit.of_model)
        found.append((plan, description))
    return found
