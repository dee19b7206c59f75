"""Another attention in the same model: which weights go where, and what is the same function."""

import random

import keras
import numpy as np
import pytest

from keras_vix import build, load, swap_mixer
from keras_vix.interop import Report, transfer
from keras_vix.interop.transfer import roles
from keras_vix.kernels import KERNELS, Linformer, Nystrom, Performer, Softmax
from keras_vix.layers import AtrousAttention, Attention, LocalWindowAttention2D, Prefix, Residual, Tokens
from keras_vix.train.losses import SmoothedCrossentropy

TOKENS, DIM = 16, 8
# What each kernel has of its own, by hand.
KINDS = {
    "softmax": ("softmax", {}, ()),
    "positive": ("performer", {"m": 4, "features": "positive"}, ("projection", "draws")),
    "relu": ("performer", {"m": 4, "features": "relu"}, ("projection", "draws")),
    "exp": ("performer", {"m": None, "features": "exp"}, ()),
    "linformer": ("linformer", {"m": 4, "share": "head"}, ("e", "f")),
    "one projection": ("linformer", {"m": 4, "share": "kv"}, ("e",)),
    "nystrom": ("nystrom", {"m": 4, "convolution": None}, ()),
    "convolution": ("nystrom", {"m": 4, "convolution": 3}, ("residual",)),
    "lsa": ("lsa", {}, ("scale",)),
    "talking heads": ("talking_heads", {"mix_bias": True, "learned_scale": False}, ("mix_scores", "mix_weights", "mix_scores_bias", "mix_weights_bias")),
    "talking, scaled": ("talking_heads", {"mix_bias": False, "learned_scale": True}, ("scale", "mix_scores", "mix_weights")),
}
PROJECTIONS = tuple(f"{layer}/{name}" for layer in ("query", "key", "value", "out") for name in ("kernel", "bias"))
SIZES = {"dataset": "cifar10", "patch": 8, "dim": 16, "depth": 2, "num_heads": 2}


def scatter(model, seed=3):
    """Values far from every start; variances stay positive, and counts count."""
    draw = np.random.default_rng(seed)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        if value.dtype.kind in "iu":
            weight.assign(value + 5)
        else:
            value = value + 0.3 * draw.standard_normal(value.shape)
            weight.assign(np.abs(value) + 0.1 if weight.name == "moving_variance" else value)
    return model


def values(model):
    return {role: keras.ops.convert_to_numpy(weight) for role, weight in roles(model).items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[role], b[role]) for role in a)


def vit(**options):
    return scatter(build("vit_b16", compile=False, **SIZES | options))


def bare(kernel=None, **options):
    """Somebody's model of one attention layer."""
    x = keras.Input((TOKENS, DIM))
    return scatter(keras.Model(x, Attention(2, kernel=kernel, name="mix", **options)(x)))


def pixels(rows=32, columns=32):
    return np.random.default_rng(0).uniform(0, 255, (2, rows, columns, 3)).astype("float32")


