"""Experiments as data: a suite of the package, a TOML file, or rows as plain data become a list of units."""

import dataclasses
import importlib.resources
import itertools
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

from ..checks import choice, near, number
from .published import STUDIES
from .unit import POLICIES, TASKS, Unit

SETTINGS = (
    "dataset", "profile", "seed", "epochs", "batch_size", "limit", "task", "devices", "deterministic", "distill_epochs",
    "validation", "dtype_policy",
)  # fmt: skip
HEADINGS = ("title", "description", "published", "up_to", "seeds", "set", "rows")
ROW = ("preset", "each", "id", "checkpoint")  # what a row may have beside settings and options
DEFAULT = "digits"
LARGEST = 1_000_000  # bytes; an experiment is a page of text
DOTS = 200  # in a line; time and memory of a key of n parts grow with n²
MOST = 10_000  # rows that one of a file may stand for


@dataclasses.dataclass(frozen=True)
class Suite:
    """An experiment: what it is called, the units it consists of, and whose published tables belong beside it."""

    name: str
    title: str
    units: tuple[Unit, ...]
    description: str = ""
    published: str = ""


def named() -> list[str]:
    """The names of the suites in the package."""
    found = (importlib.resources.files(__package__) / "experiments").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in found if file.name.endswith(".toml"))


def find(name: str) -> Traversable:
    """The file of a suite in the package.

    Raises:
        ValueError: there is none of that name.
    """
    return importlib.resources.files(__package__) / "experiments" / f"{choice('suite', name, named())}.toml"


