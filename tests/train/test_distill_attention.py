"""Attention distillation: errors by hand, what moves and what does not, and that every block learns."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.interop import transfer
from keras_vix.interop.transfer import roles
from keras_vix.train import AttentionDistiller, distill_attention

from ..presets import sampled

JIT = {"jit_compile": keras.config.backend() == "jax"}  # compiling takes longer than all the steps
SIZES = dict(dataset="digits", patch=2, dim=16, depth=2, num_heads=2, mlp_dim=32, compile=False)
KERNELS = {
    "nystrom": dict(kernel="nystrom", m=3),
    "performer": dict(kernel="performer", m=8),
    "linformer": dict(kernel="linformer", m=4, start="pool"),
    "linformer of all layers": dict(kernel="linformer", m=4, share="layer"),
}


def scatter(model, seed=3, scale=0.3):
    """Weights far from their start, so that attention is no mean over the tokens."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + rng.normal(0, scale, weight.shape).astype("float32"))
    return model


def vit(seed=0, **options):
    return keras_vix.build("vit_b16", seed=seed, **SIZES | options)


def couple(kernel="linformer", **options):
    """A student with another kernel and its teacher, whose weights it has."""
    teacher = scatter(vit(**options))
    student = vit(seed=1, **KERNELS.get(kernel, {}) | options)
    transfer(teacher, student)
    return student, teacher


def values(model):
    return {role: np.array(ops.convert_to_numpy(weight)) for role, weight in roles(model).items()}


def changed(model, before):
    return {role for role, value in values(model).items() if not np.array_equal(value, before[role])}


def images(number=96):
    return keras_vix.data.load("digits", limit=number).train


def error(distiller, x):
    return [float(ops.convert_to_numpy(one)) for one in distiller.errors(ops.cast(x, "float32"))]


@pytest.mark.parametrize("options", [{}, {"scale": 0.3}, {"prefix": 0, "pool": "mean", "norm": "post", "final_norm": False}], ids=str)
def test_the_error_is_that_of_numpy(options):
    """With the teacher's input of each block, taken from a model cut there, and the student's own layers."""
    student, teacher = couple("nystrom", **options)
    x = images().x[:10].astype("float32")
    found = error(AttentionDistiller(student, teacher), x)
    for block in range(2):
        name = f"stage0_block{block}_mixer"
        seen = keras.Model(teacher.input, teacher.get_layer(name).input).predict(x, verbose=0)
        outputs = []
        for model in (student, teacher):
            layer = model.get_layer(name)
            y = seen if options.get("norm") == "post" else ops.convert_to_numpy(layer.layer_norm(seen))
            y = ops.convert_to_numpy(layer.inner(y)).astype("float64")
            outputs.append(y * ops.convert_to_numpy(layer.gamma) if "scale" in options else y)
        own, wanted = outputs
        expected = np.mean((own - wanted) ** 2) / np.mean((wanted - wanted.mean((0, 1))) ** 2)
        assert found[block] == pytest.approx(expected, rel=1e-4) and expected > 1e-3


def test_softmax_and_softmax_begin_at_no_error():
    student, teacher = couple("softmax")
    assert max(error(AttentionDistiller(student, teacher, blocks=[0, 1]), images().x)) <= 1e-10
    assert max(error(AttentionDistiller(student, teacher, blocks=[0, 1], through=True), images().x)) <= 1e-10


@pytest.mark.parametrize("kernel", sampled(KERNELS, sample=["performer"]))
def test_every_block_learns_and_nothing_else_moves(kernel):
    student, teacher = couple(kernel)
    x = images()
    own, theirs = values(student), values(teacher)
    before = error(AttentionDistiller(student, teacher), x.x)
    logits = teacher.predict(x.x, verbose=0)
    distance = np.abs(student.predict(x.x, verbose=0) - logits).mean()
    history = distill_attention(student, teacher, x, epochs=8, batch_size=16, learning_rate=3e-3, verbose=0, **JIT).history
    assert set(history) == {"loss", "block0", "block1"} and len(history["loss"]) == 8
    assert np.allclose(history["loss"], np.mean([history["block0"], history["block1"]], axis=0), rtol=1e-4)
    after = error(AttentionDistiller(student, teacher), x.x)
    assert all(a < 0.9 * b for a, b in zip(after, before)), (before, after)
    assert np.abs(student.predict(x.x, verbose=0) - logits).mean() < distance
    assert not changed(teacher, theirs)
    moved = changed(student, own)
    mixers = {role for role, weight in roles(student).items() if "_mixer/mixer/" in role or role == "projection/e"}
    assert moved <= mixers and {role for role in mixers if roles(student)[role].trainable and "key/bias" not in role} <= moved


