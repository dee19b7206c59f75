"""A model and a recipe to a compiled model."""

import keras

from .. import checks
from .devices import present, together
from .losses import Accuracy, Crossentropy, SigmoidCrossentropy, SmoothedCrossentropy
from .rates import LAYERWISE, NO_DECAY
from .recipe import Recipe

MAKERS = {
    "adamw": keras.optimizers.AdamW,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
    "lion": keras.optimizers.Lion,
}


def compile(model: keras.Model, recipe: Recipe, steps: int | None = None, layerwise: dict | None = None) -> keras.Model:
    """Compile `model` after `recipe` and return it; metrics `accuracy` and `ce`, the cross-entropy without smoothing.

    Labels may be integers or rows of shares, those of training and of validation apart.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2, compile=False)
    >>> recipe = keras_vix.train.Recipe(optimizer="lion", learning_rate=1e-4)
    >>> keras_vix.train.compile(model, recipe).optimizer.name
    'lion'

    Args:
        model: from images to logits.
        recipe: how to train.
        steps: training steps altogether. The cosine schedule needs them; without them the rate stays at its peak.
        layerwise: options of `LayerwiseAdamW`, such as `rates` and `frozen_steps`, for a rate for each weight; see `finetune`.

    Raises:
        ValueError: if `steps` is not a positive integer.
    """
    if steps is not None:
        checks.integer("steps", steps)
    model.compile(
        optimizer=scaled(model, together(optimizer(recipe, steps, model.trainable_variables, layerwise))),
        loss=SigmoidCrossentropy() if recipe.loss == "sigmoid" else SmoothedCrossentropy(recipe.label_smoothing),
        # What fills up a batch for several devices must not count.
        **{"weighted_metrics" if present() > 1 else "metrics": [Accuracy(), Crossentropy()]},
        jit_compile=recipe.jit_compile,
        steps_per_execution=recipe.steps_per_execution,
    )
    model.optimizer.build(model.trainable_variables)  # or a file saved before training would not load whole
    return model


def scaled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer, round which a model with float16 layers scales its loss.

    Keras does that too, by the policy that is set and not by the layers', and writes the bare optimizer into a file: one that is
    loaded under another policy would train without, and leave the optimizer's state in the file.
    """
    wrapped = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if wrapped or all(layer.dtype_policy.name != "mixed_float16" for layer in model.layers):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")


def optimizer(
    recipe: Recipe, steps: int | None = None, weights=(), layerwise: dict | None = None
) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe, with decoupled decay, for matrices among `weights` only unless it says otherwise."""
    makers = MAKERS if layerwise is None else LAYERWISE
    extra = {"momentum": 0.9, "nesterov": True} if recipe.optimizer == "sgd" else {}
    if layerwise is not None:
        extra |= {**layerwise, "decay_all": recipe.decay_all}
    if recipe.ema is not None:
        extra |= {"use_ema": True, "ema_momentum": recipe.ema}
    if recipe.accumulate > 1:
        extra["gradient_accumulation_steps"] = recipe.accumulate
    if recipe.optimizer_epsilon is not None:
        extra["epsilon"] = recipe.optimizer_epsilon
    made = makers[recipe.optimizer](
        learning_rate=rate(recipe, steps), weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm, **extra
    )
    if layerwise is None and not recipe.decay_all:
        made.exclude_from_weight_decay(
            var_list=[weight for weight in weights if len(weight.shape) < 2], var_names=list(NO_DECAY)
        )
    return made


def rate(recipe: Recipe, steps: int | None):
    """A number, or a schedule over `steps`."""
    if recipe.schedule == "constant" or steps is None:
        return recipe.learning_rate
    warm = int(recipe.warmup * steps)
    least = recipe.final_rate / recipe.learning_rate
    if not warm:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps, alpha=least)
    return keras.optimizers.schedules.CosineDecay(
        recipe.warmup_rate, max(1, steps - warm), alpha=least, warmup_target=recipe.learning_rate, warmup_steps=warm
    )