def read(path: Traversable) -> dict[str, Any]:
    """A suite file as plain data, its keys checked; the word `"null"`, for which TOML has nothing, is None.

    Raises:
        ValueError: it cannot be read, is no TOML, or holds a key that means nothing; the message names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it has more bytes, where {LARGEST:,} are enough")
        for place, line in enumerate(content.split(b"\n"), 1):
            if line.count(b".") > DOTS:
                raise ValueError(f"line {place} has {line.count(b'.'):,} dots, where {DOTS} are enough")
        data = tomllib.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"A suite is a TOML file. Received: {str(path)!r}: {reason}.") from None
    check_keys(data, (*SETTINGS, *HEADINGS), path)
    rows = data.get("rows", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and has_preset(row) for row in rows):
        raise ValueError(f"A suite needs [[rows]], each with a preset. Received: {str(path)!r}, rows={rows!r}.")
    if "seeds" in data and any("seed" in part for part in (data, data.get("set", {}), *rows)):
        raise ValueError(f"Rows have a seed of their own, or all the same seeds. Received: seed and seeds in {str(path)!r}.")
    return with_nulls(data)


def has_preset(row: Mapping[str, Any]) -> bool:
    """Whether a row of a suite file names its preset, or several in `each`."""
    return "preset" in row or (isinstance(row.get("each"), dict) and "preset" in row["each"])


def with_nulls(value: Any) -> Any:
    """The value with None for every `"null"`."""
    if isinstance(value, dict):
        return {key: with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_nulls(item) for item in value]
    return None if value == "null" else value


def check_keys(data: Mapping[str, Any], known: Sequence[str], path: Traversable) -> None:
    """Refuse a key that means nothing at the top of a suite file."""
    for key in data:
        if key not in known:
            raise ValueError(
                f"A suite file has the keys {', '.join(known)}. Received: {key!r} in {str(path)!r}.{near(key, known)}"
            )


def load(
    path: Traversable,
    *,
    name: str = "",
    forced: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    backend: str | None = None,
    most: int | None = None,
) -> Suite:
    """The suite of a file.

    Args:
        path: a path, or what `find` returns.
        name: for the results folder; that of the file if empty.
        forced, backend: as for `make`.
        seeds: in place of the file's own; a `seed` in `forced` is in place of them too.
        most: as for `make`, in place of the file's own `up_to`.

    Raises:
        ValueError, TypeError: as `read` and `make`.
    """
    data = read(path)
    own = () if (forced or {}).get("seed") is not None else data.get("seeds", ())
    return make(
        data["rows"],
        name=name or path.name.removesuffix(".toml"),
        title=data.get("title", ""),
        description=data.get("description", ""),
        published=data.get("published", ""),
        defaults={key: data[key] for key in SETTINGS if key in data} | data.get("set", {}),
        forced=forced,
        seeds=own if seeds is None else seeds,
        backend=backend,
        most=data.get("up_to") if most is None else most,
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
    seeds: Sequence[int] = (),
    backend: str | None = None,
    most: int | None = None,
) -> Suite:
    """A suite from rows.

    Args:
        rows: each has a `preset`, and may have settings (`epochs`, `seed`, ...), options of model and recipe, `each` (lists
            of values, a row for each), `id`, and `checkpoint`: the id, or the label, of an earlier row from whose trained
            weights it starts.
        name: short name, for the results folder.
        title: heading of the report; the name if empty.
        description: a paragraph below the heading.
        published: a name of `published.STUDIES`, or empty.
        defaults: settings and options for rows that do not give them.
        forced: settings and options that win over those of rows; None means not given. A `dataset` that some rows name
            selects these; one that none names is that of all.
        seeds: all rows at the first seed, then those that are trained at the second, and so on; none leaves each row its own.
        backend: the Keras backend of all units.
        most: leave out rows whose models see more than so many tokens.

    Raises:
        ValueError, TypeError: a setting makes no sense, a checkpoint is of no earlier row, or two rows are the same.
    """
    if published and published not in STUDIES:
        raise ValueError(f"published must be one of {', '.join(STUDIES)}. Received: published={published!r}.")
    chosen = {key: value for key, value in (forced or {}).items() if value is not None}
    found = [{**(defaults or {}), **one} for row in rows for one in expand(row)]
    found = on(chosen.pop("dataset", None), found)
    units: list[Unit] = []
    for seed in check_seeds(seeds) or (None,):
        known: dict[str, list[Unit]] = {}
        for row in found:
            if seed is not None and units and row.get("task") == "cost" and seed != seeds[0]:
                continue  # what a model costs does not depend on its seed
            at_seed = {} if seed is None else {"seed": seed}
            unit = unit_of({**row, **chosen, **at_seed}, backend, known)
            for word in {unit.label, row.get("id", unit.label)}:
                known.setdefault(word, []).append(unit)
            units.append(unit)
    seen: set[str] = set()
    for unit in units:
        if unit.fingerprint in seen:
            raise ValueError(f"The rows of a suite must differ. Received: {unit.label!r} twice; change one of them.")
        seen.add(unit.fingerprint)
    return up_to(Suite(name, title or name, tuple(units), description, published), most)


def expand(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row as the rows that it stands for: `each = {m = [16, 32]}` are two.

    Of several keys in `each` every value meets every other; the last key changes fastest.

    Raises:
        TypeError, ValueError: a key has no list of values, or stands beside `each` too.
    """
    each = row.get("each", {})
    if not isinstance(each, Mapping) or not all(isinstance(values, list) and values for values in each.values()):
        raise TypeError(f"each must be a table of lists, such as {{m = [16, 32]}}. Received: each={each!r}.")
    if (rows := math.prod(map(len, each.values()))) > MOST:
        raise ValueError(f"A row may stand for {MOST:,} rows. Received: each={list(each)} with {rows:,}.")
    own = {key: value for key, value in row.items() if key != "each"}
    for key in each:
        if key in own or key in ("each", "id", "checkpoint"):
            raise ValueError(f"each must not name what the row has, nor id and checkpoint. Received: {key!r} in each={each!r}.")
    return [own | dict(zip(each, values, strict=True)) for values in itertools.product(*each.values())]


