"""Attention distillation: new mixers that learn what those of a teacher do, block by block, from images without labels."""

import re
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from .. import checks
from ..ops.precision import promote
from ..parts import Residual
from .compile import optimizer
from .devices import together
from .distill import LEAST, Lesson
from .recipe import Recipe


def distill_attention(
    student: keras.Model,
    teacher: keras.Model,
    images,
    epochs: int = 1,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    blocks: Iterable[int] | None = None,
    norm: bool = False,
    through: bool = False,
    *,
    schedule: str = "cosine",
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    jit_compile: bool | str = "auto",
    **options,
) -> keras.callbacks.History:
    """Train the mixers of `student` to do what those of `teacher` do, before its fine-tuning; no label is needed.

    >>> teacher = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> student, report = keras_vix.swap_mixer(teacher, "performer", m=8)
    >>> data = keras_vix.data.load("digits", limit=64)
    >>> history = keras_vix.train.distill_attention(student, teacher, data.train, epochs=1, verbose=0)
    >>> sorted(history.history)
    ['block0', 'loss']

    The student changes in place, and how it is compiled does not matter and stays.

    Args:
        student, teacher, blocks, norm, through: as in `AttentionDistiller`.
        images: raw images `(n, height, width, channels)`; a split of `keras_vix.data`; batches of images, or of tuples that begin
            with them, as a list, a `PyDataset`, `tf.data` or an iterator, good for one epoch; Keras
            warns at its end. Labels in them are not looked at.
        epochs: passes over the images.
        batch_size: of an array of images; batches stay as they are.
        learning_rate: of AdamW, its peak.
        schedule: `cosine`, to 0 over all steps, or `constant`, which it also is where the number of batches is not known.
        weight_decay, clip_norm, jit_compile: as in `Recipe`.
        options: of `fit`, such as `callbacks`, `validation_data` (more images), `steps_per_epoch` or `verbose`.

    Returns:
        What `fit` does: `history` holds a list by epoch of `block0`, ..., each block's relative error,
        and of their mean, `loss`. 1 is the error of the teacher's mean for each channel, 0 that of the teacher's own output. An
        epoch's figure is the mean over its steps, so that of the first epoch is mostly better than the start.

    Raises:
        TypeError, ValueError: as `AttentionDistiller`, and for a field out of range.
    """
    distiller = AttentionDistiller(student, teacher, blocks, norm, through)
    how = Recipe(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, schedule=schedule, weight_decay=weight_decay,
        clip_norm=clip_norm, jit_compile=jit_compile,
    )  # fmt: skip
    feed, own = fed(images, how.batch_size)
    there = options.get("steps_per_epoch") or length(feed, how.batch_size)
    weights = distiller.trainable_variables
    made = optimizer(how, there and there * how.epochs, weights)
    distiller.compile(optimizer=together(made), jit_compile=how.jit_compile)
    distiller.optimizer.build(weights)
    return distiller.fit(feed, epochs=how.epochs, **own | options)


