"""A model and a recipe to a compiled model."""

import keras

from .. import checks
from .losses import SmoothedCrossentropy
from .recipe import Recipe

# Variables by name that decay would only pull towards zero without any regularising use.
NO_DECAY = ("bias", "beta", "gamma", "table", "tokens", "relative_bias", "slope", "step")


def compile(model: keras.Model, recipe: Recipe, steps: int | None = None) -> keras.Model:
    """Compile `model` after `recipe` and return it; metrics `accuracy` and `ce`, the cross-entropy without smoothing.

    Args:
        model: from images to logits.
        recipe: how to train.
        steps: training steps altogether. The cosine schedule needs them; without them the rate stays at its peak.

    Raises:
        ValueError: if `steps` is not a positive integer.
    """
    if steps is not None:
        checks.integer("steps", steps)
    model.compile(
        optimizer=optimizer(recipe, steps),
        loss=SmoothedCrossentropy(recipe.label_smoothing),
        metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="ce")],
        jit_compile=recipe.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)  # or a file saved before training would not load whole
    return model


def optimizer(recipe: Recipe, steps: int | None = None) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe, with decoupled decay, for matrices only unless it says otherwise."""
    makers = {
        "adamw": keras.optimizers.AdamW,
        "adam": keras.optimizers.Adam,
        "sgd": keras.optimizers.SGD,
        "lion": keras.optimizers.Lion,
    }
    extra = {"momentum": 0.9, "nesterov": True} if recipe.optimizer == "sgd" else {}
    if recipe.optimizer_epsilon is not None:
        extra["epsilon"] = recipe.optimizer_epsilon
    made = makers[recipe.optimizer](
        learning_rate=rate(recipe, steps), weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm, **extra
    )
    if not recipe.decay_all:
        made.exclude_from_weight_decay(var_names=list(NO_DECAY))
    return made


def rate(recipe: Recipe, steps: int | None):
    """A number, or a schedule over `steps`."""
    if recipe.schedule == "constant" or steps is None:
        return recipe.learning_rate
    warm = int(recipe.warmup * steps)
    if not warm:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm), warmup_target=recipe.learning_rate, warmup_steps=warm
    )
