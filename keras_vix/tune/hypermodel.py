"""A preset and a space as a `HyperModel`, for any tuner of Keras Tuner."""

import contextlib
import functools
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from .. import checks
from ..bench.outcome import status_of
from ..data import Data, batches
from ..facts import Facts
from ..train import build
from ..train.recipe import Recipe
from . import budget as costs
from .problem import Problem
from .ready import space as ready_space


def hypermodel(
    preset: str,
    space: Mapping[str, Any] | None = None,
    *,
    dataset: str | Facts | None = None,
    profile: str = "default",
    budget: Mapping[str, float] | None = None,
    images: int | None = None,
    **overrides,
):
    """A `keras_tuner.HyperModel` of a preset, for `RandomSearch`, `BayesianOptimization`, `Hyperband`, `GridSearch` or your own.

    A point that is no model, or costs more than the budget, is a `keras_tuner.errors.FailedTrialError`. What can be counted is
    counted before a weight exists, what is measured is measured before training. An option that is meaningless beside another
    choice (`m` with exact attention) is conditional: it is then not drawn.

    A tuner of your own ends its search after three failures in a row, unless `max_consecutive_failed_trials` is higher.

    >>> import keras_tuner
    >>> model = keras_vix.tune.hypermodel("vit", {"depth": [1, 2]}, dataset="digits", dim=16, num_heads=2)
    >>> tuner = keras_tuner.RandomSearch(model, objective="val_accuracy", max_trials=2, directory="tuner")
    >>> tuner.oracle.get_space().values
    {'depth': 1}

    Args:
        preset: a name of `keras_vix.list_models()`.
        space: words of `keras_vix.build` (fields of model and recipe, options of the parts) and what each may be: a list of
            values, `Choice`, `Int` or `Float`. Default: `keras_vix.tune.space(preset)`.
        dataset, profile: as for `keras_vix.build`.
        budget: limits, any of `parameters` (trainable), `multiply_adds` (of one image), `latency_seconds` (a pass of one image)
            and `memory_bytes` (weights and what a pass of 64 images adds; on an accelerator its peak).
        images: how many images an epoch has; with them the recipe's schedule runs over its `epochs`. Without, the rate is
            constant, as `keras_vix.build` has it without `steps`.
        overrides: words of `keras_vix.build` that are the same in every trial.

    Raises:
        TypeError, ValueError: for unknown words, or a space without models.
        ImportError: Keras Tuner is not installed.
    """
    checks.package("keras_tuner", "A search", "keras-tuner")
    if space is None:
        space = ready_space(preset, dataset=dataset, profile=profile, **overrides)
    problem = Problem(preset, space, dataset, profile, overrides)
    return _classes()(problem, costs.check(budget), None if images is None else checks.integer("images", images))


class Infeasible(ValueError):
    """A point of the space that is not worth a training, and why."""


class NotANumber(ArithmeticError):
    """A training that diverged, and when."""


