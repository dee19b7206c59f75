"""Distillation: each loss against NumPy, a teacher that nothing touches, and the head for the distillation token."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.train import Distiller, SmoothedCrossentropy, distill, recipe

from .. import laws

JIT = {"jit_compile": keras.config.backend() == "jax"}  # compiling takes longer than all the steps
CLASSES, BATCH, SIDE = 3, 6, 2


def linear(seed, classes=CLASSES, activation=None):
    """From images of 2 x 2 pixels to logits: one dense layer."""
    start = keras.initializers.RandomNormal(stddev=0.02, seed=seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(classes, activation, kernel_initializer=start)]
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), *layers])


def still(model, smoothing=0.0, rate=0.0):
    """`model` compiled for plain descent; at rate 0 it stays as it is."""
    metrics = ["accuracy", keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="ce")]
    model.compile(keras.optimizers.SGD(rate), SmoothedCrossentropy(smoothing), metrics=metrics, **JIT)
    return model


def numbers(seed=0):
    """Images, and whole labels."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (BATCH, SIDE, SIDE, 1)).astype("float32"), rng.integers(0, CLASSES, BATCH)


def log_softmax(z):
    z = np.asarray(z, "float64")
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def by_hand(kind, z, t, temperature):
    """The teacher's term for each sample."""
    if kind == "teacher":
        return -(np.exp(log_softmax(t)) * log_softmax(z)).sum(axis=-1)
    if temperature is None:
        return -log_softmax(z)[np.arange(len(z)), t.argmax(axis=-1)]
    said, heard = log_softmax(t / temperature), log_softmax(z / temperature)
    return temperature**2 * (np.exp(said) * (said - heard)).sum(axis=-1)


def close(found, expected, tolerance=1e-5):
    return np.abs(np.asarray(found, "float64") - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


KINDS = [
    ("soft", {}, 0.1, 3.0),
    ("soft", {"alpha": 0.7, "temperature": 1.5}, 0.7, 1.5),
    ("hard", {}, 0.5, None),
    ("hard", {"alpha": 0.2}, 0.2, None),
    ("teacher", {}, 1.0, None),
]


@pytest.mark.parametrize("labels", ["whole", "column", "rows"])
@pytest.mark.parametrize("kind, options, alpha, temperature", KINDS)
def test_the_loss_is_that_of_numpy(kind, options, alpha, temperature, labels):
    smoothing = 0.1
    x, y = numbers()
    rows = np.eye(CLASSES)[y]
    if labels == "rows":
        rows = 0.6 * rows + 0.4 * rows[::-1]  # mixed
    student, teacher = linear(1), linear(2)
    distiller = still(Distiller(student, teacher, kind, **options), smoothing)
    logs = distiller.train_on_batch(x, {"whole": y, "column": y[:, None], "rows": rows.astype("float32")}[labels], return_dict=True)
    z, t = (model.predict_on_batch(x) for model in (student, teacher))
    target = (1 - smoothing) * rows + smoothing / CLASSES
    label = -(target * log_softmax(z)).sum(axis=-1).mean()
    taught = by_hand(kind, z, t, temperature).mean()
    assert close(logs["teacher_loss"], taught) and close(logs["loss"], (1 - alpha) * label + alpha * taught)
    assert close(logs["label_loss"], label if alpha < 1 else 0.0)
    largest = rows.argmax(axis=-1)
    assert close(logs["accuracy"], np.mean(z.argmax(axis=-1) == largest))
    assert close(logs["ce"], -log_softmax(z)[np.arange(BATCH), largest].mean())


def test_probabilities_are_logits_up_to_a_constant():
    x, y = numbers()
    teacher, certain = linear(2), linear(2, activation="softmax")
    certain.set_weights(teacher.get_weights())
    losses = []
    for model, output in ((teacher, "logits"), (certain, "probabilities")):
        distiller = still(Distiller(linear(1), model, "soft", temperature=2.0, teacher_output=output))
        losses.append(distiller.train_on_batch(x, y, return_dict=True)["loss"])
    assert close(*losses)


def test_a_probability_of_zero_is_finite():
    x, y = numbers()
    teacher = linear(2, activation="softmax")
    teacher.layers[-1].bias.assign([1e4, 0.0, -1e4])
    distiller = still(Distiller(linear(1), teacher, "soft", teacher_output="probabilities"), rate=0.1)
    assert np.isfinite(distiller.train_on_batch(x, y, return_dict=True)["loss"])
    assert all(np.isfinite(w).all() for w in distiller.student.get_weights())


def test_a_sample_without_weight_does_not_count():
    x, y = numbers()
    weights = np.array([1.0] * (BATCH - 2) + [0.0] * 2, "float32")
    distiller = still(Distiller(linear(1), linear(2), "soft", alpha=0.5))
    whole = distiller.train_on_batch(x, y, sample_weight=weights, return_dict=True)["loss"]
    distiller.reset_metrics()
    part = distiller.train_on_batch(x[:-2], y[:-2], return_dict=True)["loss"]
    assert close(whole * BATCH, part * (BATCH - 2))


def restless():
    """A teacher that would change in training: batch statistics, dropout."""
    layers = [keras.layers.Conv2D(4, 2), keras.layers.BatchNormalization(), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), *layers, keras.layers.Dense(CLASSES)])


