"""The laws, each once, as plain functions of a row of the test table."""

import keras
import numpy as np
from keras import ops

from keras_vix.layers import Attention

BATCH = 3


def inputs(row, seed=0, scale=1.0):
    """Random tensors for a row: one for most parts, three for a kernel, of the row's own scale times `scale`."""
    scale = scale * row.scale
    rng = np.random.default_rng(seed)
    count = 3 if row.axis == "kernel" else 1
    return [(scale * rng.standard_normal((BATCH, *row.shape))).astype("float32") for _ in range(count)]


def run(layer, *args, **kwargs):
    """The output as a float32 NumPy array."""
    return ops.convert_to_numpy(ops.cast(layer(*args, **kwargs), "float32"))


def as_model(layer, arrays, probe=False):
    """A functional model of one layer; with `probe` its inputs pass trainable identities, which show the gradient there."""
    tensors = [keras.Input(x.shape[1:]) for x in arrays]
    seen = [keras.layers.Dense(x.shape[-1], kernel_initializer="identity")(x) for x in tensors] if probe else tensors
    return keras.Model(tensors if len(tensors) > 1 else tensors[0], layer(*seen))


def takes_doubles(row):
    """NumPy's numbers are float64 unless told otherwise; they give what the same numbers in float32 give."""
    layer, arrays = row.make(), inputs(row)
    once = run(layer, *arrays)
    again = run(layer, *(x.astype("float64") for x in arrays))
    np.testing.assert_allclose(again, once, atol=1e-4 * max(1.0, np.abs(once).max()))


def weighting(shape):
    """Fixed random numbers, float32: a sum weighted by them has a gradient that looks at every entry."""
    return np.random.default_rng(9).standard_normal(shape).astype("float32")


def differentiate(function, arrays, dtype="float32"):
    """The output of `function`, and the gradients of its sum, weighted by `weighting`, for each of `arrays`."""

    def total(*tensors):
        out = ops.cast(function(*tensors), "float32")
        return ops.sum(out * ops.convert_to_tensor(weighting(out.shape))), out

    tensors = [ops.convert_to_tensor(x, dtype=dtype) for x in arrays]
    out, gradients = BACKWARD[keras.config.backend()](total, tensors)
    return tuple(ops.convert_to_numpy(ops.cast(x, "float32")) for x in (out, *gradients))


def _tensorflow(total, tensors):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss, out = total(*tensors)
    return out, tape.gradient(loss, tensors)


def _jax(total, tensors):
    import jax

    gradients = jax.grad(total, argnums=tuple(range(len(tensors))), has_aux=True)
    gradients, out = jax.jit(gradients)(*tensors)  # compiled as a whole: operation by operation takes far longer
    return out, gradients


def _torch(total, tensors):
    tensors = [x.detach().requires_grad_() for x in tensors]
    loss, out = total(*tensors)
    loss.backward()
    return out.detach(), [x.grad for x in tensors]


BACKWARD = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def feed(arrays):
    return arrays if len(arrays) > 1 else arrays[0]


def shapes_and_finite(row):
    arrays = inputs(row)
    layer = row.make()
    symbolic = as_model(layer, arrays)
    out = run(layer, *arrays)
    assert symbolic.output.shape[1:] == out.shape[1:] and len(out) == BATCH
    assert np.isfinite(out).all()
    if row.axis in ("mixer", "ffn", "position", "kernel"):
        assert out.shape == arrays[0].shape


def config_is_constructor(row):
    layer = row.make()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert dir(again) == dir(layer)


def survives_a_file(row, tmp_path):
    arrays = inputs(row)
    model = as_model(row.make(), arrays)
    disturb(model)
    model.save(tmp_path / "part.keras")
    again = keras.saving.load_model(tmp_path / "part.keras")
    assert np.array_equal(model.predict(feed(arrays), verbose=0), again.predict(feed(arrays), verbose=0))