@functools.cache
def _classes() -> type:
    """The class of the hypermodel; Keras Tuner is imported when one is made."""
    import keras_tuner
    from keras_tuner.errors import FailedTrialError, FatalError

    class PresetHyperModel(keras_tuner.HyperModel):
        """Builds and trains what is drawn.

        Args:
            problem: preset and space.
            budget: limits of what a model may cost.
            images: in an epoch, or None.
        """

        def __init__(self, problem: Problem, budget: Mapping[str, float], images: int | None):
            super().__init__(name=problem.preset)
            self.problem, self.budget, self.images = problem, budget, images
            self.figures: dict[str, Any] = {}  # of the trial that was built last
            self._declared = None

        def declare_hyperparameters(self, hp: Any) -> None:
            """Declare the whole space at once, conditions included."""
            self.problem.declare(hp)
            self._declared = hp

        def build(self, hp: Any):
            """The compiled model of what is drawn.

            A tuner that has had everything declared builds once more to look for conditions; there are none to be found, and
            that call makes nothing.
            """
            declared, self._declared = self._declared, None
            if declared is not None and declared is not hp:
                return None
            with self._told("build"):
                drawn = self.problem.declare(hp)
                words = self.problem.words(drawn)
                config, recipe = self.problem.point(drawn)
                self.figures |= costs.count(config, self.problem.preset)
                self._within_budget()
            steps = None if self.images is None else recipe.epochs * steps_of(recipe, self.images)
            of = self.problem
            with self._told(None):
                return build(of.preset, dataset=of.dataset, profile=of.profile, steps=steps, **words)

        def fit(self, hp: Any, model: Any, *args, **kwargs):
            """Train a model; a `keras_vix.data.Data` is fed by the recipe, anything else goes to `model.fit` as it is.

            Returns:
                Its `History`.
            """
            begin = time.perf_counter()
            with self._told(None):
                self.figures |= costs.measure(model, self.budget)
                self._within_budget()
                _, recipe = self.problem.point(self.problem.declare(hp))
                if args and isinstance(args[0], Data):
                    history = train(model, recipe, *args, **kwargs)
                else:
                    if hasattr(args[0] if args else kwargs.get("x"), "shape"):
                        kwargs.setdefault("batch_size", recipe.batch_size)
                    history = model.fit(*args, **kwargs)
                self.figures |= {"train_seconds": time.perf_counter() - begin, "epochs": len(history.epoch)}
                finite(history)
            history.set_model(None)  # or a tuner, which keeps histories, would keep the model
            return history

        def _within_budget(self) -> None:
            over = costs.exceeded(self.budget, self.figures)
            if over:
                raise Infeasible(over)

        @contextlib.contextmanager
        def _told(self, phase: str | None) -> Iterator[None]:
            """Inside, what a trial fails of is kept in `figures`; mistakes of a point are Keras Tuner's failures."""
            if phase == "build":
                self.figures = {"status": "done", "reason": ""}
            try:
                yield
            except (FailedTrialError, FatalError):
                raise
            except Exception as error:
                mistake = isinstance(error, Infeasible) or (phase == "build" and isinstance(error, (TypeError, ValueError)))
                diverged = isinstance(error, NotANumber)
                status = "infeasible" if mistake else "nan" if diverged else status_of(error)
                words = str(error) if mistake or diverged else f"{type(error).__name__}: {error}"
                self.figures |= {"status": status, "reason": words}
                raise FailedTrialError(words) from error

    return PresetHyperModel


def steps_of(recipe: Recipe, images: int) -> int:
    """Steps of an epoch of so many images by a recipe."""
    return math.ceil(images * (recipe.repeats if recipe.repeat_all else 1) / recipe.batch_size)


def train(
    model: Any, recipe: Recipe, data: Data, *, epochs: int | None = None, initial_epoch: int = 0, callbacks=(), verbose=0,
    seed: int = 0,
) -> Any:
    """Fit a model by a recipe, with its batches and its augmentation; validation is that of the data.

    Args:
        epochs: instead of the recipe's.
        initial_epoch: from which a training that was begun before goes on; the schedule goes on from there, too.
        seed: of order and augmentation.
    """
    import keras

    from ..bench.measure import feed

    training = feed(data, recipe, seed=seed)
    training.epoch = initial_epoch
    validation = None if data.validation is None else batches(data.validation, recipe.batch_size)
    if initial_epoch:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        optimizer.iterations.assign(initial_epoch * len(training))
    return model.fit(
        training, validation_data=validation, epochs=epochs or recipe.epochs, initial_epoch=initial_epoch,
        callbacks=[*callbacks, keras.callbacks.TerminateOnNaN()], verbose=verbose,
    )


def finite(history: Any) -> None:
    """Refuse a training that diverged.

    Raises:
        NotANumber: a loss is none.
    """
    for name in ("loss", "val_loss"):
        for epoch, value in enumerate(history.history.get(name, ()), 1 + (history.epoch[0] if history.epoch else 0)):
            if not math.isfinite(value):
                raise NotANumber(f"`{name}` was not a number in epoch {epoch}.")