@pytest.mark.parametrize("kind", ["soft", "hard", "teacher"])
def test_nothing_of_the_teacher_changes(kind):
    x, y = numbers()
    student, teacher = linear(1), restless()
    state, before = [np.array(v) for v in teacher.variables], student.get_weights()
    distiller = still(Distiller(student, teacher, kind), rate=1e-4)
    distiller.fit(x, y, epochs=2, batch_size=3, verbose=0)
    assert all(np.array_equal(np.array(v), b) for v, b in zip(teacher.variables, state))
    assert not any(np.array_equal(a, b) for a, b in zip(student.get_weights(), before))
    assert [id(v) for v in distiller.trainable_variables] == [id(v) for v in student.trainable_variables]
    assert teacher.trainable and len(teacher.trainable_weights) == 6


def test_the_teacher_answers_as_for_inference_and_without_a_gradient():
    x, _ = numbers()
    teacher = restless()
    distiller = Distiller(linear(1), teacher)
    out, gradient = laws.differentiate(lambda images: distiller.teach(images) + 0.0 * ops.sum(images), [x])
    assert close(out, teacher.predict(x, verbose=0)) and not gradient.any()


def pixels():
    """Its logits are the pixels that it sees."""
    dense = keras.layers.Dense(CLASSES, use_bias=False, kernel_initializer="identity")
    return keras.Sequential([keras.Input((1, CLASSES, 1)), keras.layers.Flatten(), dense])


def test_the_teacher_sees_what_the_student_sees():
    x = np.random.default_rng(0).uniform(0, 5, (BATCH, 1, CLASSES, 1)).astype("float32")
    y = np.arange(BATCH) % CLASSES
    distiller = still(Distiller(pixels(), pixels(), "soft", augment=keras.layers.GaussianNoise(1.0, seed=1)))
    seen = distiller({"images": ops.convert_to_tensor(x), "labels": ops.convert_to_tensor(y)}, training=True)
    student, teacher = (ops.convert_to_numpy(logits) for logits in (seen["logits"], distiller.teach(seen["images"])))
    assert np.array_equal(student, teacher) and np.abs(student - x.reshape(BATCH, CLASSES)).mean() > 0.3
    assert abs(distiller.train_on_batch(x, y, return_dict=True)["teacher_loss"]) <= 1e-5
    assert np.array_equal(distiller.predict_on_batch(x), x.reshape(BATCH, CLASSES))