class AttentionDistiller(Lesson):
    """Pulls the mixers of a student to those of its teacher: the mean over the blocks of each block's relative error.

    Student and teacher are models of `build` alike but for the mixers, such as a trained ViT and what is left of it after its
    attention was replaced. In each chosen block the student's residual branch, `scale * mixer(norm(x))`, sees the `x` that
    comes into this block *of the teacher*, and its relative error is the mean squared difference from the teacher's branch over
    the variance of the latter, both over batch, tokens and channels, the mean of each channel taken off for the variance.
    So no block waits for another or bears its errors, all count alike, and all learn in one pass over the images. With `through`
    the student's tokens run through the student, and what is compared are the tokens behind each block, which makes blocks
    answer for the errors before them: a second phase.

    Both run as if for inference, without dropout or dropped paths. Only the mixers' own weights move (projections, and what the
    kernel has), with a Linformer projection that all layers share; every other weight of the student and all of the teacher stay
    as they are. `evaluate` gives the same errors of other images.

    >>> teacher = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> student, report = keras_vix.swap_mixer(teacher, "nystrom", m=8, blocks=[1])
    >>> keras_vix.train.AttentionDistiller(student, teacher).blocks
    (1,)

    Args:
        student, teacher: functional models with layers `stage0_block0_mixer` and so on, of equal tokens and widths.
        blocks: numbers of blocks from the first, 0, to be trained; default all that differ from the teacher's in their config or
            in a weight. Others cost nothing but the teacher's pass.
        norm: whether a block's normalisation in front of the mixer is trained too.
        through: see above.

    Raises:
        TypeError, ValueError: no block differs or none can be trained; the blocks, or their tokens and widths, are not the same.

    Source: after Zhang et al. 2024, arXiv:2402.04347, section 3, who train linear attention in place of softmax by its *weights*
    (cross-entropy with those of the teacher) before fine-tuning, after Kasai et al. 2021, arXiv:2103.13076, who swap and
    fine-tune alone. Here it is the outputs that are compared, which any kernel has, and all projections of the mixer that learn.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        blocks: Iterable[int] | None = None,
        norm: bool = False,
        through: bool = False,
        name: str = "attention_distiller",
    ):
        for word, value in (("norm", norm), ("through", through)):
            if not isinstance(value, bool):
                raise TypeError(f"`{word}` must be True or False. Received: {word}={value!r}.")
        super().__init__(student, teacher, name)
        own, others = pairs(student, teacher)
        self.blocks = chosen(blocks, own, others)
        places = [list(own)[block] for block in self.blocks]
        self.through, self._places = through, tuple(places)
        self._own, self._others = ([model[place] for place in places] for model in (own, others))
        self._projections = [next((y for y in model.layers if y.name == "projection"), None) for model in (student, teacher)]
        self._norm = norm
        if not self.learning():
            raise ValueError(f"The mixers to be trained must have trainable weights. Received: {', '.join(places)}, none.")
        inputs = {place: entrance(others[place]) for place in places}
        self._entering = None if through else keras.Model(teacher.inputs, inputs, name="teacher_inputs")
        self._leaving = [leaving(model, places) for model in (student, teacher)] if through else None
        self.gauges = [keras.metrics.Mean(name=f"block{block}") for block in self.blocks]
        self.built = True

    def learning(self) -> list:
        """The variables that are trained."""
        return trained(self._own, self._projections[0], self._norm)

    def call(self, images, training=False):
        """The images in float32: the models are asked in `compute_loss`, where no policy or mode of this one reaches them."""
        return ops.cast(images, "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean of the blocks' relative errors."""
        errors = self.errors(y_pred)
        for gauge, error in zip(self.gauges, errors, strict=True):
            gauge.update_state(error, sample_weight=ops.cast(ops.shape(y_pred)[0], "float32"))
        return sum(errors) / len(errors)

    def errors(self, images) -> list:
        """The relative error of each chosen block for raw images, float32."""
        if self.through:
            student, teacher = self._leaving
            with self.untouched():
                wanted = self._ordered(teacher(images, training=False))
            found = self._ordered(student(images, training=False))
        else:
            with self.untouched():
                seen = [ops.stop_gradient(x) for x in self._ordered(self._entering(images, training=False))]
                wanted = [branch(layer, x, self._projections[1]) for layer, x in zip(self._others, seen, strict=True)]
            found = [branch(layer, x, self._projections[0]) for layer, x in zip(self._own, seen, strict=True)]
        return [relative(a, ops.stop_gradient(b)) for a, b in zip(found, wanted, strict=True)]

    def _ordered(self, tokens: dict) -> list:
        return [tokens[place] for place in self._places]  # Keras sorts names as words


def branch(layer: Residual, x, projection=None):
    """What a residual block adds to its input but for dropped paths, `scale * inner(norm(x))`, float32.

    Args:
        layer: the block.
        x: its input.
        projection: the model's layer that makes the projection which all its layers share, or `None`.
    """
    shared = {} if projection is None or not isinstance(layer.input, list) else {"projection": projection(x)}
    y = promote(layer.inner(layer.entering(x), **shared))
    return y if layer.scale is None else y * promote(ops.convert_to_tensor(layer.gamma))


def relative(found, wanted):
    """Mean squared difference over the variance of `wanted`, in which each channel's mean is taken off: a number."""
    found, wanted = promote(found), promote(wanted)
    around = wanted - ops.mean(wanted, axis=tuple(range(len(wanted.shape) - 1)), keepdims=True)
    return ops.mean(ops.square(found - wanted)) / ops.maximum(ops.mean(ops.square(around)), LEAST)


def mixers(model: keras.Model) -> dict[str, Residual]:
    """The residual layers round the mixers of a model, by `stage0_block0` and so on, in their order."""
    named = {layer.name.removesuffix("_mixer"): layer for layer in model.layers if isinstance(layer, Residual)}
    places = {tuple(map(int, found.groups())): name for name in named if (found := re.fullmatch(r"stage(\d+)_block(\d+)", name))}
    return {places[place]: named[places[place]] for place in sorted(places)}