@pytest.mark.long
def test_the_norm_in_front_is_an_option():
    student, teacher = couple()
    before = values(student)
    distill_attention(student, teacher, images(), batch_size=16, norm=True, verbose=0, **JIT)
    assert {role for role in changed(student, before) if "_mixer/mixer/" not in role} == {
        f"stage0_block{block}_mixer/norm/{name}" for block in range(2) for name in ("gamma", "beta")
    }


@pytest.mark.long
def test_through_the_student_each_block_answers_for_those_before():
    student, teacher = couple("linformer")
    x, before = images(), values(student)
    distiller = AttentionDistiller(student, teacher, through=True)
    first = error(distiller, x.x)
    taps = [keras.Model(model.input, model.get_layer("stage0_block1_ffn").output).predict(x.x, verbose=0) for model in (student, teacher)]
    own, wanted = (tap.astype("float64") for tap in taps)
    assert first[1] == pytest.approx(np.mean((own - wanted) ** 2) / np.mean((wanted - wanted.mean((0, 1))) ** 2), rel=1e-4)
    history = distill_attention(student, teacher, x, epochs=6, batch_size=16, learning_rate=3e-3, through=True, verbose=0, **JIT)
    assert set(history.history) == {"loss", "block0", "block1"}
    assert all(a < 0.9 * b for a, b in zip(error(distiller, x.x), first))
    assert all("_mixer/mixer/" in role for role in changed(student, before))


@pytest.mark.long
def test_blocks_that_are_as_the_teachers_are_left_out():
    student, teacher = couple("softmax")
    dense = student.get_layer("stage0_block1_mixer").inner.query
    dense.kernel.assign(dense.kernel + 0.1)
    before = values(student)
    history = distill_attention(student, teacher, images(), batch_size=32, verbose=0, **JIT).history
    assert set(history) == {"loss", "block1"} and history["loss"] == pytest.approx(history["block1"])
    assert changed(student, before) and all(role.startswith("stage0_block1_mixer/mixer/") for role in changed(student, before))
    assert AttentionDistiller(student, teacher, blocks=[1, 0, 1]).blocks == (0, 1)


@pytest.mark.long
def test_more_than_ten_blocks_keep_their_order():
    student, teacher = couple("linformer", depth=12, dim=4, mlp_dim=4)
    x = images().x[:4].astype("float32")
    alone = [error(AttentionDistiller(student, teacher, blocks=[block]), x)[0] for block in (1, 2, 10, 11)]
    together = error(AttentionDistiller(student, teacher), x)
    assert len(together) == 12 and [together[block] for block in (1, 2, 10, 11)] == pytest.approx(alone, rel=1e-4)
    assert len(set(np.round(alone, 5))) == 4


def sources(x, y):
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, len(x), 16)]
    yield "array", x
    yield "list of pairs", batches
    yield "iterator", iter(batches)
    yield "generator of arrays", (images for images, _ in batches)
    yield "PyDataset", keras_vix.data.batches(keras_vix.data.load("digits", limit=48).train, 16, shuffle=False)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        yield "tf.data", tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # so Keras ends every iterator
def test_images_come_as_arrays_or_batches_with_or_without_labels():
    x, y = images(48)
    student, teacher = couple(depth=1)
    start, found = student.get_weights(), {}
    for name, source in sources(x, y):
        student.set_weights(start)
        history = distill_attention(student, teacher, source, batch_size=16, schedule="constant", shuffle=False, verbose=0, **JIT)
        found[name] = history.history["loss"][0]
    assert found == pytest.approx(dict.fromkeys(found, found["array"]), rel=1e-5)


