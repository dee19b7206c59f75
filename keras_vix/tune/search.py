"""A search in one call: by a tuner of Keras Tuner, in a folder that can be taken up again after anything."""

import contextlib
import functools
import io
import os
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import checks
from ..bench import store
from ..data import Data, load
from ..train.seeds import set_seed
from . import identity
from .hypermodel import hypermodel
from .leftovers import cleared
from .oracles import NEVER, kinds
from .repair import read, repair
from .results import FIGURES, Results

TUNERS = ("random", "bayesian", "hyperband", "grid")
OBJECTIVES = {"accuracy": "max", "ce": "min", "loss": "min"}  # and each of them with `val_`
CHIEF = "chief"


def search(
    preset: str,
    data: Data | str | Path,
    space: Mapping[str, Any] | None = None,
    *,
    tuner: str = "random",
    max_trials: int = 20,
    epochs: int | None = None,
    objective: str = "val_accuracy",
    budget: Mapping[str, float] | None = None,
    directory: str | os.PathLike,
    seed: int = 0,
    profile: str = "default",
    callbacks: Sequence[Any] = (),
    verbose: int = 1,
    **overrides,
) -> Results:
    """Search a space of models on images; the same call in the same folder goes on where it was stopped.

    Trials that ended are never run again, whatever ended the process. A damaged file costs its trial at most, and is warned of. A
    failed trial ends nothing: it is a row of the table with its reason. With `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
    `KERASTUNER_ORACLE_PORT` set, the same call is the chief or a worker of a search in several processes that share the folder.

    >>> small = {"dim": 16, "depth": 1, "num_heads": 2, "m": 8, "epochs": 1}
    >>> kernels = {"kernel": ["softmax", "nystrom"]}
    >>> found = keras_vix.tune.search("vit", "digits", kernels, max_trials=1, directory="kernels", verbose=0, **small)
    >>> found.table[["kernel", "status"]].values.tolist()
    [['softmax', 'done']]

    Args:
        preset: a name of `keras_vix.list_models()`.
        data: of `keras_vix.data.load`, or what it is to load.
        space, budget: as for `keras_vix.tune.hypermodel`.
        tuner: `random`, `bayesian` (a Gaussian process), `hyperband` (many short trainings, the best of them longer) or `grid`
            (every point; ranges without a step give ten values).
        max_trials: at most so many; a finished search goes on with a larger number. Hyperband has its own.
        epochs: of each trial, at Hyperband of the longest; default the recipe's. The schedule runs over them.
        objective: `val_accuracy`, `val_ce`, `val_loss`, or one of these without `val_`; its best epoch is a trial's score.
        directory: a folder of its own for this search.
        seed: of the draws, and of every trial's weights, order and noise.
        profile, overrides: as for `keras_vix.build`, the same in every trial.
        callbacks: of Keras; each trial has copies.
        verbose: 0 for silence; 1 prints a line a trial.

    Returns:
        What was found, as far as this process knows: `table`, `best()`, `model()`, `plot()`.

    Raises:
        TypeError, ValueError: the call makes no sense, or the folder belongs to another search.
        ImportError: Keras Tuner is not installed.
        RuntimeError: another process searches in this folder.
    """
    checks.choice("tuner", tuner, TUNERS)
    checks.integer("max_trials", max_trials)
    checks.seed("seed", seed)
    folder = Path(directory).absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`directory` must be a folder. Received: directory={str(directory)!r}.")
    overrides |= {"seed": seed} | ({} if epochs is None else {"epochs": checks.integer("epochs", epochs)})
    data = data if isinstance(data, Data) else load(data, seed=seed)
    check_objective(objective, data)
    model = hypermodel(preset, space, dataset=identity.named(data.facts), profile=profile, budget=budget,
                       images=len(data.train.y), **overrides)  # fmt: skip
    longest = model.problem.longest()
    role = Role()
    wanted = identity.identity(model.problem, data, tuner=tuner, objective=objective, budget=model.budget, seed=seed)
    with role.lock(folder), quiet_dependencies():
        identity.claim(folder, wanted, role.leads)
        oracle = make_oracle(tuner, model, objective, max_trials, longest, seed)
        if not role.leads:
            read(folder / f"{role.name}.json")  # puts it aside if it is damaged
        else:
            repair(folder, role.name, oracle.get_state())
        with contextlib.redirect_stdout(io.StringIO()):  # "Reloading Tuner from ..."
            worker = _classes()(oracle, model, folder, seed, verbose)
        worker.search(data, callbacks=list(callbacks), verbose=0, seed=seed)
    return Results(folder)


