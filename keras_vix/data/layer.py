"""Augmentation as a Keras layer, for a model or a `tf.data` pipeline."""

import math

import keras
from keras import ops

from .. import checks
from ..base import Layer, make_seed, register
from .augment import disturb
from .operations import framed
from .policies import Policy, find_policy
from .regions import crops, mix, one_hot


@register
class Augment(Layer):
    """Random changes of raw images while training, none otherwise: `(batch, h, w, c) -> (batch, h, w, c)`, 0..255.

    Images alone are changed one by one. A dictionary `{"images", "labels"}` is also mixed where the policy mixes; its labels,
    integers `(batch,)` or rows `(batch, classes)`, come out as rows of shares that add up to 1, also where nothing was mixed.

    Operations are those of `keras_vix.data.batches`, in the same code, but for the draws, which are Keras' own: a run repeats
    with the same seed on one backend. Every operation is computed for every image and one result kept, as compiled code must; so
    `batches` is several times faster on a CPU, and this layer belongs on an accelerator. In a `tf.data` map it needs the
    TensorFlow backend.

    >>> images = keras_vix.data.load("digits").train.x[:4]
    >>> augment = keras_vix.data.Augment(keras_vix.data.Policy(flip=True, mixup=0.2), classes=10, seed=0)
    >>> mixed = augment({"images": images, "labels": np.arange(4)}, training=True)
    >>> tuple(mixed["images"].shape), tuple(mixed["labels"].shape)
    ((4, 8, 8, 1), (4, 10))

    Args:
        augment: a name in `keras_vix.data.POLICIES`, or a `Policy`.
        classes: how many there are, for integer labels that are mixed.
        mean, std: of the data's channels on the 0..1 scale, one number or one a channel: the noise that erases.
        seed: of all draws, or `None` for a fresh one.

    Raises:
        TypeError, ValueError: an unknown policy, numbers out of range, or labels to be mixed without `classes`.
    """

    def __init__(
        self,
        augment: str | Policy = "medium1",
        classes: int | None = None,
        mean: float | tuple[float, ...] = 0.5,
        std: float | tuple[float, ...] = 0.25,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.policy = find_policy(augment)
        self.augment = augment
        self.classes = None if classes is None else checks.integer("classes", classes, 2)
        for name, value in (("mean", mean), ("std", std)):
            for entry in value if isinstance(value, (tuple, list)) else (value,):
                checks.number(name, entry, 0.0, 1.0, include_high=True)
        self.mean, self.std = mean, std
        self.seed = make_seed(seed)
        self.draws = keras.random.SeedGenerator(self.seed)
        self.built = True

    def call(self, inputs, training=False):
        """Images, or images and labels, as the class says."""
        paired = isinstance(inputs, dict)
        images = ops.cast(inputs["images"] if paired else inputs, "float32")
        kit = KerasKit(self.draws)
        if training:
            images = self.change(kit, images)
        if not paired:
            return ops.cast(images, self.compute_dtype)
        labels = inputs["labels"]
        if self.policy.mixes and training:
            if len(labels.shape) == 1 and self.classes is None:
                raise ValueError("`classes` must be given to mix integer labels. Received: classes=None.")
            images, labels = mix(kit, images, one_hot(kit, labels, self.classes), self.policy)
        return {**inputs, "images": ops.cast(images, self.compute_dtype), "labels": labels}

    def change(self, kit, x):
        """All changes of single images."""
        x = moved(kit, x, self.policy)
        mean, std = ops.array(self.mean, dtype="float32"), ops.array(self.std, dtype="float32")
        return disturb(kit, x, self.policy, mean, std)

    def compute_output_shape(self, input_shape):
        if not isinstance(input_shape, dict):
            return input_shape
        labels = tuple(input_shape["labels"])
        rows = (*labels[:1], self.classes) if self.policy.mixes and len(labels) == 1 else labels
        return {**input_shape, "labels": rows}


def moved(kit, x, policy):
    """Flip, jump, turn, zoom, shift and crop in one warp."""
    n, size = ops.shape(x)[0], x.shape[1:3]

    def even(reach):
        return reach * (2 * kit.uniform((n,)) - 1)

    maps = []
    one, zero = ops.ones((n,)), ops.zeros((n,))
    if policy.moves:
        mirror = ops.where(kit.uniform((n,)) < 0.5 * policy.flip, -one, one)
        jumps = [ops.floor(kit.uniform((n,)) * (2 * reach + 1)) - reach for reach in (round(policy.jump * side) for side in size)]
        maps.append(affine([one, zero, -jumps[0]], [zero, mirror, -mirror * jumps[1]]))
    if policy.warps:
        angle, scale = even(2 * math.pi * policy.rotate), 1 + even(policy.zoom)
        cosine, sine = scale * ops.cos(angle), scale * ops.sin(angle)
        maps.append(affine([cosine, -sine, even(policy.shift * size[0])], [sine, cosine, even(policy.shift * size[1])]))
    if policy.crop:
        maps.append(crops(kit, n, size, policy.crop))
    if not maps:
        return x
    whole = maps[0]
    for other in maps[1:]:
        whole = after(whole, other)
    # Black from outside is that of a frame, whose pixels repeat.
    x = framed(kit, x, whole, 0.0) if policy.black else kit.warp(x, whole)
    return ops.clip(x, 0.0, 255.0)  # weights may add up to a rounding error above 1


def affine(rows, columns):
    """Entries `(n,)` to maps `(n, 2, 3)`."""
    return ops.stack([ops.stack(rows, axis=-1), ops.stack(columns, axis=-1)], axis=1)


def after(first, second):
    """The map that takes each pixel from where `first` takes that which `second` asks for."""
    turn = ops.matmul(first[:, :, :2], second[:, :, :2])
    shift = ops.matmul(first[:, :, :2], second[:, :, 2:]) + first[:, :, 2:]
    return ops.concatenate([turn, shift], axis=-1)


class KerasKit:
    """Tensors and draws of Keras, for a layer, eager or compiled.

    Args:
        seed: a `keras.random.SeedGenerator`.
    """

    xp = keras.ops

    def __init__(self, seed: keras.random.SeedGenerator) -> None:
        self.seed = seed

    def uniform(self, shape):
        """Even draws from 0 to 1, float32."""
        return keras.random.uniform(shape, dtype="float32", seed=self.seed)

    def normal(self, shape):
        """Standard normal draws, float32."""
        return keras.random.normal(shape, dtype="float32", seed=self.seed)

    def beta(self, alpha: float):
        """One draw of Beta(alpha, alpha)."""
        return keras.random.beta((), alpha, alpha, dtype="float32", seed=self.seed)

    def cast(self, x, dtype: str):
        """`x` with another dtype."""
        return keras.ops.cast(x, dtype)

    def count(self, labels, size):
        """How often each of 0..size-1 occurs, float32."""
        return keras.ops.segment_sum(keras.ops.ones_like(labels, dtype="float32"), labels, size)

    def only(self, mask, change, x, *rows):
        """`x` with the images of `mask` changed; all are computed, since compiled code has no other way."""
        return keras.ops.where(mask[:, None, None, None], change(self, x, *rows), x)

    def warp(self, x, maps):
        """Bilinear warp, edge pixels repeat; `maps` as for `augment.warp`."""
        # Keras counts (column, row) from the corner: the same map, moved there from the centre.
        middle = [(side - 1) / 2 for side in x.shape[1:3]]
        row, column = ((m[:, 0], m[:, 1], m[:, 2] - m[:, 0] * middle[0] - m[:, 1] * middle[1]) for m in (maps[:, 0], maps[:, 1]))
        zero = keras.ops.zeros_like(row[0])
        flat = [column[1], column[0], column[2] + middle[1], row[1], row[0], row[2] + middle[0], zero, zero]
        return keras.ops.image.affine_transform(
            x, keras.ops.stack(flat, axis=-1), interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
        )