def entrance(layer: Residual):
    """The tokens that come into a residual layer."""
    return layer.input[0] if isinstance(layer.input, list) else layer.input


def pairs(student: keras.Model, teacher: keras.Model) -> tuple[dict[str, Residual], dict[str, Residual]]:
    """The mixers of both models, checked to stand in the same places."""
    own, others = mixers(student), mixers(teacher)
    if not own or own.keys() != others.keys():
        alone = ", ".join(sorted(own.keys() ^ others.keys())) or "no blocks at all"
        raise ValueError(
            "student and teacher must have the same blocks, stage0_block0_mixer and so on. "
            f"Received: {len(own)} and {len(others)} blocks, of one model only: {alone}."
        )
    for place, layer in own.items():
        shapes = [tuple(entrance(one).shape) for one in (layer, others[place])]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "student and teacher must have the same tokens and widths (batch, tokens, width). "
                f"Received: {place} {shapes[0]} and {shapes[1]}; distil before changing the resolution."
            )
    return own, others


def chosen(blocks, own: dict[str, Residual], others: dict[str, Residual]) -> tuple[int, ...]:
    """The numbers of the blocks to be trained, in order, without those that are as the teacher's."""
    if blocks is not None:
        numbers = {checks.integer("blocks", block, 0, len(own) - 1) for block in blocks}
    else:
        numbers = {index for index, place in enumerate(own) if not alike(own[place], others[place])}
    if not numbers:
        how = "no number" if blocks is not None else "mixers that are alike in every block"
        raise ValueError(f"There must be a block to train. Received: {how}; name some, `blocks=[0, 1]`, or swap a mixer first.")
    return tuple(sorted(numbers))


def alike(layer: Residual, other: Residual) -> bool:
    """Whether two residual layers hold equal mixers with equal weights, bit by bit."""
    if type(layer.inner) is not type(other.inner) or layer.inner.get_config() != other.inner.get_config():
        return False
    own, others = ([ops.convert_to_numpy(weight) for weight in one.weights] for one in (layer, other))
    return len(own) == len(others) and all(map(np.array_equal, own, others))


def trained(layers: list[Residual], projection, norm: bool) -> list:
    """The trainable weights of the mixers in these layers, with their norms if `norm`, and of the projection that they share."""
    parts = [layer.inner for layer in layers]
    parts += [layer.layer_norm for layer in layers if norm and layer.norm != "none"]
    parts += [] if projection is None else [projection]
    return [weight for part in parts for weight in part.trainable_weights]


def leaving(model: keras.Model, places: list[str]) -> keras.Model:
    """From images to the tokens behind each of these blocks."""
    outputs = {place: model.get_layer(f"{place}_ffn").output for place in places}
    return keras.Model(model.inputs, outputs, name=f"{model.name}_blocks")


class Listed(keras.utils.PyDataset):
    """Batches in a list, each images or a tuple that begins with them."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple:
        return alone(self.batches[index])


def alone(batch) -> tuple:
    """The images of a batch, as Keras takes them from an iterator."""
    return (batch[0] if isinstance(batch, (tuple, list)) else batch,)


def fed(images, batch_size: int):
    """What `fit` takes for `images`, and with which of its options."""
    if isinstance(images, tuple) and hasattr(images, "x"):  # a split, whose images may have to be decoded
        images = np.asarray(images.x)
    if isinstance(images, np.ndarray) or keras.ops.is_tensor(images):
        if len(images.shape) != 4:
            raise ValueError(f"`images` must be (n, height, width, channels). Received: shape {tuple(images.shape)}.")
        return images, {"batch_size": batch_size}
    if isinstance(images, (tuple, list)):
        return Listed(images), {}
    if hasattr(images, "__next__"):
        images = (alone(batch) for batch in images)
    return images, {} if isinstance(images, keras.utils.PyDataset) else {"shuffle": False}  # it is not for Keras to shuffle


def length(feed, batch_size: int) -> int | None:
    """Batches in a pass over what `fed` gives, or `None` if that is not known."""
    if hasattr(feed, "shape"):
        return -(-feed.shape[0] // batch_size)
    try:
        return len(feed)
    except (TypeError, NotImplementedError):
        return None