@pytest.mark.filterwarnings("ignore:.*dtype int64 requested in arange")  # JAX, on account of Keras' layer
def test_labels_are_mixed_as_the_images_are():
    y = np.arange(BATCH) % CLASSES
    x = np.eye(CLASSES, dtype="float32")[y].reshape(BATCH, 1, CLASSES, 1)
    mix = keras.layers.MixUp(0.8, seed=3)
    distiller = still(Distiller(pixels(), pixels(), "hard", augment=mix, mix_labels=True))
    seen = distiller({"images": ops.convert_to_tensor(x), "labels": ops.convert_to_tensor(y)}, training=True)
    labels, logits = (ops.convert_to_numpy(seen[name]) for name in ("labels", "logits"))
    assert close(labels, logits) and np.array_equal(logits, ops.convert_to_numpy(distiller.teach(seen["images"])))
    assert (labels.max(axis=-1) < 0.999).any() and close(labels.sum(axis=-1), np.ones(BATCH))
    assert np.isfinite(distiller.train_on_batch(x, y, return_dict=True)["loss"])


SMALL = dict(dataset="digits", patch=4, dim=8, depth=1, num_heads=2, key_dim=4, mlp_dim=8, jit_compile=JIT["jit_compile"])
TOKEN = dict(prefix=2, pool="prefix", head="distilled")


def convolution():
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3, 2), keras.layers.Flatten(), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


@pytest.mark.parametrize("alpha, moved", [(0.0, {"logits"}), (1.0, {"logits_distilled"}), (None, {"logits", "logits_distilled"})])
def test_the_class_token_learns_labels_and_the_other_what_the_teacher_says(alpha, moved):
    x, y = keras_vix.data.load("digits", limit=20).test
    student = keras_vix.build("vit", **SMALL, **TOKEN)
    head = student.get_layer("head")
    before = {name: np.array(getattr(head, name).kernel) for name in ("logits", "logits_distilled")}
    distiller = still(Distiller(student, convolution(), "token", alpha), rate=0.1)
    distiller.train_on_batch(x, y)
    assert {name for name in before if not np.array_equal(np.array(getattr(head, name).kernel), before[name])} == moved


@pytest.mark.parametrize("temperature, alpha", [(None, 0.5), (2.0, 0.1)])
def test_the_losses_of_both_tokens(temperature, alpha):
    x, y = keras_vix.data.load("digits", limit=20).test
    student, teacher = keras_vix.build("vit", **SMALL, **TOKEN), convolution()
    pair = keras.Model(student.input, student.get_layer("head").output).predict(x, verbose=0)
    assert close(student.predict(x, verbose=0), pair.mean(axis=1)) and not np.array_equal(pair[:, 0], pair[:, 1])
    distiller = still(Distiller(student, teacher, "token", temperature=temperature))
    logs = distiller.train_on_batch(x, y, return_dict=True)
    label = -log_softmax(pair[:, 0])[np.arange(len(y)), y].mean()
    taught = by_hand("token", pair[:, 1], teacher.predict(x, verbose=0), temperature).mean()
    assert close(logs["loss"], (1 - alpha) * label + alpha * taught)


@pytest.mark.long
def test_a_built_student_is_trained_by_its_own_recipe_and_stays_a_model_of_its_own(tmp_path):
    data = keras_vix.data.load("digits", limit=60)
    student = keras_vix.build("vit", **SMALL, **TOKEN, label_smoothing=0.1, steps=8)
    distiller = distill(student, convolution(), "token", augment=keras.layers.GaussianNoise(0.5, seed=1))
    assert distiller.optimizer is student.optimizer and distiller.loss.label_smoothing == 0.1
    history = distiller.fit(*data.train, batch_size=16, epochs=2, verbose=0, validation_data=data.test).history
    train = {"loss", "accuracy", "ce", "label_loss", "teacher_loss"}
    assert set(history) == train | {"val_loss", "val_accuracy", "val_ce"} and np.isfinite(list(history.values())).all()
    assert int(ops.convert_to_numpy(student.optimizer.iterations)) == 8
    found, own = (model.evaluate(*data.test, verbose=0, return_dict=True) for model in (distiller, student))
    assert set(found) == {"loss", "accuracy", "ce"} and all(close(found[name], own[name]) for name in found)
    out = student.predict(data.test.x, verbose=0)
    assert np.array_equal(out, distiller.predict(data.test.x, verbose=0))
    student.save(tmp_path / "student.keras")
    assert np.array_equal(out, keras_vix.load(tmp_path / "student.keras").predict(data.test.x, verbose=0))
    with pytest.raises(NotImplementedError, match="distiller.student.save"):
        distiller.save(tmp_path / "distiller.keras")


