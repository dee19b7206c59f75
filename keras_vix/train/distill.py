"""Distillation: a student that learns from the labels and from a teacher."""

import keras
from keras import ops

from .. import checks
from ..ops.precision import promote
from .losses import rows

# What each kind takes, and the defaults.
KINDS = {
    "soft": {"alpha": 0.1, "temperature": 3.0},
    "hard": {"alpha": 0.5},
    "token": {"alpha": 0.5, "temperature": None},
    "teacher": {},
}
OUTPUTS = ("logits", "probabilities")
TERMS = ("label_loss", "teacher_loss")
LEAST = 1e-30  # probability that a logarithm may see


def distill(student: keras.Model, teacher: keras.Model, kind: str = "soft", **options) -> "Distiller":
    """A `Distiller` that trains `student`, compiled as the student is: its optimizer, the same loss, metrics and `jit_compile`.

    >>> teacher = keras_vix.build("vit", dataset="digits", dim=32, depth=1)
    >>> student = keras_vix.build("vit", dataset="digits", dim=16, depth=1, prefix=2, pool="prefix", head="distilled", steps=2000)
    >>> distiller = keras_vix.train.distill(student, teacher, "token")
    >>> history = distiller.fit(*keras_vix.data.load("digits", limit=64).train, epochs=1, verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'ce', 'label_loss', 'loss', 'teacher_loss']
    >>> student.save("student.keras")

    For another recipe: `keras_vix.train.compile(distiller, recipe, steps)`. A student that is not compiled gives a Distiller
    that is not.

    Args:
        student, teacher, kind, options: as in `Distiller`.

    Raises:
        TypeError, ValueError: as in `Distiller`.
    """
    distiller = Distiller(student, teacher, kind, **options)
    if student.compiled:
        how = keras.saving.deserialize_keras_object(student.get_compile_config())
        distiller.compile(**{**how, "optimizer": student.optimizer})
    return distiller


class Lesson(keras.Model):
    """A student trained beside a teacher of which nothing changes; what is kept of it is the student.

    The teacher is a layer of this model, so that its weights travel with the state; but nothing here trains it.

    Args:
        student, teacher: two models.

    Raises:
        TypeError, ValueError: either is no model, or both are one.
    """

    def __init__(self, student: keras.Model, teacher: keras.Model, name: str):
        for role, model in (("student", student), ("teacher", teacher)):
            if not isinstance(model, keras.Model):
                raise TypeError(f"`{role}` must be a Keras model. Received: {role}={model!r}.")
        if student is teacher:
            raise ValueError("`teacher` must be another model than the student. Received: one model for both.")
        # The models cast what they see themselves, each by its own policy.
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.student, self.teacher = student, teacher

    def learning(self) -> list:
        """The variables that are trained."""
        return self.student.trainable_variables

    @property
    def trainable_variables(self):
        return self.learning()

    @property
    def trainable_weights(self):
        return self.learning()

    @property
    def non_trainable_variables(self):
        return without(self.variables, self.learning())

    @property
    def non_trainable_weights(self):
        return without(self.weights, self.learning())

    def untouched(self) -> keras.StatelessScope:
        """A scope in which nothing reaches the teacher's variables: neither a gradient nor an update."""
        return keras.StatelessScope(state_mapping=[(v, ops.stop_gradient(v)) for v in self.teacher.variables])

    def save(self, *args, **kwargs):
        """Not of this model: save the student."""
        what = type(self).__name__
        raise NotImplementedError(f"{what} is not a model to keep: save the student, `distiller.student.save(path)`.")