def on(dataset: Any, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a data set; if none names it, all rows on that data set, those that become equal once."""
    if dataset is None:
        return [dict(row) for row in rows]
    own = [dict(row) for row in rows if row.get("dataset") == dataset]
    moved = ({**row, "dataset": dataset} for row in rows)
    return own or list({json.dumps(row, sort_keys=True, default=str): row for row in moved}.values())


def check_seeds(seeds: Any) -> tuple[int, ...]:
    """Seeds as a tuple of whole numbers that differ."""
    if not isinstance(seeds, (list, tuple, range)):
        raise TypeError(f"seeds must be a list of whole numbers. Received: seeds={seeds!r}.")
    for seed in seeds:
        whole("seeds", seed, 0)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must differ. Received: seeds={list(seeds)!r}.")
    return tuple(seeds)


def unit_of(row: Mapping[str, Any], backend: str | None, known: Mapping[str, Sequence[Unit]]) -> Unit:
    """A unit from one flat row: settings where they belong, everything else as overrides; `known` are the earlier rows."""
    settings = {key: row[key] for key in SETTINGS if key in row}
    overrides = {key: value for key, value in row.items() if key not in (*SETTINGS, *ROW)}
    for key, least in (("epochs", 1), ("batch_size", 1), ("limit", 10), ("seed", 0), ("devices", 1),
                       ("distill_epochs", 0)):  # fmt: skip
        whole(key, settings.get(key), least)
    words = {"preset": row["preset"], **{key: row.get(key, "") for key in ("dataset", "profile", "id", "checkpoint")}}
    for key, value in words.items():
        if not isinstance(value, str):
            raise TypeError(f"{key} must be a name. Received: {key}={value!r}.")
    choice("task", settings.get("task", TASKS[0]), TASKS)
    choice("dtype_policy", settings.get("dtype_policy", POLICIES[0]), POLICIES)
    if settings.get("validation") is not None:
        number("validation", settings["validation"], 1e-6, 1.0)
    if not isinstance(settings.get("deterministic", False), bool):
        raise TypeError(f"deterministic must be true or false. Received: deterministic={settings['deterministic']!r}.")
    start = source_of(row["checkpoint"], known) if "checkpoint" in row else None
    if settings.get("distill_epochs") and start is None:
        raise ValueError(
            "distill_epochs needs a checkpoint, whose model is the teacher. "
            f"Received: distill_epochs={settings['distill_epochs']}, preset={row['preset']!r}."
        )
    return Unit(preset=row["preset"], backend=backend, overrides=overrides, start=start, **settings)


def source_of(word: str, known: Mapping[str, Sequence[Unit]]) -> str:
    """The fingerprint of the one earlier row of that id or label.

    Raises:
        ValueError: there is none, or more than one.
    """
    found = known.get(word, ())
    if len(found) != 1:
        raise ValueError(
            f"checkpoint must be the id or the label of one earlier row. Received: checkpoint={word!r}, which {len(found)} "
            f"rows have.{near(word, known)}"
        )
    return found[0].fingerprint


def up_to(suite: Suite, tokens: int | None) -> Suite:
    """The suite without the rows whose models see more than so many tokens; None leaves it as it is.

    Raises:
        ValueError: no row is left, or `tokens` is no whole number of at least 1.
        ValueError, TypeError: a row's model makes no sense.
    """
    from ..zoo import configure
    from ..zoo.assemble import token_count

    whole("up_to", tokens, 1)
    if tokens is None:
        return suite
    seen = [token_count(configure(one.preset, dataset=one.dataset, profile=one.profile, **one.of_model)) for one in suite.units]
    left = tuple(unit for unit, count in zip(suite.units, seen, strict=True) if count <= tokens)
    if not left:
        raise ValueError(f"up_to must leave a row. Received: up_to={tokens}; the smallest row has {min(seen)} tokens.")
    return dataclasses.replace(suite, units=left)


def whole(name: str, value: Any, least: int) -> None:
    """Check that a setting is left open or is a whole number of at least `least`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number. Received: {name}={value!r}.")
    if not least <= value < 2**32:
        raise ValueError(f"{name} must be at least {least} and below 2**32. Received: {name}={value!r}.")