class Role:
    """What this process is: alone, the chief of a search, or one of its workers, as Keras Tuner's variables say."""

    def __init__(self):
        self.name = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        self.leads = "KERASTUNER_ORACLE_IP" not in os.environ or CHIEF in self.name

    @contextlib.contextmanager
    def lock(self, folder: Path):
        """Inside, no other process leads a search in this folder; the system lifts the lock when the process ends.

        Raises:
            RuntimeError: another one does.
        """
        import filelock

        folder.mkdir(parents=True, exist_ok=True)
        if not self.leads:
            yield
            return
        try:
            with filelock.FileLock(folder / "search.lock", timeout=0):
                yield
        except filelock.Timeout as error:
            raise RuntimeError(f"Another process searches in this folder. Received: directory={str(folder)!r}.") from error


def check_objective(objective: str, data: Data) -> None:
    """Refuse an objective that no epoch gives.

    Raises:
        ValueError: it is none.
    """
    checks.choice("objective", objective, [prefix + name for prefix in ("val_", "") for name in OBJECTIVES])
    if objective.startswith("val_") and data.validation is None:
        raise ValueError(f"`objective` needs validation images. Received: objective={objective!r} and data without them.")


def make_oracle(tuner: str, model: Any, objective: str, max_trials: int, epochs: int, seed: int) -> Any:
    """The oracle of a search, which knows the space and has not begun."""
    import keras_tuner

    target = keras_tuner.Objective(objective, direction=OBJECTIVES[objective.removeprefix("val_")])
    # Keras Tuner takes a seed of 0 for none.
    common = dict(objective=target, seed=seed + 1, max_consecutive_failed_trials=NEVER)
    own = dict(max_epochs=epochs) if tuner == "hyperband" else dict(max_trials=max_trials)
    oracle = kinds()[tuner](**common, **own)
    space = oracle.get_space()
    model.problem.declare(space)
    oracle.update_space(space)
    return oracle


@contextlib.contextmanager
def quiet_dependencies():
    """Inside, what Keras Tuner does that Python warns of is not the user's business."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="keras_tuner")
        yield


@functools.cache
def _classes() -> type:
    """The tuner's class; Keras Tuner is imported when one is made."""
    import keras_tuner
    from keras_tuner.errors import FatalError

    class PresetTuner(keras_tuner.Tuner):
        """Runs trials with any oracle, Hyperband's too; keeps their figures in the folder and lets their models go."""

        def __init__(self, oracle: Any, model: Any, folder: Path, seed: int, verbose: int):
            self.seed, self.shown = seed, verbose
            super().__init__(oracle, model, directory=str(folder.parent), project_name=folder.name)

        def _populate_initial_space(self) -> None:
            """The oracle knows the space already."""

        def _try_run_and_update_trial(self, trial: Any, *args, **kwargs) -> None:
            set_seed(self.seed)
            begin = time.perf_counter()
            self.hypermodel.figures = {"status": "error", "reason": ""}
            with cleared():
                try:
                    self._run_and_update_trial(trial, *args, **kwargs)
                    trial.status = "COMPLETED"
                except FatalError:
                    raise
                except Exception:  # ends nothing; Keras Tuner would print each on its way
                    trial.status, trial.message = "FAILED", traceback.format_exc()
            figures = self.hypermodel.figures | {"seconds": time.perf_counter() - begin}
            if trial.status != "COMPLETED" and figures["status"] == "done":
                figures |= {"status": "error", "reason": (trial.message or "").strip().rpartition("\n")[2]}
            store.write_text(Path(self.get_trial_dir(trial.trial_id)) / FIGURES, store.to_json(figures))
            if self.shown:
                print(line(trial, self.hypermodel.problem, self.oracle, figures), flush=True)

        def run_trial(self, trial: Any, *args, **kwargs) -> Any:
            """Train; of Hyperband's trials from and to its epochs."""
            values = trial.hyperparameters.values
            if "tuner/epochs" in values:
                kwargs |= {"epochs": values["tuner/epochs"], "initial_epoch": values["tuner/initial_epoch"]}
            return super().run_trial(trial, *args, **kwargs)

        def _build_hypermodel(self, hp: Any) -> Any:
            model = super()._build_hypermodel(hp)
            if "tuner/trial_id" in hp.values:  # Hyperband goes on with a model of the round before
                model.load_weights(self._get_checkpoint_fname(hp.values["tuner/trial_id"]))
            return model

    return PresetTuner


def line(trial: Any, problem: Any, oracle: Any, figures: Mapping[str, Any]) -> str:
    """A trial in one line."""
    words = " ".join(f"{word}={written(value)}" for word, value in problem.decode(trial.hyperparameters.values).items())
    if trial.status != "COMPLETED":
        return f"trial {trial.trial_id}: {words}: {figures['status']}, {figures['reason']}"
    found = oracle.get_trial(trial.trial_id).metrics.get_best_value(oracle.objective.name)
    return f"trial {trial.trial_id}: {words}: {oracle.objective.name} {found:.4f} in {figures['seconds']:.1f} s"


def written(value: Any) -> str:
    """A value in a line: fractions to three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")