def test_weights_and_optimizer_go_on_from_a_file(tmp_path):
    x, y = numbers()

    def begin():
        distiller = Distiller(linear(1), linear(2))
        distiller.compile(keras.optimizers.Adam(1e-3), SmoothedCrossentropy(), **JIT)
        return distiller

    one, other = begin(), begin()
    other.teacher.set_weights(linear(5).get_weights())
    one.train_on_batch(x, y)
    other.train_on_batch(x, y)
    one.save_weights(tmp_path / "distiller.weights.h5")
    other.load_weights(tmp_path / "distiller.weights.h5")
    one.train_on_batch(x, y)
    other.train_on_batch(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights()))


def test_a_recipe_compiles_a_distiller():
    x, y = numbers()
    how = recipe("vit", "digits", label_smoothing=0.2, jit_compile=JIT["jit_compile"])
    distiller = keras_vix.train.compile(Distiller(linear(1), linear(2)), how, steps=10)
    assert set(distiller.train_on_batch(x, y, return_dict=True)) == {"loss", "accuracy", "ce", "label_loss", "teacher_loss"}


def test_a_teacher_that_writes_into_its_images_leaves_those_of_the_student():
    x, _ = numbers()
    preprocess = keras.applications.mobilenet.preprocess_input
    teacher = linear(2)
    images = ops.convert_to_tensor(x)
    out = Distiller(linear(1), teacher, teacher_preprocess=preprocess).teach(images)
    assert np.array_equal(ops.convert_to_numpy(images), x)
    assert close(ops.convert_to_numpy(out), teacher.predict(x / 127.5 - 1, verbose=0))


@pytest.mark.long
def test_a_network_of_keras_applications_teaches():
    """Small gray images to the size, channels and pixel range of the teacher, which gives probabilities."""
    x, y = keras_vix.data.load("digits", limit=20).test
    teacher = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=10)

    def preprocess(images):
        return keras.applications.mobilenet.preprocess_input(ops.concatenate([images] * 3, axis=-1))

    student = keras_vix.build("vit", **SMALL)
    distiller = still(
        Distiller(student, teacher, teacher_output="probabilities", teacher_size=32, teacher_preprocess=preprocess), rate=0.01
    )
    resized = ops.image.resize(ops.cast(x, "float32"), (32, 32), data_format="channels_last")
    expected = teacher.predict(preprocess(resized), verbose=0)
    assert close(np.exp(ops.convert_to_numpy(distiller.teach(ops.cast(x, "float32")))), expected)
    assert np.isfinite(distiller.train_on_batch(x, y, return_dict=True)["loss"])


