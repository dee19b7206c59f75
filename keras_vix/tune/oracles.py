"""The oracles of Keras Tuner, with files that are whole at every moment, and a grid that can be taken up again."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..bench import store

NEVER = 2**31 - 1  # failures in a row that would end a search
COPY = "oracle.copy.json"
VALUES = "keras_vix_values"  # in the oracle's state: what was drawn in each trial


@functools.cache
def kinds() -> dict[str, type]:
    """The oracles by the name that `search` has for them."""
    import keras_tuner
    from keras_tuner import oracles

    class Durable:
        """What our oracles share: state in two whole files, and what was drawn in it beside the trials' own."""

        def save(self) -> None:
            """Write the state, and a copy of it."""
            drawn = {name: dict(trial.hyperparameters.values) for name, trial in self.trials.items()}
            text = store.to_json({**self.get_state(), VALUES: drawn})
            path = Path(self._get_oracle_fname())
            for place in (path, path.with_name(COPY)):
                store.write_text(place, text)

        def set_state(self, state: dict[str, Any]) -> None:
            """Take up a state; what any trial has had is not drawn again, whether the state knows of it or not."""
            super().set_state(state)
            for trial in self.trials.values():
                self._record_values(trial)

        def _save_trial(self, trial: Any) -> None:
            store.write_text(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", store.to_json(trial.get_state()))

    class Grid(Durable, keras_tuner.Oracle):
        """Every point of the space once, in order. Keras Tuner's own keeps its place in memory alone."""

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            """The first point that no trial has had."""
            for values in grid(self.get_space()):
                if not self._duplicate(values):
                    return {"status": "RUNNING", "values": values}
            return {"status": "STOPPED", "values": None}

    bases = {
        "random": oracles.RandomSearchOracle, "bayesian": oracles.BayesianOptimizationOracle,
        "hyperband": oracles.HyperbandOracle,
    }  # fmt: skip
    return {name: type(base.__name__, (Durable, base), {}) for name, base in bases.items()} | {"grid": Grid}


def grid(space: Any) -> Iterator[dict[str, Any]]:
    """The values of every point, words with conditions behind those that they depend on; ranges without a step give ten."""

    def points(entries: list, drawn: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not entries:
            yield drawn
            return
        first, rest = entries[0], entries[1:]
        if first.name in drawn or not all(condition.is_active(drawn) for condition in first.conditions):
            yield from points(rest, drawn)
            return
        for value in dict.fromkeys(first.values):
            yield from points(rest, {**drawn, first.name: value})

    return points(list(space.space), {})