def disturb(model, seed=3):
    """Move every trainable weight off its start, so that zeros and ones cannot hide a mistake."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.1 * rng.standard_normal(weight.shape).astype("float32"))


# Weights without a gradient: softmax does not change when the same is added to all keys, a normalisation when to all its inputs.
IDLE = ("key/bias", "mix_scores_bias")
IDLE_NORMED = ("key_norm/beta", "out/bias")


def weights_move(row, jit_compile="auto"):
    """Three steps of plain descent change every trainable weight, and nothing else."""
    arrays = inputs(row)
    model = as_model(row.make(), arrays)
    disturb(model)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    still = [w for w in model.non_trainable_weights if "seed" not in w.path and "moving_" not in w.path]
    fixed = [ops.convert_to_numpy(w) for w in still]
    target = np.random.default_rng(5).standard_normal((BATCH, *model.output.shape[1:])).astype("float32")
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit_compile)
    model.fit(feed(arrays), target, epochs=3, verbose=0)
    for weight, old in zip(model.trainable_weights, before):
        if weight.path.endswith(IDLE + (IDLE_NORMED if row.part.__name__ == "LeViTAttention" else ())):
            continue
        assert not np.array_equal(ops.convert_to_numpy(weight), old), weight.path
    for weight, old in zip(still, fixed):
        assert np.array_equal(ops.convert_to_numpy(weight), old), weight.path


def float16_moves_weights(row):
    """Three steps in mixed_float16 with queries and keys 1, 3 and 10 times as large: 9 of 10 tensors change.

    The inverse of Nyström is steep for large scores; its loss scale needs some steps to come down from Keras' 32,768.
    """
    steps = 12 if row.name.startswith("nystrom") else 3
    keras.config.set_dtype_policy("mixed_float16")
    shape = (64, 16) if row.axis == "kernel" else row.shape
    layer = row.make(dtype="mixed_float16")
    layer = Attention(2, kernel=layer) if row.axis == "kernel" else layer
    tokens = keras.Input(shape)
    features = keras.layers.Dense(shape[-1])(tokens)  # something below that learns, for mixers without weights
    pooled = keras.layers.GlobalAveragePooling1D()(layer(features))
    model = keras.Model(tokens, keras.layers.Dense(3, dtype="float32")(pooled))
    disturb(model)
    start = model.get_weights()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, *shape)).astype("float32"), rng.integers(0, 3, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=keras.config.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
    for gain in (1.0, 3.0, 10.0):
        model.set_weights(start)
        model.optimizer.dynamic_scale.assign(model.optimizer.initial_scale)
        for dense in (getattr(layer, "query", None), getattr(layer, "key", None)):
            if hasattr(dense, "kernel"):
                dense.kernel.assign(gain * ops.convert_to_numpy(dense.kernel))
        before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
        model.fit(x, y, batch_size=8, epochs=steps, verbose=0)
        after = [ops.convert_to_numpy(w) for w in model.trainable_weights]
        assert np.mean([not np.array_equal(new, old) for new, old in zip(after, before)]) >= 0.9, gain
        assert all(np.isfinite(w).all() for w in after), gain
        assert float(ops.convert_to_numpy(model.optimizer.dynamic_scale)) >= 1.0, gain


def keeps_its_precision(row, tmp_path):
    """Saved under one policy and loaded under another, every layer keeps its own; outputs stay close to float32."""
    arrays = inputs(row)
    plain = as_model(row.make(), arrays)
    exact = plain.predict(feed(arrays), verbose=0)
    for policy, tolerance in (("mixed_float16", 2e-2), ("mixed_bfloat16", 1e-1)):
        keras.config.set_dtype_policy(policy)
        layer = type(row.make()).from_config(_with_policy(row.make().get_config(), policy))
        model = as_model(layer, arrays)
        model.set_weights(plain.get_weights())
        model.save(tmp_path / "part.keras")
        keras.config.set_dtype_policy("float32")
        again = keras.saving.load_model(tmp_path / "part.keras")
        assert policies(again) == policies(model)
        assert all(w.dtype == "float32" for w in again.trainable_weights)
        out = again.predict(feed(arrays), verbose=0).astype("float32")
        assert np.abs(out - exact).max() <= tolerance * max(1.0, np.abs(exact).max())


def _with_policy(config, policy):
    """The same configuration with another policy, inner layers included."""
    if isinstance(config, dict):
        return {k: policy if k == "dtype" else _with_policy(v, policy) for k, v in config.items()}
    return config


def policies(model):
    return [layer.dtype_policy.name for layer in model._flatten_layers() if not isinstance(layer, (keras.layers.InputLayer, keras.Model))]


def inference_is_deterministic(row):
    layer, arrays = row.make(), inputs(row)
    layer(*arrays)
    assert np.array_equal(run(layer, *arrays), run(layer, *arrays))
    if not row.claim("batch"):
        assert np.array_equal(run(layer, *arrays, training=True), run(layer, *arrays, training=False))


def dropout_drops(row):
    """With a rate, training is random and inference is not."""
    arrays = inputs(row)
    model = as_model(row.make(), arrays)
    model(feed(arrays))
    first, second = (ops.convert_to_numpy(model(feed(arrays), training=True)) for _ in range(2))
    still = [ops.convert_to_numpy(model(feed(arrays), training=False)) for _ in range(2)]
    assert not np.array_equal(first, second)
    assert np.array_equal(*still)


def permutes(row):
    """`f(P x) = P f(x)` where it is claimed; where it is not, the order of the tokens matters."""
    arrays, layer = inputs(row), row.make()
    order = np.random.default_rng(1).permutation(row.shape[-2])
    layer(*arrays)
    here = run(layer, *arrays)[..., order, :]
    there = run(layer, *(x[..., order, :] for x in arrays))
    equal = np.abs(here - there).max() <= 1e-5
    assert equal == row.claim("permutes")


def constants_stay(row):
    """Values that are all alike come out as they went in, at any scale of queries and keys."""
    layer = row.make()
    for scale in (0.1, 1.0, 8.0, 100.0):
        q, k, v = inputs(row, scale=scale)
        out = run(layer, q, k, np.full_like(v, 1.0))
        assert np.abs(out - 1.0).max() <= 1e-5, scale


def constants_pass_mixers(row):
    """With values that are all `c`, and nothing done to the output, every token gives `c`: padding weighs nothing."""
    (x,) = inputs(row)
    layer = row.make()
    layer(x)
    disturb(layer)
    inner = layer.value.kernel.shape[-1]
    layer.value.set_weights([np.zeros((x.shape[-1], inner), "float32"), np.full(inner, 3.0, "float32")])
    layer.out.set_weights([np.eye(inner, dtype="float32"), np.zeros(inner, "float32")])
    assert np.abs(run(layer, x) - 3.0).max() <= 3e-5


def constants_stay_in_low_precision(row):
    for policy, tolerance in (("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)):
        layer = row.make(dtype=policy)
        for scale in (0.1, 1.0, 8.0):
            q, k, v = (ops.cast(x, layer.compute_dtype) for x in inputs(row, scale=scale))
            assert np.abs(run(layer, q, k, ops.ones_like(v)) - 1.0).max() <= tolerance, (policy, scale)


def low_precision_is_close(row):
    """With inputs that float16 or bfloat16 hold exactly, the result is the float32 one, rounded."""
    plain = row.make()
    arrays = inputs(row)
    plain(*arrays)
    for policy, tolerance in (("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)):
        layer = row.make(dtype=policy)
        rounded = [ops.cast(x, layer.compute_dtype) for x in arrays]
        layer(*rounded)
        layer.set_weights(plain.get_weights())
        exact = run(plain, *(ops.cast(x, "float32") for x in rounded))
        assert np.abs(run(layer, *rounded) - exact).max() <= tolerance * max(1.0, np.abs(exact).max()), policy


SCALES = (0.0, 1e-8, 1e-4, 1.0, 3.0, 10.0, 1e2, 1e3, 1e4)
LENGTHS = (1, 2, 7, 16, 49, 64, 65, 196, 197, 1024)


def finite_at_any_length(row, policy):
    """Output and gradients are finite for every number of tokens; sample `i` of the batch has scale `SCALES[i]`."""
    lengths = LENGTHS if policy == "float32" else LENGTHS[1::4]
    for tokens in lengths[1::4] if keras.config.backend() == "jax" else lengths:  # JAX compiles anew for every length
        fit = {"m": lambda m: m and min(m, tokens), "chunk": lambda chunk: max(chunk, tokens // 3)}
        layer = row.make(dtype=policy, **{name: fit[name](row.options[name]) for name in fit if name in row.options})
        heads, _, width = row.shape
        q, k, v = np.random.default_rng(tokens).standard_normal((3, len(SCALES), heads, tokens, width))
        # with keys of 1e4 the true gradient of a query can exceed 65,504, which no island helps
        top = 1e3 if policy == "mixed_float16" else 1e4
        scale = np.reshape(np.minimum(SCALES, top), (-1, 1, 1, 1)) * row.scale
        arrays = [x.astype("float32") for x in (scale * q, scale * k, v)]
        layer.build(*(x.shape for x in arrays))
        found = differentiate(layer, arrays, layer.compute_dtype)
        assert all(np.isfinite(x).all() for x in found), tokens


def equal_tokens_stay_equal(row):
    """All tokens alike, at every value from 0 to 1,000, one a sample: outputs alike, and gradients finite."""
    values = np.reshape([0.0, 1.0, 10.0, 1e3], (-1, *[1] * len(row.shape))).astype("float32")
    arrays = [np.broadcast_to(values, (4, *row.shape)) for _ in inputs(row)]
    layer = row.make()
    layer(*arrays)
    out, *gradients = differentiate(layer, arrays)
    assert (np.abs(out - out[..., :1, :]) <= 1e-5 * np.maximum(1.0, values)).all()
    assert np.isfinite(out).all() and all(np.isfinite(x).all() for x in gradients)


def masked_equals_shortened(row):
    """Masked keys at the end change nothing: output and gradients are those of the sequence without them."""
    arrays, layer = inputs(row), row.make()
    keep = row.shape[-2] - 3
    mask = ops.convert_to_tensor(np.arange(row.shape[-2]) < keep)[None, None]
    short = [arrays[0], *(x[..., :keep, :] for x in arrays[1:])]
    layer(*arrays)
    whole = differentiate(lambda *x: layer(*x, mask=mask), arrays)
    for found, expected in zip(whole, differentiate(layer, short)):
        tokens = expected.shape[-2]
        assert np.abs(found[..., :tokens, :] - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
        assert not found[..., tokens:, :].any()


def masked_is_absent(row):
    """A masked token may hold anything; the result is that of the sequence without it."""
    arrays, layer = inputs(row), row.make()
    tokens = row.shape[-2]
    mask = np.ones((BATCH, tokens), bool)
    mask[:, tokens - 3 :] = False
    mask[0, 2] = False
    shape = mask[:, None, :] if row.axis == "kernel" else mask
    layer(*arrays)
    clean = run(layer, *arrays, mask=shape)
    dirty = [x.copy() for x in arrays]
    for x in dirty[1:] or dirty:
        np.moveaxis(x, -2, 1)[~mask] = 1e4
    spoilt = run(layer, *dirty, mask=shape)
    seen = np.moveaxis(np.abs(spoilt - clean), -2, 1)[mask]
    assert seen.max() <= 1e-5


def nothing_left_is_zero(row):
    """With every key masked the kernel gives 0, without a NaN."""
    arrays, layer = inputs(row), row.make()
    mask = np.ones((BATCH, 1, row.shape[-2]), bool)
    mask[1] = False
    out = run(layer, *arrays, mask=mask)
    assert np.array_equal(out[1], np.zeros_like(out[1])) and np.isfinite(out).all()


def samples_are_independent(row):
    """Sample 0 alone is sample 0 among seven others, ordinary ones, ones scaled by 1,000 and ones that hold NaN."""
    arrays, layer = inputs(row), row.make()
    alone = run(layer, *(x[:1] for x in arrays))[0]
    assert np.isfinite(alone).all()
    for change in (1.0, 1e3, np.nan):
        mates = [np.concatenate([x[:1], *[x[1:] * np.float32(change)] * 4])[:8] for x in arrays]
        assert np.abs(run(layer, *mates)[0] - alone).max() <= 1e-5 * max(1.0, np.abs(alone).max()), change


def stays_sharp(row, softmax):
    """Queries and keys of deviations 0.5 to 3: the output is at least 0.3 times as far from the mean of the values as exact attention's.

    The published stabiliser of random features gives the mean itself from a deviation of 2 on.
    """
    for deviation in (0.5, 1.0, 2.0, 3.0):
        q, k, v = np.random.default_rng(0).standard_normal((3, 4, 2, 64, 16)).astype("float32")
        q, k, mean = deviation * q, deviation * k, v.mean(axis=-2, keepdims=True)
        layer = row.make(**{"m": 32} if row.options.get("m") else {})
        far, exact = (np.linalg.norm(run(kernel, q, k, v) - mean) for kernel in (layer, softmax))
        assert far >= 0.3 * exact, deviation


def no_number_shows(row):
    """NaN in the first and last entry of sample 0 shows in what comes of it, and nowhere else; so with infinities, and tiny numbers are numbers."""
    arrays, layer = inputs(row), row.make()
    clean = run(layer, *arrays)
    for value in (np.nan, np.inf, -np.inf):
        for place in range(len(arrays)):
            spoilt = [x.copy() for x in arrays]
            for corner in (0, -1):
                spoilt[place][(0, *[corner] * len(row.shape))] = value
            out = run(layer, *spoilt)
            assert np.abs(out[1:] - clean[1:]).max() <= 1e-5 * max(1.0, np.abs(clean).max()), value
            if np.isnan(value):
                lost = keras.config.backend() == "tensorflow" and row.claim("pools")  # TensorFlow's maximum of NaN and 1 is 1
                assert np.isnan(out[0]).any() or lost, f"NaN in input {place} is lost"
    for value in (1e-40, -0.0):
        assert np.isfinite(run(layer, *(np.full_like(x, value) for x in arrays))).all(), value


def batch_permutes(row):
    """Samples in another order give the same results in that order."""
    arrays, layer = inputs(row), row.make()
    out = run(layer, *arrays)
    moved = run(layer, *(x[[2, 0, 1]] for x in arrays))
    assert np.abs(moved - out[[2, 0, 1]]).max() <= 1e-6 * max(1.0, np.abs(out).max())


def queries_are_independent(row):
    """Fewer queries than keys give the same rows of the result, except where landmarks of the queries matter."""
    arrays, layer = inputs(row), row.make()
    few = [arrays[0][..., :5, :], *(arrays[1:] or arrays[:1])]
    out = run(layer, *few)
    assert out.shape == few[0].shape
    whole = run(layer, *(arrays if row.axis == "kernel" else arrays * 2))
    equal = np.abs(out - whole[..., :5, :]).max() <= 1e-5
    assert equal == ("nystrom" not in row.name)


def finite_at_any_scale(row):
    """Outputs and gradients are finite for inputs from 0 to 1e4."""
    model = as_model(row.make(), inputs(row), probe=True)
    model.compile(keras.optimizers.SGD(1e-12), "mean_absolute_error")
    target = np.zeros((BATCH, *model.output.shape[1:]), "float32")
    for scale in (0.0, 1e-8, 1.0, 10.0, 1e2, 1e3, 1e4):
        arrays = inputs(row, scale=scale)
        model.fit(feed(arrays), target, verbose=0)
        assert np.isfinite(model.predict(feed(arrays), verbose=0)).all(), scale
        assert all(np.isfinite(ops.convert_to_numpy(w)).all() for w in model.weights), scale


def equals_exact_attention(row, softmax):
    """Relative to the values, 1e-5 for an identity and 2e-3 for an inverse by iteration."""
    tolerance = 2e-3 if "iterations" in row.exact_at else 1e-5
    for scale in (0.01, 0.1, 1.0, 3.0, 10.0):
        q, k, v = inputs(row, scale=scale)
        v = v / np.float32(scale)
        exact = run(softmax, q, k, v)
        assert np.abs(run(row.make(**row.exact_at), q, k, v) - exact).max() <= tolerance * np.abs(v).max(), scale


def compiled_equals_eager(row):
    arrays = inputs(row)
    model = as_model(row.make(), arrays)
    disturb(model)
    eager = ops.convert_to_numpy(model(feed(arrays)))
    for jit_compile in (True, False):
        model.compile(loss="mse", jit_compile=jit_compile)
        assert np.abs(model.predict(feed(arrays), verbose=0) - eager).max() <= 1e-5 * max(1.0, np.abs(eager).max())


def gradient_is_the_slope(row):
    """Along a random direction the written gradient is the slope of the output, by differences of two lengths."""
    arrays, layer = inputs(row), row.make()
    layer(*arrays)
    disturb(layer)
    _, *gradients = differentiate(layer, arrays)
    ways = [np.random.default_rng(40 + i).standard_normal(x.shape).astype("float32") for i, x in enumerate(arrays)]

    def slope(step):
        ends = [run(layer, *(x + sign * step * way for x, way in zip(arrays, ways))).astype("float64") for sign in (1, -1)]
        return np.sum(weighting(ends[0].shape) * (ends[0] - ends[1])) / (2 * step)

    expected = (4 * slope(5e-3) - slope(1e-2)) / 3  # Richardson: the error of second order is gone
    found = sum(np.sum(g.astype("float64") * way) for g, way in zip(gradients, ways))
    size = np.sqrt(sum(np.sum(np.square(g, dtype="float64")) for g in gradients))
    assert size > 0 and abs(found - expected) <= 2e-3 * size, (found, expected, size)
