"""What a search has found, read from its folder: a table with a row for each trial, and the best of them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import checks
from ..train import build
from . import budget as costs
from . import identity
from .hypermodel import steps_of
from .plot import plot
from .problem import Problem
from .repair import number

FIGURES = "keras_vix.json"  # in the folder of a trial: what Keras Tuner has no place for
COLUMNS = ("score", "best_epoch", "epochs", "seconds", "status", "reason", "parameters", "multiply_adds")


@dataclass(frozen=True)
class Results:
    """A search's folder, read anew whenever it is asked.

    >>> space, limits = {"dim": [32, 64]}, {"parameters": 1000}
    >>> found = keras_vix.tune.search("vit", "digits", space, budget=limits, max_trials=1, directory="budget", verbose=0)
    >>> keras_vix.tune.Results("budget").table["reason"].tolist()
    ['Over the budget: 135,434 parameters of 1,000.']

    Args:
        directory: of the search, finished or not.
    """

    directory: Path

    @property
    def table(self) -> Any:
        """The trials, as `keras_vix.tune.results` has them."""
        return results(self.directory)

    def best(self, rank: int = 1) -> dict[str, Any]:
        """Words for `keras_vix.build(preset, **words)`, as `keras_vix.tune.best` has them."""
        return best(self.table, rank)

    def model(self, rank: int = 1) -> Any:
        """The model of the best trial, or of the one of that rank, with the weights of its best epoch.

        Raises:
            ValueError: there is no such trial, or its weights are not there.
        """
        table = self.table
        row = ranked(table, rank)
        path = Path(self.directory) / f"trial_{row['trial']}" / "checkpoint.weights.h5"
        if not path.is_file():
            raise ValueError(f"A trained model needs its weights. Received: no {path}; build it by `best()` and train it.")
        recipe = table.attrs["problem"].point(table.attrs["drawn"][row["trial"]])[1]
        images = loaded(Path(self.directory) / identity.NAME)["images"]["train"]["number"]
        steps = recipe.epochs * steps_of(recipe, images)  # the file holds the optimizer's state, which depends on its schedule
        made = build(table.attrs["preset"], steps=steps, **best(table, rank))
        made.load_weights(path)
        return made

    def plot(self, x: str = "trial", ax: Any = None) -> Any:
        """The trials as a figure, as `keras_vix.tune.plot` draws them."""
        return plot(self.table, x, ax)


def results(source: Any) -> Any:
    """The trials of a search as a pandas DataFrame, a row each, in the order they began.

    Columns: `trial`; the words of the space, None where a word meant nothing; `score`, the objective in the best epoch;
    `best_epoch`, from 1; `epochs` trained; `seconds`, with building and measuring; `status`: `done`, `infeasible` (no model, or
    over the budget), `nan`, `oom`, `error` or `unfinished`; `reason` of a failure; `parameters`, `multiply_adds`; and what a
    budget had measured.
    `table.attrs` holds the preset, the objective, its direction and what is fixed.

    >>> space, limits = {"dim": [32, 64]}, {"parameters": 1000}
    >>> found = keras_vix.tune.search("vit", "digits", space, budget=limits, max_trials=1, directory="budget", verbose=0)
    >>> table = keras_vix.tune.results("budget")
    >>> table[["dim", "status", "parameters"]].values.tolist()
    [[32, 'infeasible', 135434]]

    Args:
        source: the folder of a search, a `Results`, or any tuner of Keras Tuner with a hypermodel of `keras_vix.tune.hypermodel`.

    Raises:
        ValueError: there is no search.
    """
    import pandas

    folder, problem, objective = origin(source)
    states = [state for path in folder.glob("trial_*/trial.json") if (state := loaded(path)) is not None]
    states = sorted((one for one in states if {"trial_id", "hyperparameters", "status"} <= one.keys()), key=age)
    drawn = {str(state["trial_id"]): problem.decode(state["hyperparameters"].get("values", {})) for state in states}
    rows = [row_of(folder, problem, state, drawn[str(state["trial_id"])]) for state in states]
    figures = [name for name in costs.MEASURED if any(name in row for row in rows)]
    names = list(dict.fromkeys(("trial", *problem.space, *COLUMNS, *figures)))
    table = pandas.DataFrame({name: series([row.get(name) for row in rows]) for name in names})
    given = {"dataset": problem.dataset} | ({} if problem.profile == "default" else {"profile": problem.profile})
    images = ((loaded(folder / identity.NAME) or {}).get("images") or {}).get("validation") or {}
    table.attrs = {
        "preset": problem.preset, "objective": objective[0], "direction": objective[1], "words": list(problem.space),
        "given": given, "problem": problem, "drawn": drawn,
        "validation_images": images.get("number"),
    }  # fmt: skip
    return table


def best(table: Any, rank: int = 1) -> dict[str, Any]:
    """What the best trial was, as words for `keras_vix.build(preset, **words)`: data set, what was fixed, what was drawn.

    >>> small = {"dim": 16, "depth": 1, "num_heads": 2, "m": 8, "epochs": 1}
    >>> kernels = {"kernel": ["softmax", "nystrom"]}
    >>> found = keras_vix.tune.search("vit", "digits", kernels, max_trials=1, directory="kernels", verbose=0, **small)
    >>> keras_vix.tune.best(found.table)
    {'dataset': 'digits', 'dim': 16, 'depth': 1, 'num_heads': 2, 'seed': 0, 'epochs': 1, 'kernel': 'softmax'}

    Args:
        table: of `results`.
        rank: 1 for the best, 2 for the next. Of equal scores the one with fewer parameters is better.

    Raises:
        ValueError: fewer trials have a score.
    """
    drawn = table.attrs["drawn"][ranked(table, rank)["trial"]]
    return table.attrs["given"] | table.attrs["problem"].words(drawn)


def ranked(table: Any, rank: int) -> Any:
    """The row of a rank.

    Raises:
        ValueError: there is none.
    """
    done = table[table["status"] == "done"]
    checks.integer("rank", rank)
    if rank > len(done):
        raise ValueError(f"`rank` must be one of the {len(done)} trials with a score. Received: rank={rank!r}.")
    sign = -1.0 if table.attrs["direction"] == "max" else 1.0
    order = sorted(range(len(done)), key=lambda place: (sign * done.iloc[place]["score"], done.iloc[place]["parameters"]))
    return done.iloc[order[rank - 1]]


def origin(source: Any) -> tuple[Path, Problem, tuple[str, str]]:
    """Folder, problem, and name and direction of the objective, of a search.

    Raises:
        ValueError: it is none.
    """
    if isinstance(source, Results):
        source = source.directory
    if hasattr(source, "project_dir"):
        problem = getattr(source.hypermodel, "problem", None)
        if not isinstance(problem, Problem):
            raise ValueError("`source` must be a tuner with a hypermodel of keras_vix.tune.hypermodel. Received: another one.")
        return Path(source.project_dir), problem, (source.oracle.objective.name, source.oracle.objective.direction)
    folder = Path(source)
    found = loaded(folder / identity.NAME)
    if found is None:
        raise ValueError(f"`source` must be the folder of a search. Received: {str(source)!r}, without a {identity.NAME}.")
    name = found["objective"]
    return folder, identity.problem_of(found), (name, "max" if name.endswith("accuracy") else "min")


def row_of(folder: Path, problem: Problem, state: Mapping[str, Any], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """One trial as a row."""
    name, values = str(state["trial_id"]), state["hyperparameters"].get("values", {})
    figures = loaded(folder / f"trial_{name}" / FIGURES)
    row = {"trial": name, **drawn, "score": state.get("score"), **outcome(state, figures or {})}
    if figures is None or "parameters" not in figures:
        row |= counted(problem, drawn)
    row |= {name: value for name, value in (figures or {}).items() if name in (*COLUMNS, *costs.MEASURED) and name not in row}
    if row["status"] == "done":
        begun = values.get("tuner/initial_epoch", 0)
        row["best_epoch"] = begun + state.get("best_step", 0) + 1
        row["epochs"] = drawn.get("epochs", begun + (figures or {}).get("epochs", 0) or None)
    return row


def outcome(state: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, str]:
    """How a trial ended, and why if it failed."""
    if state["status"] == "COMPLETED":
        return {"status": "done", "reason": ""}
    if state["status"] != "FAILED":
        return {"status": "unfinished", "reason": ""}
    if figures.get("status") not in (None, "done"):
        return {"status": figures["status"], "reason": figures.get("reason", "")}
    last = (state.get("message") or "").strip().rpartition("\n")[2]
    kind, _, words = last.partition(": ")
    return {"status": "infeasible", "reason": words} if kind.endswith("FailedTrialError") else {"status": "error", "reason": last}


def counted(problem: Problem, drawn: Mapping[str, Any]) -> dict[str, int]:
    """Parameters and multiply-adds of a trial that left none; nothing for what is no model."""
    try:
        return costs.count(problem.point(drawn)[0], problem.preset)
    except (TypeError, ValueError):
        return {}


def age(state: Mapping[str, Any]) -> tuple[int, str]:
    """What trials are sorted by."""
    return number(str(state["trial_id"]))


def loaded(path: Path) -> dict[str, Any] | None:
    """A JSON file with an object in it, or None; the file is left as it is."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def series(values: list) -> Any:
    """A column: of numbers as such, of whole numbers with gaps as pandas' `Int64`, of all else as objects."""
    import pandas

    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int) and not isinstance(value, bool) for value in known):
        return pandas.array(values, dtype="Int64" if len(known) < len(values) else "int64")
    if known and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known):
        return pandas.array([math.nan if value is None else float(value) for value in values], dtype="float64")
    return pandas.Series(values, dtype="object")
