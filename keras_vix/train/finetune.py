"""What comes after a swap: a training in which new parts run ahead of old ones."""

import dataclasses

import keras

from .. import checks
from .compile import compile as compile_model
from .rates import layer_rates
from .recipe import Recipe, from_source, known, steady


def finetune(
    model: keras.Model,
    new=(),
    recipe: str | Recipe = "finetune",
    steps: int | None = None,
    *,
    layer_decay: float = 1.0,
    new_rate: float = 1.0,
    old_rate: float | None = None,
    frozen_steps: int | None = None,
    frozen_epochs: float | None = None,
    **fields,
) -> keras.Model:
    """Compile a model whose weights are partly trained already, and return it: `fit` then trains each weight at its own rate.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> small, report = keras_vix.swap_mixer(model, kernel="linformer", m=16)
    >>> small = keras_vix.train.finetune(small, new=(*report.new, "stage*_mixer/mixer/*"), steps=2 * 23, frozen_steps=10)
    >>> history = small.fit(*keras_vix.data.load("digits", limit=64).train, epochs=1, verbose=0)
    >>> int(small.optimizer.iterations), small.optimizer.frozen_steps
    (2, 10)

    A weight's rate is that of the recipe's schedule times `new_rate`, or for an old one `old_rate * layer_decay**depth`; weight
    decay follows it. What the model was compiled with is gone. A `.keras` file holds all of it and goes on where it stopped.

    Args:
        model: from images to logits, such as `keras_vix.build`, `load_pretrained` and `swap_mixer` give.
        new: roles of the new weights, as in `interop.Report.new`, or patterns of roles, `"head/*"`; those that training does not
            move are passed over. A kernel without weights of its own, as Nyström's, is new in the projections round it:
            `"stage*_mixer/mixer/*"` are the weights of all mixers.
        recipe: a name in `SOURCES`, or a `Recipe`. `finetune` is AdamW at 1e-4 for a batch of 512, in proportion for others,
            decay 0.05, 5 of 30 epochs of warm-up, then a cosine, label smoothing 0.1.
        steps: training steps altogether; without them the rate is constant, a third of the peak or what you give.
        layer_decay: how much slower each block is than the one above it; 1 is not at all, 0.65 to 0.9 are usual.
        new_rate: factor of new weights.
        old_rate: factor of all others; default 0.1 if there are new ones that training moves, otherwise 1.
        frozen_steps: first batches in which only the new weights move; the others keep every bit, see `LayerwiseAdamW`.
        frozen_epochs: the same in epochs of the recipe, `epochs=` among the fields; it needs `steps`.
        fields: of the recipe, such as `epochs`, `batch_size` or `learning_rate`.

    Raises:
        TypeError, ValueError: for a value out of range, a name in `new` that no weight has, frozen steps that leave nothing to
            move or do not end before the training does.

    Source: rates that fall with depth: Clark et al. 2020, arXiv:2003.10555, appendix, and Bao et al. 2021, arXiv:2106.08254;
    here a new weight's does not. That DeiT is fine-tuned in inference mode, `recipe="deit_finetune"`, is up to the model:
    build it with `dropout=0` and `drop_path=0`, which changes no weight.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model. Received: model={type(model).__name__}.")
    how = record(recipe, fields)
    if steps is not None:
        checks.integer("steps", steps)
    rates, fresh = layer_rates(model, new, layer_decay, new_rate, old_rate)
    frozen = still(how, steps, frozen_steps, frozen_epochs)
    if frozen and not fresh:
        raise ValueError(
            "While old weights are frozen new ones must move. Received: "
            f"new={new!r}, no trainable weight; give patterns, such as new='stage*_mixer/mixer/*'."
        )
    if steps is None:
        how = steady(how, isinstance(recipe, Recipe) or "learning_rate" in fields)
    return compile_model(model, how, steps, {"rates": rates, "new": fresh, "frozen_steps": frozen})


def record(recipe: str | Recipe, fields: dict) -> Recipe:
    """The recipe of that name, or the given one, with other fields."""
    if isinstance(recipe, Recipe):
        known(fields)
        return dataclasses.replace(recipe, **fields)
    return from_source(recipe, **fields)


def still(how: Recipe, steps: int | None, frozen_steps: int | None, frozen_epochs: float | None) -> int:
    """The number of batches for which old weights are frozen."""
    if frozen_steps is not None and frozen_epochs is not None:
        received = f"frozen_steps={frozen_steps!r}, frozen_epochs={frozen_epochs!r}"
        raise ValueError(f"Frozen batches are given in steps or in epochs. Received: {received}.")
    if frozen_epochs is None:
        frozen = checks.integer("frozen_steps", frozen_steps or 0, 0)
    elif steps is None:
        raise ValueError(f"`frozen_epochs` needs `steps`, all steps of the training. Received: frozen_epochs={frozen_epochs!r}.")
    else:
        frozen = round(checks.number("frozen_epochs", frozen_epochs, 0.0, how.epochs) * steps / how.epochs)
    if steps is not None and frozen >= steps:
        raise ValueError(f"Frozen batches must end before the training. Received: {frozen} of steps={steps}.")
    return frozen
