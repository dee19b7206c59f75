"""A rate for each weight: sizes of real steps, frozen bits, decay at the weight's own rate, and a file that goes on."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.interop.transfer import roles
from keras_vix.train import LayerwiseAdamW, Recipe, compile, layer_rates
from keras_vix.train.rates import LAYERWISE, depths

from ..presets import sampled

JIT = {"jit_compile": keras.config.backend() == "jax"}  # compiling takes longer than all the steps
TORCH = keras.config.backend() == "torch"
SAME = partial(np.allclose, rtol=1e-6, atol=1e-6) if TORCH else np.array_equal  # its own loop rounds in another order
SIZES = dict(dataset="digits", patch=4, dim=8, depth=2, num_heads=2, mlp_dim=16, compile=False)
RATES = (("head/*", 1.0), ("stage0_block1_mixer/mixer/query/kernel", 3.0), ("stage0_block1_*", 0.5), ("*", 0.01))
STEPS = 6


def small(seed=0, **options):
    """A ViT whose weights are far from their start."""
    keras.utils.set_random_seed(seed)
    model = keras_vix.build("vit_b16", **SIZES | options)
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + rng.normal(0, 0.1, weight.shape).astype("float32"))
    return model


def values(model):
    return {role: np.array(ops.convert_to_numpy(weight)) for role, weight in roles(model).items()}


def batches(steps=STEPS, size=8):
    x, y = keras_vix.data.load("digits", limit=2 * steps * size).train  # of which some are kept for validation
    return [(x[i : i + size], y[i : i + size]) for i in range(0, steps * size, size)]


def train(model, data):
    for x, y in data:
        model.train_on_batch(x, y)


def variables(value, names=("first", "second")):
    """Two matrices of one number, as a model would name them."""
    made = []
    for name in names:
        with keras.name_scope(name):
            made.append(keras.Variable(np.full((2, 3), value, "float32"), name="kernel"))
    return made


def apply(optimizer, gradients, weights):
    """One step outside a model, as each backend wants it."""
    if keras.config.backend() == "jax":
        optimizer.build(weights)
        weights_after, state = optimizer.stateless_apply(
            [v.value for v in optimizer.variables], gradients, [w.value for w in weights]
        )
        for variable, value in zip([*weights, *optimizer.variables], [*weights_after, *state]):
            variable.assign(value)
    elif TORCH:
        import torch

        with torch.no_grad():
            optimizer.apply(gradients, weights)
    else:
        optimizer.apply(gradients, weights)


def constants(*numbers):
    return [ops.convert_to_tensor(np.full((2, 3), number, "float32")) for number in numbers]


@pytest.mark.parametrize("factor", [1.0, 0.1, 0.3**7, 3.0, 0.0])
@pytest.mark.parametrize("kind", LAYERWISE)
def test_a_step_from_zero_is_the_factor_of_the_plain_one(kind, factor):
    """From 0 nothing is rounded away, so the ratio of two steps is exact."""
    extra = {"momentum": 0.9} if kind == "sgd" else {}
    (plain,), (one, other) = variables(0.0, ["first"]), variables(0.0)
    apply(LAYERWISE[kind].__mro__[2](learning_rate=1e-2, **extra), constants(0.7), [plain])
    apply(LAYERWISE[kind](learning_rate=1e-2, rates={"second/*": factor}, **extra), constants(0.7, 0.7), [one, other])
    plain, one, other = (np.array(ops.convert_to_numpy(v), "float64") for v in (plain, one, other))
    assert np.all(plain < 0) and SAME(one, plain)
    assert np.abs(other - factor * plain).max() <= 1e-6 * np.abs(factor * plain).max()


def test_decay_follows_the_rate():
    """Without a gradient decay alone acts: w (1 - factor * rate * decay)."""
    one, other = variables(1.0)
    apply(LayerwiseAdamW(0.8, weight_decay=0.5, rates={"second/*": 0.25}), constants(0.0, 0.0), [one, other])
    assert np.allclose(ops.convert_to_numpy(one), 0.6, rtol=1e-6) and np.allclose(ops.convert_to_numpy(other), 0.9, rtol=1e-6)


@pytest.mark.long
def test_every_weight_of_a_model_takes_its_share_of_the_plain_step():
    """Up to the rounding of the weights themselves, once for each of two differences."""
    plain, other = small(), small()
    how = Recipe(learning_rate=1e-2, weight_decay=0.1, **JIT)
    compile(plain, how)
    compile(other, how, layerwise={"rates": RATES})
    before = values(plain)
    for model in (plain, other):
        train(model, batches(1))
    own, theirs = values(other), values(plain)
    for role, start in before.items():
        factor = next(f for p, f in RATES if role == p or role.startswith(p.rstrip("*")))
        step, expected = own[role].astype("float64") - start, factor * (theirs[role].astype("float64") - start)
        rounding = 1.2e-7 * np.maximum(np.abs(start), np.abs(own[role])) * max(1.0, factor) * 2
        assert np.all(np.abs(step - expected) <= 1e-6 * np.abs(expected) + rounding), role
        assert np.any(theirs[role] != start), role


@pytest.mark.long
def test_with_all_factors_1_it_is_keras_own():
    """Decay spares the same weights, too.

    The gradient of a key's bias is 0 but for rounding, of which Adam makes a step: torch, which rounds in another order, goes without.
    """
    plain, other = small(qkv_bias=not TORCH), small(qkv_bias=not TORCH)
    how = Recipe(learning_rate=1e-2, weight_decay=0.5, clip_norm=1.0, schedule="cosine", warmup=0.3, **JIT)
    compile(plain, how, STEPS)
    compile(other, how, STEPS, layerwise={})
    for model in (plain, other):
        train(model, batches())
    assert all(map(SAME, values(plain).values(), values(other).values()))


BLOCK = "stage0_block1_mixer/mixer"
NEW = ("head/*", "stage0_block1_mixer/mixer/*")


@pytest.mark.parametrize(
    "options",
    sampled([
        {},
        {"clip_norm": 0.1, "decay_all": True},
        {"ema": 0.5},
        {"optimizer": "sgd"},
        {"optimizer": "adam", "jit_compile": not TORCH},
        {"optimizer": "lion", "learning_rate": 1e-3},
    ], sample=[{}]),
    ids=str,
)
def test_frozen_weights_keep_every_bit_and_then_move(options):
    model = small()
    how = Recipe(**{"learning_rate": 1e-2, "weight_decay": 0.5, **JIT, **options})
    compile(model, how, layerwise={"new": NEW, "frozen_steps": 4})
    before, data = values(model), batches()
    train(model, data[:4])
    fresh, blind = {role for role in before if role.startswith(("head/", "stage0_block1_mixer/mixer/"))}, "key/bias"  # softmax is
    after = values(model)
    assert {role for role in before if not np.array_equal(before[role], after[role])} - {f"{BLOCK}/{blind}"} == fresh - {f"{BLOCK}/{blind}"}
    train(model, data[4:])
    still = {role for role, value in values(model).items() if np.array_equal(before[role], value)}
    assert {role.split("/", 1)[1] for role in still} <= {"mixer/key/bias"}  # softmax does not see it


def test_what_the_optimizer_knows_of_frozen_weights_goes_on():
    """The first step of a frozen weight is that of an optimizer that has seen all gradients: no jump."""
    weight, still = variables(0.0)
    optimizer = LayerwiseAdamW(1e-2, weight_decay=0.0, new=("first/*",), frozen_steps=3)
    for gradient in (5.0, -1.0, 0.5, 0.25):
        apply(optimizer, constants(gradient, gradient), [weight, still])
    m = v = 0.0
    for step, gradient in enumerate((5.0, -1.0, 0.5, 0.25), 1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
    expected = -1e-2 * (m / (1 - 0.9**step)) / np.sqrt(v / (1 - 0.999**step))
    assert np.allclose(ops.convert_to_numpy(still), expected, rtol=1e-4)


@pytest.mark.long
def test_with_accumulated_gradients_an_update_counts_by_its_first_batch():
    model = small()
    model.compile(
        LayerwiseAdamW(1e-2, new=NEW, frozen_steps=3, gradient_accumulation_steps=2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **JIT,
    )
    before, data, role = values(model), batches(), "stage0_block0_mixer/mixer/query/kernel"
    moved = []
    for batch in data:
        train(model, [batch])
        after = values(model)
        moved.append([not np.array_equal(before[name], after[name]) for name in ("head/logits/kernel", role)])
    assert [each[1] for each in moved] == [False] * 5 + [True]  # updates begin with batches 0, 2 and 4
    assert [each[0] for each in moved] == [False] + [True] * 5


@pytest.mark.long
def test_mixed_precision_scales_the_loss_round_it():
    keras.config.set_dtype_policy("mixed_float16")
    model = small()
    compile(model, Recipe(learning_rate=1e-3, **JIT), layerwise={"rates": RATES, "new": NEW, "frozen_steps": 2})
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before, data = values(model), batches()
    train(model, data[:2])
    frozen = [role for role in before if not role.startswith(("head/", "stage0_block1_mixer/mixer/"))]
    after = values(model)
    assert all(np.array_equal(before[role], after[role]) for role in frozen)
    train(model, data[2:])
    after = values(model)
    assert sum(not np.array_equal(before[role], after[role]) for role in frozen) >= 0.9 * len(frozen)


@pytest.mark.long
@pytest.mark.skipif(TORCH, reason="torch compiles nothing")
def test_one_compiled_step_serves_frozen_and_moving_weights(monkeypatch):
    calls, own = [], LayerwiseAdamW.update_step
    monkeypatch.setattr(LayerwiseAdamW, "update_step", lambda self, *args: calls.append(1) or own(self, *args))
    model = small()
    compile(model, Recipe(learning_rate=1e-2, **JIT), layerwise={"new": NEW, "frozen_steps": 3})
    data = batches()
    train(model, data[:2])  # JAX traces a second time where the first step leaves arrays of another kind
    traced = len(calls)
    train(model, data[2:])
    assert traced >= len(model.trainable_weights) and len(calls) == traced


@pytest.mark.parametrize("frozen", sampled([2, 5], sample=[]))
def test_a_file_goes_on_where_it_stopped(tmp_path, frozen):
    options = {"rates": RATES, "new": NEW, "frozen_steps": frozen}
    how = Recipe(learning_rate=1e-2, weight_decay=0.3, clip_norm=1.0, ema=0.9, schedule="cosine", warmup=0.2, **JIT)
    one, other = compile(small(), how, STEPS, options), compile(small(), how, STEPS, options)
    data = batches()
    train(one, data)
    train(other, data[:3])
    other.save(tmp_path / "half.keras")
    other = keras_vix.load(tmp_path / "half.keras")
    assert isinstance(other.optimizer, LayerwiseAdamW)
    config, own = other.optimizer.get_config(), one.optimizer.get_config()
    assert {name: value for name, value in config.items() if name != "name"} == {n: v for n, v in own.items() if n != "name"}
    assert [tuple(pair) for pair in config["rates"]] == list(RATES)
    train(other, data[3:])
    assert all(map(np.array_equal, values(one).values(), values(other).values()))


def test_depths_of_blocks_stages_and_what_stands_round_them():
    model = small()
    found = depths(roles(model))
    assert {role.split("/")[0]: depth for role, depth in found.items()} == {
        "patch_embedding": 3, "prefix": 3, "position": 3, "stage0_block0_mixer": 2, "stage0_block0_ffn": 2,
        "stage0_block1_mixer": 1, "stage0_block1_ffn": 1, "norm": 0, "head": 0,
    }  # fmt: skip
    names = [f"stage{s}_block{b}_ffn/x" for s, b in ((0, 0), (0, 10), (0, 2), (1, 0))] + ["stage1_reduce/x", "projection/e"]
    assert list(depths(names).values()) == [4, 2, 3, 1, 1, 5]
    with pytest.raises(ValueError, match="stage0_block0"):
        depths(["dense/kernel"])


def test_rates_of_layers():
    model = small(kernel="linformer", m=3)
    e = "stage0_block0_mixer/mixer/kernel/e"
    rates, fresh = layer_rates(model, ["head/*", e], layer_decay=0.5, new_rate=2.0)
    assert set(fresh) == {e, *(role for role in rates if role.startswith("head/"))}
    assert rates[e] == rates["head/logits/kernel"] == 2.0
    assert rates["stage0_block0_mixer/mixer/kernel/f"] == pytest.approx(0.1 * 0.5**2)
    assert rates["stage0_block1_ffn/norm/gamma"] == pytest.approx(0.1 * 0.5)
    assert rates["position/table"] == pytest.approx(0.1 * 0.5**3) and rates["norm/gamma"] == pytest.approx(0.1)
    assert set(layer_rates(model)[0].values()) == {1.0}  # nothing is new
    assert set(rates) == {role for role, weight in roles(model).items() if weight.trainable}


WRONG = [
    ({"rates": {"": 0.1}}, TypeError, "rates"),
    ({"rates": {"*": -1}}, ValueError, "-1"),
    ({"rates": {"*": "fast"}}, TypeError, "fast"),
    ({"new": 3}, TypeError, "new=3"),
    ({"new": [None]}, TypeError, "None"),
    ({"frozen_steps": -1}, ValueError, "frozen_steps=-1"),
    ({"frozen_steps": 1.5}, TypeError, "frozen_steps=1.5"),
    ({"decay_all": 1}, TypeError, "decay_all=1"),
]


@pytest.mark.parametrize("options, error, words", WRONG, ids=str)
def test_wrong_options(options, error, words):
    with pytest.raises(error) as caught:
        LayerwiseAdamW(1e-3, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("options", [{"rates": {"secnod/*": 0.1}}, {"new": ["secnod/kernel"]}])
def test_a_pattern_that_matches_nothing(options):
    optimizer = LayerwiseAdamW(1e-3, **options)
    with pytest.raises(ValueError, match="secnod.*Did you mean 'second/kernel'"):
        optimizer.build(variables(0.0))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"new": ["haed/*"]}, "haed"),
        ({"layer_decay": 0.0}, "layer_decay=0.0"),
        ({"layer_decay": 1.1}, "layer_decay=1.1"),
        ({"new_rate": -1.0}, "new_rate=-1.0"),
        ({"old_rate": float("nan")}, "old_rate=nan"),
    ],
)
def test_wrong_rates(options, words):
    with pytest.raises(ValueError) as caught:
        layer_rates(small(), **options)
    assert words in str(caught.value)