@pytest.mark.long
def test_validation_callbacks_and_the_students_own_recipe():
    x = images()
    student, teacher = couple()
    keras_vix.train.finetune(student, steps=10)
    optimizer, seen = student.optimizer, []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["val_block1"]))
    history = distill_attention(
        student, teacher, x, epochs=2, batch_size=16, validation_data=x.x[:16], callbacks=[watch], verbose=0, **JIT
    ).history
    assert set(history) == {f"{start}{name}" for start in ("", "val_") for name in ("loss", "block0", "block1")}
    assert seen == history["val_block1"] and student.optimizer is optimizer and student.compiled
    assert history["val_block1"][-1] == pytest.approx(error(AttentionDistiller(student, teacher), x.x[:16])[1], rel=1e-4)


@pytest.mark.long
def test_the_rate_falls_to_zero_over_all_steps():
    student, teacher = couple()
    weights = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: weights.append(student.get_weights()))
    if keras.config.backend() == "jax":
        pytest.skip("within an epoch the weights live in the trainer")
    distill_attention(student, teacher, images(), epochs=2, batch_size=16, callbacks=[watch], verbose=0, **JIT)
    moves = [sum(np.abs(a - b).sum() for a, b in zip(one, other)) for one, other in zip(weights, weights[1:])]
    assert len(moves) == 11 and moves[-1] < 0.1 * max(moves[:4])


@pytest.mark.long
def test_mixed_precision():
    """The student's blocks in half precision beside a teacher in float32."""
    teacher = scatter(vit())
    keras.config.set_dtype_policy("mixed_float16")
    student = vit(seed=1, **KERNELS["nystrom"], scale=None)
    transfer(teacher, student)
    before = error(AttentionDistiller(student, teacher), images().x)
    history = distill_attention(student, teacher, images(), epochs=6, batch_size=16, learning_rate=3e-3, verbose=0, **JIT).history
    assert np.isfinite(history["loss"]).all()
    assert all(a < b for a, b in zip(error(AttentionDistiller(student, teacher), images().x), before))


@pytest.mark.parametrize("preset", sampled(["swin_t", "pit_ti", "cait_xxs24"], sample=[]))
def test_other_families(preset):
    """Windows and stages; layer scale."""
    few = {"swin_t": dict(depth=(1, 2), dim=(8, 16), num_heads=(2, 2), window=2, shift=1), "pit_ti": dict(depth=(1, 1), dim=(8, 16), num_heads=(1, 2))}
    options = dict(dataset="digits", patch=1 if preset != "cait_xxs24" else 2, compile=False, **few.get(preset, dict(depth=2, dim=8, num_heads=2)))
    teacher = scatter(keras_vix.build(preset, **options))
    student = keras_vix.build(preset, **options | dict(kernel="performer", m=6))
    transfer(teacher, student)
    x = images(32).x
    before = error(AttentionDistiller(student, teacher), x)
    distill_attention(student, teacher, x, epochs=6, batch_size=8, learning_rate=3e-3, verbose=0, **JIT)
    assert sum(error(AttentionDistiller(student, teacher), x)) < sum(before)


@pytest.mark.parametrize(
    "student, options, words",
    [
        (dict(depth=3, **KERNELS["linformer"]), {}, "stage0_block2"),
        (dict(patch=4, kernel="linformer", m=2), {}, "(None, 5, 16) and (None, 17, 16)"),
        (dict(dim=8, **KERNELS["linformer"]), {}, "(None, 17, 8)"),
        (KERNELS["linformer"], {"blocks": [2]}, "blocks=2"),
        (KERNELS["linformer"], {"blocks": []}, "no number"),
        ({}, {}, "alike in every block"),
        (dict(mixer="fourier"), {}, "none"),
    ],
    ids=str,
)
def test_what_does_not_fit(student, options, words):
    teacher, student = vit(), vit(**student)
    if words.startswith("alike"):
        transfer(teacher, student)
    with pytest.raises(ValueError) as caught:
        AttentionDistiller(student, teacher, **options)
    assert words in str(caught.value)


def test_what_is_no_model_of_blocks():
    dense = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    with pytest.raises(ValueError, match="no blocks at all|0 and 2 blocks"):
        AttentionDistiller(dense, vit())
    with pytest.raises(TypeError, match="norm='yes'"):
        AttentionDistiller(vit(), vit(), norm="yes")
    with pytest.raises(TypeError, match="teacher=3"):
        AttentionDistiller(vit(), 3)
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\)"):
        distill_attention(*couple(), images().x[0])