class Distiller(Lesson):
    """Trains a student on labels and on what a teacher says: `(1 - alpha) * label + alpha * taught`, a mean over the samples.

    `label` is the compiled loss, such as `SmoothedCrossentropy`, so smoothing is that of the recipe; the teacher's labels are not
    smoothed. `taught`, with `z` the student's logits, `t` the teacher's and `s` the softmax, is for each kind:

    - `soft`: `temperature**2 * KL(s(t / temperature) || s(z / temperature))`, a sum over the classes;
    - `hard`: cross-entropy of `z` against the teacher's most likely class. On a student with one set of logits, as here, this is
      also the form of CaiT;
    - `token`: the student has a distillation token (`head="distilled"`), whose logits get `taught`, while those of the class
      token get `label`. `taught` is that of `hard`, or with a `temperature` that of `soft`;
    - `teacher`: cross-entropy of `z` against `s(t)`, and no label: `alpha` is 1. The form of BinaryViT.

    The teacher sees the very images that the student sees, after `augment`, as if for inference: no dropout, no gradient, and
    nothing of it changes. Its weights are not among the trainable ones.

    `fit` reports `loss`, the compiled metrics of the student's output, and the two terms before they are weighed, `label_loss`
    and `teacher_loss`. `evaluate` and `predict` are the student's own, and so is `val_loss`: the compiled loss alone. Metrics
    compare with whole labels; of a row of mixed labels they take the largest class.

    Save the student, `distiller.student.save(path)`; the Distiller itself refuses. To go on with a training later, make it anew
    and use `save_weights` and `load_weights`, which hold both models and the optimizer.

    >>> student, teacher = (keras_vix.build("vit", dataset="digits", dim=dim, depth=1, num_heads=2) for dim in (16, 32))
    >>> distiller = keras_vix.train.Distiller(student, teacher, "hard")
    >>> distiller.alpha, len(distiller.trainable_variables) == len(student.trainable_variables)
    (0.5, True)

    Args:
        student: from raw images to logits `(batch, classes)`, one input and one output, such as `keras_vix.build` makes.
        teacher: any model from images, the student's own, to as many classes.
        kind: `soft`, `hard`, `token` or `teacher`.
        alpha: weight of the teacher's term, 0 to 1; default 0.1 where its labels are soft and 0.5 where they are hard. Not for
            `teacher`.
        temperature: of `soft`, default 3; of `token`, default `None`, hard labels.
        teacher_output: `logits`, or `probabilities`, as those of `keras.applications` are by default.
        teacher_size: `(height, width)` to which the teacher's images are resized, bilinearly; default the student's size.
        teacher_preprocess: a layer or function of raw images, after the resizing, such as a `preprocess_input` of
            `keras.applications`.
        augment: a layer, called once a batch on the raw images with `training=True`, for student and teacher alike.
        mix_labels: whether `augment` mixes labels too: it is then called on `{"images": ..., "labels": ...}`, labels as rows
            `(batch, classes)`, and returns such a dictionary, as `keras.layers.MixUp` does.

    Raises:
        TypeError, ValueError: before training, for an argument of the wrong kind, an output that is not `(batch, classes)`, a
            different number of classes, or `token` without two sets of logits.

    Source: Touvron et al. 2021, arXiv:2012.12877, section 4 (`soft`, after Hinton et al. 2015, arXiv:1503.02531; `hard`;
    `token`); Touvron et al. 2021, arXiv:2103.17239 (`hard` without a token); Le and Li 2023, BinaryViT (`teacher`). The released
    code of the first divides the KL term by the number of classes too; here it is the paper's, a sum over the classes.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        kind: str = "soft",
        alpha: float | None = None,
        temperature: float | None = None,
        teacher_output: str = "logits",
        teacher_size=None,
        teacher_preprocess=None,
        augment: keras.layers.Layer | None = None,
        mix_labels: bool = False,
        name: str = "distiller",
    ):
        super().__init__(student, teacher, name)
        self.kind = checks.choice("kind", kind, tuple(KINDS))
        self.alpha, self.temperature = settings(kind, alpha, temperature)
        self.teacher_output = checks.choice("teacher_output", teacher_output, OUTPUTS)
        self.teacher_size = None if teacher_size is None else checks.pair("teacher_size", teacher_size)
        if teacher_preprocess is not None and not callable(teacher_preprocess):
            raise TypeError(f"`teacher_preprocess` must be callable. Received: teacher_preprocess={teacher_preprocess!r}.")
        if augment is not None and not isinstance(augment, keras.layers.Layer):
            raise TypeError(f"`augment` must be a Keras layer. Received: augment={augment!r}.")
        if not isinstance(mix_labels, bool):
            raise TypeError(f"`mix_labels` must be True or False. Received: mix_labels={mix_labels!r}.")
        if mix_labels and augment is None:
            raise ValueError("`mix_labels` is for an `augment` that mixes labels. Received: mix_labels=True, augment=None.")
        self.teacher_preprocess, self.augment, self.mix_labels = teacher_preprocess, augment, mix_labels
        self._check_outputs()
        self.both = with_head(student) if kind == "token" else None
        self.label_loss, self.teacher_loss = (keras.metrics.Mean(name=term) for term in TERMS)
        self.built = True

    def _check_outputs(self):
        image, out = (getattr(self.student, name, None) or () for name in ("inputs", "outputs"))
        if len(image) != 1 or len(out) != 1 or len(out[0].shape) != 2:
            raise ValueError(
                f"`student` must go from one input to logits (batch, classes). Received: inputs={image}, outputs={out}."
            )
        taught = self._see(keras.KerasTensor(image[0].shape, dtype="float32"))
        shape = getattr(taught, "shape", None)
        if shape is None or len(shape) != 2 or shape[-1] != out[0].shape[-1]:
            raise ValueError(
                "`teacher` must give one number for each of the student's classes, (batch, classes). "
                f"Received: student {tuple(out[0].shape)}, teacher {tuple(shape) if shape is not None else taught}."
            )

    def call(self, inputs, training=False):
        """Images to the student's logits; in a training step, images and labels to all that the loss needs."""
        if not isinstance(inputs, dict):
            return self.student(inputs, training=training)
        images, labels = self._augmented(inputs["images"], inputs["labels"])
        if self.both is None:
            logits = self.student(images, training=training)
            return {"images": images, "labels": labels, "logits": logits, "of_labels": logits, "of_teacher": logits}
        logits, pair = self.both(images, training=training)
        return {"images": images, "labels": labels, "logits": logits, "of_labels": pair[:, 0], "of_teacher": pair[:, 1]}

    def _augmented(self, images, labels):
        images = ops.cast(images, "float32")
        if self.augment is None:
            return images, labels
        if not self.mix_labels:
            return ops.cast(self.augment(images, training=True), "float32"), labels
        data = {"images": images, "labels": rows(labels, self.student.outputs[0])}
        data = self.augment(data, training=True)
        return ops.cast(data["images"], "float32"), ops.cast(data["labels"], "float32")

    def teach(self, images):
        """The teacher's logits of raw images, float32; logarithms of its probabilities are logits too."""
        with self.untouched():
            out = promote(self._see(images))
        if self.teacher_output == "probabilities":
            out = ops.log(ops.maximum(out, LEAST))
        return ops.stop_gradient(out)

    def _see(self, images):
        if self.teacher_size is not None:
            images = ops.image.resize(images, self.teacher_size, data_format="channels_last")
        if self.teacher_preprocess is not None:
            images = self.teacher_preprocess(ops.copy(images))  # those of `keras.applications` write into torch tensors
        return self.teacher(images, training=False)

    def train_step(self, *args):
        """Keras' own step, in which the model sees the labels beside the images: they may be mixed alike."""
        *state, data = args
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        return super().train_step(*state, ({"images": images, "labels": labels}, labels, weights))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The weighed sum of both terms in a training step, the compiled loss otherwise."""
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        # Asked here and not in `call`, where the student's policy would round the teacher's weights.
        taught = self.term(promote(y_pred["of_teacher"]), self.teach(y_pred["images"]))
        taught = ops.mean(taught if sample_weight is None else taught * ops.cast(sample_weight, taught.dtype))
        self.teacher_loss.update_state(taught)
        loss = self.alpha * taught
        if self.alpha < 1.0:
            label = self._compile_loss(y_pred["labels"], promote(y_pred["of_labels"]), sample_weight)
            self.label_loss.update_state(label)
            loss = loss + (1.0 - self.alpha) * label
        return sum((self._aggregate_additional_loss(more) for more in self.losses), loss)

    def term(self, logits, taught):
        """The teacher's term for each sample: two sets of logits `(batch, classes)` to `(batch,)`."""
        if self.kind == "teacher":
            return -ops.sum(ops.softmax(taught) * ops.log_softmax(logits), axis=-1)
        if self.temperature is not None:
            said, heard = ops.log_softmax(taught / self.temperature), ops.log_softmax(logits / self.temperature)
            return self.temperature**2 * ops.sum(ops.exp(said) * (said - heard), axis=-1)
        return keras.losses.sparse_categorical_crossentropy(ops.argmax(taught, axis=-1), logits, from_logits=True)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The compiled metrics of the student's output, and in a training step the two terms."""
        if isinstance(y_pred, dict):
            return super().compute_metrics(x, whole(y_pred["labels"]), y_pred["logits"], sample_weight)
        found = super().compute_metrics(x, whole(y), y_pred, sample_weight)
        return {name: value for name, value in found.items() if name not in TERMS}