def test_mixed_precision():
    """The teacher keeps its own policy, and sees pixels in float32, which float16 would round."""
    x, y = keras_vix.data.load("digits", limit=20).test
    x = x.astype("float32") + 0.01
    teacher = convolution()
    keras.config.set_dtype_policy("mixed_float16")
    student = keras_vix.build("vit", **SMALL, **TOKEN)
    distiller = distill(student, teacher, "token", temperature=2.0)
    seen = distiller({"images": ops.convert_to_tensor(x), "labels": ops.convert_to_tensor(y)}, training=True)
    assert close(ops.convert_to_numpy(distiller.teach(seen["images"])), teacher.predict(x, verbose=0))
    pair = keras.Model(student.input, student.get_layer("head").output).predict(x, verbose=0)
    logs = distiller.train_on_batch(x, y, return_dict=True)
    taught = by_hand("token", pair[:, 1], teacher.predict(x, verbose=0), 2.0).mean()
    assert close(logs["teacher_loss"], taught, 1e-3) and np.isfinite(logs["loss"])
    assert student.output.dtype == "float32" and float(ops.convert_to_numpy(distiller.optimizer.dynamic_scale)) >= 1


def test_smoothed_labels_as_rows():
    y = np.array([0, 2, 1])
    logits = np.random.default_rng(0).standard_normal((3, 3)).astype("float32")
    loss = SmoothedCrossentropy(0.1)
    assert close(loss(np.eye(3)[y], logits), float(loss(y, logits)))


def of_two_inputs():
    x, y = keras.Input((SIDE, SIDE, 1)), keras.Input((SIDE, SIDE, 1))
    return keras.Model([x, y], linear(1)(x) + linear(2)(y))


def of_a_map():
    x = keras.Input((SIDE, SIDE, 1))
    return keras.Model(x, keras.layers.Dense(CLASSES)(x))


WRONG = [
    ({"teacher": "teacher"}, TypeError, "teacher='teacher'"),
    ({"student": None}, TypeError, "student=None"),
    ({"student": of_two_inputs()}, ValueError, "`student` must go from one input to logits"),
    ({"student": of_a_map()}, ValueError, "`student` must go from one input to logits"),
    ({"kind": "sof"}, ValueError, "soft"),
    ({"kind": "token"}, ValueError, "head='distilled'"),
    ({"alpha": 1.1}, ValueError, "alpha=1.1"),
    ({"alpha": "half"}, TypeError, "alpha='half'"),
    ({"temperature": 0}, ValueError, "temperature=0"),
    ({"kind": "hard", "temperature": 2.0}, ValueError, "has no `temperature`"),
    ({"kind": "teacher", "alpha": 0.5}, ValueError, "has no `alpha`"),
    ({"teacher_output": "logit"}, ValueError, "logits"),
    ({"teacher_size": (2, 2, 2)}, ValueError, "teacher_size"),
    ({"teacher_preprocess": 3}, TypeError, "teacher_preprocess=3"),
    ({"augment": "flip"}, TypeError, "augment='flip'"),
    ({"mix_labels": True}, ValueError, "mix_labels"),
    ({"mix_labels": "yes"}, TypeError, "mix_labels='yes'"),
]


@pytest.mark.parametrize("change, error, words", WRONG, ids=lambda value: str(value)[:40])
def test_wrong_calls(change, error, words):
    with pytest.raises(error) as caught:
        Distiller(**{"student": linear(1), "teacher": linear(2), **change})
    assert words in str(caught.value)


def test_a_teacher_knows_the_same_classes():
    with pytest.raises(ValueError, match=r"student \(None, 3\), teacher \(None, 4\)"):
        distill(linear(1), linear(2, classes=4))


def test_a_student_does_not_teach_itself():
    model = linear(1)
    with pytest.raises(ValueError, match="another model"):
        distill(model, model)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"head": "distilled"}, "prefix=2 and pool='prefix'"),
        ({"head": "distilled", "pool": "prefix", "prefix": 1}, "prefix=1"),
        ({"head": "distilled", "prefix": 2, "pool": "mean"}, "pool='mean'"),
        ({"pool": "prefix", "prefix": 2}, "head='linear'"),
    ],
)
def test_a_distilled_head_needs_both_tokens(options, words):
    with pytest.raises(ValueError) as caught:
        keras_vix.zoo.configure("vit", **options)
    assert words in str(caught.value)