def predict(model, x=None):
    """The answers, computed at once: compiling takes longer than these models."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(pixels() if x is None else x))


def count(model):
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


def mixers(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, (Attention, AtrousAttention, LocalWindowAttention2D))]


def test_softmax_to_softmax_is_the_same_to_the_last_bit():
    model = vit()
    before = values(model)
    new, report = swap_mixer(model, "softmax")
    assert new is not model and not {id(layer) for layer in new.layers} & {id(layer) for layer in model.layers}
    assert report == Report(tuple(before), (), (), ()) and list(roles(new)) == list(before)
    assert same(values(new), before) and np.array_equal(predict(new), predict(model))
    assert [layer.name for layer in new.layers] == [layer.name for layer in model.layers] and new.name == model.name
    scatter(new, seed=4)
    assert same(values(model), before)


@pytest.mark.parametrize("source", KINDS)
def test_every_pair_of_kernels_reports_what_goes_where(source):
    name, options, had = KINDS[source]
    model = bare(KERNELS[name](name="kernel", **options))
    before = values(model)
    assert set(before) == {f"mix/{role}" for role in PROJECTIONS} | {f"mix/kernel/{own}" for own in had}
    for target, (wanted, asked, has) in KINDS.items():
        asked = {"m": None} | asked
        if wanted == name == "performer" and target == "exp" != source:
            continue  # from a Performer `m=None` means its own
        new, report = swap_mixer(model, wanted, **asked)
        after = values(new)
        assert type(new.get_layer("mix").kernel) is KERNELS[wanted]
        expected = {f"mix/{role}" for role in PROJECTIONS} | {f"mix/kernel/{own}" for own in set(had) & set(has)}
        assert set(report.copied) == expected and len(report.copied) == len(expected), target
        assert set(report.new) == {f"mix/kernel/{own}" for own in set(has) - set(had)}, target
        assert set(report.skipped) == {f"mix/kernel/{own}" for own in set(had) - set(has)}, target
        assert report.interpolated == () and set(report.copied) | set(report.new) == set(after)
        assert all(np.array_equal(after[role], before[role]) for role in report.copied)
        assert np.isfinite(predict(new, np.ones((1, TOKENS, DIM)))).all()
    assert same(values(model), before)


def test_a_kernel_of_another_rank_or_draw_starts_anew():
    model = bare(Performer(4, seed=1, name="kernel"))
    for options in ({"m": 6}, {"length": "sqrt"}, {"projection": "iid"}):
        new, report = swap_mixer(model, "performer", **options)
        assert report.new == report.skipped == ("mix/kernel/projection", "mix/kernel/draws")
        assert int(values(new)["mix/kernel/draws"]) == 0
    _, report = swap_mixer(bare(Linformer(4)), "linformer", m=6)
    assert report.new == report.skipped == ("mix/linformer/e", "mix/linformer/f")


def test_a_kernel_of_the_same_class_keeps_its_arguments():
    model = bare(Nystrom(4, iterations=3, convolution=5, dropout=0.1))
    kernel = swap_mixer(model, "nystrom", m=8)[0].get_layer("mix").kernel
    assert (kernel.m, kernel.iterations, kernel.convolution, kernel.dropout) == (8, 3, 5, 0.1)
    kernel = swap_mixer(model, "performer", m=8)[0].get_layer("mix").kernel
    assert (kernel.m, kernel.features, kernel.dropout) == (8, "positive", 0.1)


@pytest.mark.parametrize(
    ("kernel", "options", "new"),
    [
        ("performer", {"m": 4}, ("kernel/projection", "kernel/draws")),
        ("performer", {"features": "relu"}, ()),
        ("linformer", {"m": 4}, ("kernel/e", "kernel/f")),
        ("nystrom", {"m": 4}, ()),
        ("lsa", {}, ("kernel/scale",)),
        ("talking_heads", {"mix_bias": False}, ("kernel/mix_scores", "kernel/mix_weights")),
    ],
)
def test_a_zoo_model_gets_what_build_and_transfer_give(kernel, options, new):
    model = vit()
    swapped, report = swap_mixer(model, kernel, seed=1, **options)
    extra = {"start": "pool"} if kernel == "linformer" else {"m": None} if options == {"features": "relu"} else {}
    built = build("vit_b16", compile=False, kernel=kernel, **SIZES | options | extra)
    assert transfer(model, built) == report
    assert report.new == tuple(f"stage0_block{block}_mixer/mixer/{name}" for block in range(2) for name in new)
    transfer(swapped, built)
    assert np.array_equal(predict(swapped), predict(built))


def test_a_linformer_of_all_tokens_is_exact_attention():
    model = vit()
    new, _ = swap_mixer(model, "linformer", m=17, start="identity")
    assert np.abs(predict(new) - predict(model)).max() <= 1e-5
    start = keras.ops.convert_to_numpy(mixers(swap_mixer(model, "linformer", m=4)[0])[0].kernel.e)
    assert np.allclose(start.sum(1), 1) and (np.count_nonzero(start, axis=0) == 1).all()  # means of runs


def test_a_nystrom_of_all_tokens_is_exact_attention():
    model = vit()
    assert np.abs(predict(swap_mixer(model, "nystrom", m=17)[0]) - predict(model)).max() <= 2e-3


def test_talking_heads_start_by_saying_nothing():
    model = vit()
    new, report = swap_mixer(model, "talking_heads")
    assert len(report.new) == 8 and np.abs(predict(new) - predict(model)).max() <= 1e-5
    drawn, _ = swap_mixer(model, "talking_heads", mix_std=0.5)
    assert np.abs(predict(drawn) - predict(model)).max() > 1e-3


def test_there_and_back_is_the_same_function():
    model = vit(depth=1)
    for kernel, options in (("performer", {"m": 4}), ("linformer", {"m": 4}), ("nystrom", {"m": 4}), ("lsa", {}), ("talking_heads", {})):
        back, report = swap_mixer(swap_mixer(model, kernel, **options)[0], "softmax")
        assert np.array_equal(predict(back), predict(model)) and report.new == ()
    for options in ({"mixer": "window", "window": 2}, {"mixer": "atrous", "window": 2}):
        back, report = swap_mixer(swap_mixer(model, **options)[0], mixer="attention")
        assert np.array_equal(predict(back), predict(model)) and report.new == ()


@pytest.mark.parametrize("prefix", [0, 1, 2])
@pytest.mark.parametrize("mixer", ["window", "atrous"])
def test_a_window_of_the_whole_grid_is_exact_attention(mixer, prefix):
    model = vit(prefix=prefix, pool="mean" if prefix != 1 else "first")
    options = {"rates": (1,)} if mixer == "atrous" else {}
    new, report = swap_mixer(model, mixer=mixer, window=4, **options)
    assert np.abs(predict(new) - predict(model)).max() <= 1e-5
    bias = () if prefix or mixer == "atrous" else ("stage0_block0_mixer/mixer/relative_bias", "stage0_block1_mixer/mixer/relative_bias")
    assert report == Report(tuple(roles(model)), bias, (), ())
    assert all((layer.grid, layer.window) == ((4, 4), (4, 4)) for layer in mixers(new))
    assert {type(layer) for layer in mixers(new)} == {LocalWindowAttention2D if bias else AtrousAttention}
    small, _ = swap_mixer(model, mixer=mixer, window=2, **options)
    assert np.abs(predict(small) - predict(model)).max() > 1e-3


def test_the_hybrid_has_a_gate_and_shifts_alternate():
    model = vit(prefix=0, pool="mean", depth=4)
    new, report = swap_mixer(model, mixer="atrous", window=2, rates=(1, 2), relative_bias=True)
    names = ("gate/kernel", "gate/bias", "relative_bias1", "relative_bias2")
    assert set(report.new) == {f"stage0_block{block}_mixer/mixer/{name}" for block in range(4) for name in names}
    new, report = swap_mixer(model, mixer="window", window=2, shift=1, relative_bias=False)
    assert [layer.shift for layer in mixers(new)] == [(0, 0), (1, 1), (0, 0), (1, 1)] and report.new == ()
    new, _ = swap_mixer(model, "performer", m=3, mixer="window", window=2, shift=1)
    assert [type(layer.kernel) for layer in mixers(new)] == [Performer] * 4 and predict(new).shape == (2, 10)


def test_only_some_blocks():
    model = vit(depth=4)

    def kernels(blocks):
        return [type(layer.kernel) is Nystrom for layer in mixers(swap_mixer(model, "nystrom", m=4, blocks=blocks)[0])]

    assert kernels(slice(2, None)) == [False, False, True, True] == kernels([-1, 2]) == kernels(range(2, 4))
    assert kernels(0) == [True, False, False, False]
    new, report = swap_mixer(model, "linformer", m=4, blocks=-1)
    assert report.new == ("stage0_block3_mixer/mixer/kernel/e", "stage0_block3_mixer/mixer/kernel/f")
    two, report = swap_mixer(new, "performer", m=4, blocks=(1,))
    assert report.new == ("stage0_block1_mixer/mixer/kernel/projection", "stage0_block1_mixer/mixer/kernel/draws")
    assert [type(layer.kernel) for layer in mixers(two)] == [Softmax, Performer, Softmax, Linformer]


def test_weights_of_nameless_layers_stay_in_their_places():
    """Where the first of two unnamed Linformers goes, the other keeps its own projections."""
    x = keras.Input((TOKENS, DIM))
    y = Attention(2, kernel=Linformer(4))(Attention(2, kernel=Linformer(4))(x))
    model = scatter(keras.Model(x, y))
    new, report = swap_mixer(model, "softmax", blocks=0)
    first, second = mixers(model)
    kept = mixers(new)[1]
    assert np.array_equal(*(keras.ops.convert_to_numpy(layer.kernel.e) for layer in (second, kept)))
    assert len(report.copied) == 18 and report.new == () and len(report.skipped) == 2
    skipped = {id(roles(model)[role]) for role in report.skipped}
    assert skipped == {id(first.kernel.e), id(first.kernel.f)}


def test_one_projection_for_all_layers():
    model = vit()
    new, report = swap_mixer(model, "linformer", m=4, share="layer")
    assert report.new == ("projection/e",)
    built = build("vit_b16", compile=False, kernel="linformer", m=4, share="layer", start="pool", **SIZES)
    assert transfer(model, built) == report and np.array_equal(predict(new), predict(built))
    again, report = swap_mixer(scatter(new), "linformer", blocks=0)
    assert report.new == report.skipped == () and np.array_equal(predict(again), predict(new))
    other, report = swap_mixer(new, "linformer", m=5, blocks=0)
    assert len(report.new) == 1 and report.new[0] in ("projection/e", "projection/e:1") and report.skipped == ()
    assert {layer.name for layer in other.layers} >= {"projection", "projection_1"} and np.isfinite(predict(other)).all()
    back, report = swap_mixer(new, "softmax")
    assert report.new == () and report.skipped == ("projection/e",)
    assert [type(layer.kernel) for layer in mixers(back)] == [Softmax, Softmax] and predict(back).shape == (2, 10)


@pytest.mark.long
def test_a_file_before_and_after(tmp_path):
    model = vit()
    model.save(tmp_path / "before.keras")
    read = load(tmp_path / "before.keras", compile=False)
    for options in ({"kernel": "linformer", "m": 4}, {"mixer": "atrous", "window": 2}, {"kernel": "linformer", "m": 4, "share": "layer"}):
        straight, report = swap_mixer(model, seed=2, **options)
        new, said = swap_mixer(read, seed=2, **options)
        assert said == report and same(values(new), values(straight))
        scatter(new).save(tmp_path / "after.keras")
        assert np.array_equal(predict(load(tmp_path / "after.keras")), predict(new))


def test_a_seed_decides_what_is_drawn_and_nothing_outside():
    model, options = vit(), {"kernel": "linformer", "m": 4, "start": "uniform"}
    random.seed(5)
    expected = random.random()
    random.seed(5)
    one, two, three = (swap_mixer(model, seed=seed, **options)[0] for seed in (1, 1, 2))
    assert random.random() == expected
    assert same(values(one), values(two)) and not same(values(one), values(three))
    draws = [keras.ops.convert_to_numpy(layer.kernel.w) for layer in mixers(swap_mixer(model, "performer", m=4)[0])]
    assert not np.array_equal(*draws)


def test_policies_are_kept_layer_by_layer():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = vit()
    keras.config.set_dtype_policy("float32")
    for options in ({"kernel": "softmax"}, {"kernel": "performer", "m": 4}, {"mixer": "atrous", "window": 2}):
        new, _ = swap_mixer(model, **options)
        policies = [{layer.name: layer.dtype_policy.name for layer in one.layers[1:]} for one in (model, new)]  # all but the input
        assert policies[0] == policies[1] and set(policies[0].values()) == {"mixed_bfloat16"}
        for layer in mixers(new):
            assert {layer.dtype_policy.name, layer.query.dtype_policy.name, layer.kernel.dtype_policy.name} == {"mixed_bfloat16"}
        assert predict(new).dtype == "float32" and np.isfinite(predict(new)).all()


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": "linformer", "m": 4},
        {"kernel": "linformer", "m": 4, "share": "layer"},
        {"kernel": "nystrom", "m": 4, "convolution": 3},
        {"kernel": "lsa"},
        {"kernel": "talking_heads"},
        {"kernel": "performer", "m": 4},
        {"mixer": "atrous", "window": 2, "relative_bias": True},
    ],
    ids=str,
)
def test_a_step_of_training_moves_everything_new(options):
    model = vit(pool="mean", dim=8, patch=16)
    model.compile(keras.optimizers.SGD(1.0), loss=SmoothedCrossentropy(), run_eagerly=True)
    new, report = swap_mixer(model, **options)
    moving = {role for role, weight in roles(new).items() if weight.trainable and role in report.new}
    # a number added to all scores of a head changes no weight of a softmax
    moving -= {role for role in moving if role.endswith("mix_scores_bias")}
    before, old = values(new), values(model)
    new.fit(pixels(), np.array([1, 2]), batch_size=2, verbose=0)
    after = values(new)
    assert {role for role in moving if np.array_equal(after[role], before[role])} == set()
    assert same(values(model), old)


@pytest.mark.long
def test_a_new_optimizer_of_the_same_settings():
    model = build("vit_b16", steps=10, learning_rate=2e-3, **SIZES)
    model.fit(pixels(), np.array([1, 2]), epochs=1, batch_size=2, verbose=0)
    new, report = swap_mixer(model, "linformer", m=4)
    assert new.compiled and new.optimizer is not model.optimizer and count(new) == 0
    assert count(model) == 1
    assert new.optimizer.get_config() == model.optimizer.get_config() and type(new.loss) is type(model.loss)
    assert new.jit_compile == model.jit_compile
    undecayed = {role for role, weight in roles(new).items() if not new.optimizer._use_weight_decay(weight)}
    assert undecayed == {role for role, weight in roles(model).items() if not model.optimizer._use_weight_decay(weight)}
    assert {"prefix/tokens", "position/table", "head/logits/bias"} <= undecayed and "head/logits/kernel" not in undecayed
    assert not swap_mixer(model, "linformer", m=4, compile=False)[0].compiled
    assert not swap_mixer(vit(), "linformer", m=4)[0].compiled


def test_a_model_of_ones_own():
    """Two inputs, a shared layer, operations, a class token by hand, a model inside and a stack inside."""
    from keras_vix.layers import MLP, NystromAttention, PatchEmbedding, PerformerAttention

    tokens = keras.Input((TOKENS, DIM))
    inner = keras.Model(tokens, PerformerAttention(2, num_features=4)(tokens) + tokens, name="inner")
    stack = keras.Sequential([keras.Input((TOKENS + 1, DIM)), Residual(NystromAttention(2, num_landmarks=4)), Residual(MLP(16))], name="stack")
    image, extra = keras.Input((8, 8, 3), name="image"), keras.Input((3,), name="extra")
    x = inner(Tokens()(PatchEmbedding(DIM, 2)(image)))
    x = stack(Prefix()(x))
    shared = Attention(2, name="shared")
    x = shared(shared(x))
    y = keras.layers.Dense(5)(keras.ops.concatenate([x[:, 0], extra * 2.0], axis=-1))
    model = scatter(keras.Model({"image": image, "extra": extra}, [y, x]))
    given = {"image": np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)), "extra": np.ones((2, 3))}
    new, report = swap_mixer(model, "softmax")
    kernels = [type(layer.kernel) for layer in mixers(new)]
    assert kernels == [Softmax] * 3 and len(report.copied) == len(roles(new))
    assert {role.split("/")[-1] for role in report.skipped} == {"projection", "draws"} and report.new == ()
    answers = predict(new, given)
    assert [answer.shape for answer in answers] == [(2, 5), (2, TOKENS + 1, DIM)]
    whole, _ = swap_mixer(model, "nystrom", m=17, blocks=[1, 2])
    exact, _ = swap_mixer(model, "softmax", blocks=[1, 2])
    assert np.abs(predict(whole, given)[0] - predict(exact, given)[0]).max() <= 2e-3
    plain, _ = swap_mixer(model, "performer", blocks=0)
    assert all(np.array_equal(a, b) for a, b in zip(predict(plain, given), predict(model, given)))
    windows, report = swap_mixer(model, mixer="window", window=2, blocks=[1, 2])
    assert [type(layer) for layer in mixers(windows)][1:] == [AtrousAttention] * 2
    assert [layer.prefix for layer in mixers(windows)[1:]] == [1, 1] and report.new == ()
    bigger, report = swap_mixer(model, "performer", input_shape=(16, 12, 3), blocks=0)
    assert predict(bigger, {**given, "image": np.ones((2, 16, 12, 3))})[1].shape == (2, 49, DIM)
    assert report.new == report.skipped == report.interpolated == ()


@pytest.mark.long
def test_a_stack_of_layers():
    from keras_vix.layers import LearnedPosition, LinformerAttention, PatchEmbedding

    layers = [PatchEmbedding(DIM, 2), Tokens(), LearnedPosition(), Residual(LinformerAttention(2, proj_dim=4)), Attention(2), keras.layers.Flatten()]
    model = scatter(keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Dense(3)], name="mine"))
    x = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3))
    new, report = swap_mixer(model, "linformer", blocks=0)
    assert isinstance(new, keras.Sequential) and report == Report(tuple(roles(model)), (), (), ())
    assert np.array_equal(predict(new, x), predict(model, x))
    new, report = swap_mixer(model, "nystrom", m=5, mixer="attention")
    assert {role.split("/")[-1] for role in report.skipped} == {"e", "f"} and report.new == ()
    new, report = swap_mixer(model, mixer="window", window=2, blocks=1, input_shape=(12, 16, 3), classes=4)
    assert mixers(new)[1].grid == (6, 8) and new.output_shape == (None, 4)
    assert {role.split("/")[-1] for role in report.interpolated} == {"table", "e", "f"}
    assert {role for role in report.new} == {"mine/local_window_attention2d/relative_bias", "mine/dense/kernel", "mine/dense/bias"} or {
        role.split("/")[-2:][0] for role in report.new
    } == {"attention", "dense"}


def test_a_class_of_ones_own_stays():
    class Mine(keras.Model):
        def extra(self):
            return 7

    x = keras.Input((TOKENS, DIM))
    model = scatter(Mine(x, Attention(2)(x), name="mine"))
    new, _ = swap_mixer(model, "nystrom", m=4)
    assert type(new) is Mine and new.extra() == 7 and new.name == "mine"