def settings(kind: str, alpha, temperature) -> tuple[float, float | None]:
    """`alpha` and `temperature` of a kind, with its defaults, checked."""
    takes = KINDS[kind]
    for name, value in (("alpha", alpha), ("temperature", temperature)):
        if value is not None and name not in takes:
            raise ValueError(f"kind={kind!r} has no `{name}`. Received: {name}={value!r}.")
    if temperature is None:
        temperature = takes.get("temperature")
    else:
        temperature = checks.number("temperature", temperature, 1e-3, 1e3)
    if alpha is None:
        alpha = KINDS["soft"]["alpha"] if temperature is not None else takes.get("alpha", 1.0)
    return checks.number("alpha", alpha, 0.0, 1.0, include_high=True), temperature


def with_head(student: keras.Model) -> keras.Model:
    """From images to the student's output and both sets of logits behind it, `(batch, 2, classes)`.

    Raises:
        ValueError: if its layer "head" does not give two sets of logits.
    """
    head = next((layer for layer in student.layers if layer.name == "head"), None)
    shape = None if head is None else tuple(head.output.shape)
    if shape is None or len(shape) != 3 or shape[1:] != (2, student.outputs[0].shape[-1]):
        raise ValueError(
            "kind='token' needs a student with two sets of logits: build it with prefix=2, pool='prefix' and head='distilled'. "
            f"Received: student={student.name!r}, output of its head {shape}."
        )
    return keras.Model(student.inputs, [*student.outputs, head.output], name="both")


def whole(labels):
    """Labels as integers: rows give their largest class."""
    return ops.argmax(labels, axis=-1) if len(labels.shape) == 2 and labels.shape[-1] != 1 else labels


def without(variables: list, others: list) -> list:
    """Those of `variables` that are not among `others`."""
    ids = {id(variable) for variable in others}
    return [variable for variable in variables if id(variable) not in ids]
