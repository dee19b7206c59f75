"""The encoder-decoder Transformer: its counts, its layers against NumPy, what padding and the future may change, decoding."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix
from keras_vix.layers import MLP, Attention, Residual, Softmax
from keras_vix.zoo import SEQUENCES, assemble_sequence, configure, configure_sequence, decode

from ..laws import disturb

TINY = {"vocabulary": 11, "source_length": 6, "target_length": 5, "dim": 8, "num_heads": 2, "depth": 1, "mlp_dim": 12}
SOURCE = np.array([[3, 4, 5, 6, 7, 8], [9, 3, 10, 0, 0, 0], [5, 0, 0, 0, 0, 0]])
TARGET = np.array([[1, 4, 3, 9, 2], [1, 8, 7, 0, 0], [1, 3, 4, 5, 6]])


def tiny(**more):
    model = keras_vix.build("transformer_base", **{**TINY, "dropout": 0.0, **more})
    disturb(model)
    return model


def logits(model, source=SOURCE, target=TARGET):
    return ops.convert_to_numpy(model([source, target], training=False))


def count(vocabulary, dim, mlp_dim, encoders, decoders):
    """The published architecture, weight by weight: matrices, biases of the feed-forward layers, two factors a normalisation."""
    ffn = 2 * dim * mlp_dim + mlp_dim + dim
    return vocabulary * dim + encoders * (4 * dim**2 + ffn + 4 * dim) + decoders * (8 * dim**2 + ffn + 6 * dim)


@pytest.mark.parametrize("name, parameters", [("transformer_base", 63_045_632), ("transformer_big", 214_171_648)])
def test_the_presets_have_the_computed_sizes(name, parameters):
    """37,000 words; the lengths of the sequences have no weights."""
    found = keras_vix.describe(name, source_length=4, target_length=4)
    assert found.trainable_parameters == parameters
    config = configure_sequence(name)
    assert parameters == count(37_000, config.dim, 4 * config.dim, 6, 6)
    assert (config.depth, config.num_heads, config.dropout) == ((6, 8, 0.1) if name == "transformer_base" else (6, 16, 0.3))


@pytest.mark.parametrize("depth, decoder_depth", [(1, None), (3, None), (2, 1), (1, 3)])
def test_every_layer_has_its_share(depth, decoder_depth):
    found = keras_vix.describe("transformer_base", **{**TINY, "depth": depth, "decoder_depth": decoder_depth})
    assert found.trainable_parameters == found.published_parameters == count(11, 8, 12, depth, decoder_depth or depth)


def test_multiply_adds_are_those_of_the_products():
    found = keras_vix.describe("transformer_base", **{**TINY, "depth": 2})
    source, target, dim, hidden = 6, 5, 8, 12
    encoder = 4 * source * dim**2 + 2 * source**2 * dim + 2 * source * dim * hidden
    own = 4 * target * dim**2 + 2 * target**2 * dim + 2 * target * dim * hidden
    cross = 2 * target * dim**2 + 2 * source * dim**2 + 2 * target * source * dim
    assert found.multiply_adds == 2 * (encoder + own + cross) + target * dim * 11
    assert found.tokens == source and "arXiv:1706.03762" in str(found)


# One layer of each kind, in NumPy.


def norm(x, layer):
    gamma, beta = (np.asarray(ops.convert_to_numpy(w), "float64") for w in (layer.gamma, layer.beta))
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * gamma + beta


def attention(layer, query, value, seen):
    """`seen`: `(batch, queries, keys)`, which keys take part."""
    weights = {name: ops.convert_to_numpy(getattr(layer, name).kernel).astype("float64") for name in ("query", "key", "value", "out")}
    q, k, v = query @ weights["query"], value @ weights["key"], value @ weights["value"]
    out = np.zeros_like(q)
    for sample, head in itertools.product(range(len(q)), range(2)):
        part = slice(4 * head, 4 * head + 4)
        for i, row in enumerate(q[sample][:, part]):
            w = np.exp(k[sample][:, part] @ row / 2.0) * seen[sample, i]
            out[sample, i, part] = w @ v[sample][:, part] / max(w.sum(), 1e-300)
    return out @ weights["out"]


def ffn(layer, x):
    a, b, c, d = (ops.convert_to_numpy(w).astype("float64") for w in layer.weights)
    return np.maximum(x @ a + b, 0) @ c + d


def embed(table, numbers):
    n, dim = numbers.shape[1], table.shape[1]
    x = table[numbers] * np.sqrt(dim)
    for t, i in itertools.product(range(n), range(dim // 2)):
        x[:, t, 2 * i] += np.sin(t / 10_000 ** (2 * i / dim))
        x[:, t, 2 * i + 1] += np.cos(t / 10_000 ** (2 * i / dim))
    return x


def by_hand(model, source, target):
    """The model of one encoder and one decoder layer, post-norm."""
    part = lambda name: model.get_layer(name)
    table = ops.convert_to_numpy(part("embedding").embeddings).astype("float64")
    keep, begun = source[:, None] > 0, target[:, None] > 0
    x = embed(table, source)
    layer = part("encoder0_attention")
    x = norm(x + attention(layer.inner, x, x, np.repeat(keep, x.shape[1], 1)), layer.layer_norm)
    layer = part("encoder0_ffn")
    memory = norm(x + ffn(layer.inner, x), layer.layer_norm)
    x = embed(table, target)
    layer = part("decoder0_attention")
    x = norm(x + attention(layer.inner, x, x, begun & np.tri(x.shape[1], dtype=bool)), layer.layer_norm)
    layer = part("decoder0_memory")
    x = norm(x + attention(layer.inner, x, memory, np.repeat(keep, x.shape[1], 1)), layer.layer_norm)
    layer = part("decoder0_ffn")
    return norm(x + ffn(layer.inner, x), layer.layer_norm) @ table.T


def test_one_layer_of_each_kind_by_hand():
    model = tiny()
    expected = by_hand(model, SOURCE, TARGET)
    assert np.abs(logits(model) - expected).max() <= 2e-5 * np.abs(expected).max()
    assert expected.std() > 0.1


def test_a_later_token_changes_no_earlier_logit():
    model = tiny(depth=2)
    before = logits(model)
    for place in range(5):
        target = TARGET.copy()
        target[:, place] = 10
        after = logits(model, target=target)
        assert np.array_equal(after[:, :place], before[:, :place])
        assert np.abs(after[0, place] - before[0, place]).max() > 1e-3


def test_padding_takes_no_part():
    """What the vector of padding holds changes no logit of a token; without `mask_zero` token 0 is one like others."""
    for mask_zero in (True, False):
        model = tiny(depth=2, mask_zero=mask_zero)
        before = logits(model)
        table = ops.convert_to_numpy(model.get_layer("embedding").embeddings).copy()
        table[0] += np.linspace(3.0, -3.0, table.shape[1])
        model.get_layer("embedding").embeddings.assign(table)
        change = np.abs(logits(model) - before)[..., 1:]
        assert change[0].max() == 0.0  # no padding at all
        assert (change[TARGET > 0].max() <= 1e-5) == mask_zero


def test_a_mask_of_the_memory_can_be_given():
    rng = np.random.default_rng(0)
    x, memory = rng.standard_normal((2, 3, 8)).astype("float32"), rng.standard_normal((2, 5, 8)).astype("float32")
    layer = Residual(Attention(2), norm="post")
    keep = np.arange(5) < np.array([[3], [3]])
    found = ops.convert_to_numpy(layer(x, memory, memory_mask=keep))
    assert np.abs(found - ops.convert_to_numpy(layer(x, memory[:, :3]))).max() <= 1e-5
    assert np.abs(found - ops.convert_to_numpy(layer(x, memory))).max() > 1e-3


def test_encoder_tokens_see_each_other_and_the_decoder_sees_them_all():
    model = tiny()
    before = logits(model)
    for place in range(6):
        source = SOURCE.copy()
        source[0, place] = 10
        assert (np.abs(logits(model, source) - before)[0].max(-1) > 1e-4).all()


@pytest.mark.long
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_saved_model_gives_the_same_and_goes_on_training(norm, tmp_path):
    model = tiny(norm=norm, depth=2)
    history = model.fit([SOURCE, TARGET], np.roll(TARGET, -1, axis=1), epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "ce"} and np.isfinite(history["loss"]).all()
    model.save(tmp_path / "model.keras")
    again = keras_vix.load(tmp_path / "model.keras")
    assert np.array_equal(logits(model), logits(again))
    results = [m.evaluate([SOURCE, TARGET], TARGET, verbose=0, return_dict=True) for m in (model, again)]
    assert results[0] == results[1]
    rates = [float(ops.convert_to_numpy(m.optimizer.learning_rate)) for m in (model, again)]
    assert rates[0] == rates[1] > 0


@pytest.mark.long
def test_every_weight_moves_and_the_loss_falls():
    model = tiny(learning_rate=2e-2, warmup_steps=20, label_smoothing=0.0)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    losses = model.fit([SOURCE, TARGET], np.roll(TARGET, -1, axis=1), epochs=40, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert not any(np.array_equal(ops.convert_to_numpy(w), old) for w, old in zip(model.trainable_weights, before))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_are_float32_under_every_policy(policy):
    plain = tiny()
    keras.config.set_dtype_policy(policy)
    model = tiny()
    model.set_weights(plain.get_weights())
    out = model([SOURCE, TARGET], training=False)
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    expected = logits(plain)
    assert np.abs(ops.convert_to_numpy(out) - expected).max() <= (2e-2 if policy == "mixed_float16" else 1e-1) * np.abs(expected).max()


def test_dropout_is_where_the_paper_has_it():
    """On the sums of embeddings and positions and on what every sub-layer gives, nowhere else."""
    model = keras_vix.build("transformer_base", **{**TINY, "dropout": 0.25})
    rates = [layer.rate for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    assert sorted(rates) == sorted([0.25] * (2 + 2 + 3) + [0.0] * (5 + 3 + 2))  # + paths, weights, hidden layers
    for layer in model._flatten_layers():
        assert not isinstance(layer, MLP) or [d.rate for d in layer.drop] == [0.0, 0.25]
        assert not isinstance(layer, Softmax) or layer.dropout == 0.0
        assert not isinstance(layer, Residual) or (layer.norm, layer.drop_path) == ("post", 0.0)
    with_noise = [ops.convert_to_numpy(model([SOURCE, TARGET], training=True)) for _ in range(2)]
    assert not np.array_equal(*with_noise)


def test_sequence_presets_are_listed_apart():
    assert keras_vix.list_models(kind="sequence") == list(SEQUENCES) == ["transformer_base", "transformer_big"]
    assert not set(SEQUENCES) & set(keras_vix.list_models())
    with pytest.raises(ValueError, match="kind='video'"):
        keras_vix.list_models(kind="video")
    assert not getattr(keras_vix.build("transformer_base", compile=False, **TINY), "compiled")
    assert keras_vix.build("transformer_base", name="mine", **TINY).name == "mine"


WRONG = [
    ({"vocabulary": 1}, ValueError, "vocabulary=1"),
    ({"vocabulary": 2.5}, TypeError, "vocabulary=2.5"),
    ({"source_length": 0}, ValueError, "source_length=0"),
    ({"dim": 9}, ValueError, "dim=9, num_heads=2"),
    ({"dim": 9, "num_heads": 3}, ValueError, "dim=9, num_heads=3"),
    ({"decoder_depth": 0}, ValueError, "decoder_depth=0"),
    ({"dropout": 1.0}, ValueError, "dropout=1.0"),
    ({"mask_zero": 1}, TypeError, "mask_zero=1"),
    ({"norm": "both"}, ValueError, "norm='both'"),
    ({"vocabulry": 5}, ValueError, "'vocabulary'"),
    ({"patch": 4}, ValueError, "`build` has no argument `patch`. Received: patch=4."),
    ({"learning_rate": 0}, ValueError, "learning_rate=0"),
    ({"warmup_steps": 0}, ValueError, "warmup_steps=0"),
    ({"label_smoothing": 1.0}, ValueError, "label_smoothing=1.0"),
    ({"jit_compile": "yes"}, TypeError, "jit_compile='yes'"),
    ({"dataset": "cifar10"}, ValueError, "dataset='cifar10'"),
    ({"steps": 100}, ValueError, "steps=100"),
    ({"profile": "reference"}, ValueError, "profile='reference'"),
    ({"name": "a/b"}, ValueError, "slash"),
]


@pytest.mark.parametrize("named, error, words", WRONG, ids=lambda v: str(v)[:40])
def test_wrong_calls(named, error, words):
    with pytest.raises(error) as caught:
        keras_vix.build("transformer_base", **{**TINY, **named})
    assert words in str(caught.value)


def test_a_preset_takes_its_own_fields_alone():
    with pytest.raises(ValueError, match="The preset 'transformer_base' has no argument `patch`. Received: patch=4.*Known: vocabulary, "):
        configure_sequence("transformer_base", patch=4)


def test_a_sequence_preset_is_none_for_images():
    with pytest.raises(ValueError, match="preset='transformer_base'"):
        configure("transformer_base")
    with pytest.raises(ValueError, match="transformer_base"):
        keras_vix.build("transformer_bas")


# Decoding.


def small(vocabulary=4, target_length=3):
    model = assemble_sequence(
        configure_sequence("transformer_base", **{**TINY, "vocabulary": vocabulary, "target_length": target_length}), "small"
    )
    disturb(model)
    return model


def probabilities(model, source, target, start):
    """The logarithm of the probability of each whole target, `(sources, targets)`."""
    found = np.zeros((len(source), len(target)))
    begun = np.concatenate([np.full((len(target), 1), start), target[:, :-1]], axis=1)
    for i, sample in enumerate(source):
        out = logits(model, np.repeat(sample[None], len(target), 0), begun).astype("float64")
        out -= np.log(np.exp(out).sum(-1, keepdims=True))
        found[i] = np.take_along_axis(out, target[..., None], -1)[..., 0].sum(-1)
    return found


SOURCES = np.array([[1, 2, 3, 1, 2, 3], [3, 3, 1, 0, 0, 0], [2, 0, 0, 0, 0, 0]])


def test_greedy_decoding_takes_the_likeliest_token_each_time():
    model = small()
    found = decode(model, SOURCES, start=1)
    assert found.shape == (3, 3)
    for place in range(3):
        begun = np.concatenate([np.full((3, 1), 1), found[:, :2]], axis=1)
        begun[:, place + 1 :] = 0
        assert np.array_equal(logits(model, SOURCES, begun)[:, place].argmax(-1), found[:, place])


def test_beams_as_many_as_there_are_beginnings_find_the_likeliest_sequence():
    model = small(vocabulary=4, target_length=2)
    every = np.array(list(itertools.product(range(4), repeat=2)))
    best = every[probabilities(model, SOURCES, every, 1).argmax(-1)]
    assert np.array_equal(decode(model, SOURCES, start=1, beams=4), best)


@pytest.mark.long
def test_a_target_ends():
    model = small(target_length=5)
    plain = decode(model, SOURCES, start=1)
    end = int(plain[0, 1])
    found = decode(model, SOURCES, start=1, end=end)
    for row, whole in zip(found, plain):
        place = list(whole).index(end) if end in whole else len(whole)
        assert np.array_equal(row[: place + 1], whole[: place + 1]) and not row[place + 1 :].any()
    assert decode(model, SOURCES, start=1, end=end, beams=3).shape == (3, 5)


@pytest.mark.parametrize(
    "named, error, words",
    [
        ({"source": SOURCES[:, :4]}, ValueError, "(batch, 6)"),
        ({"start": 4}, ValueError, "start=4"),
        ({"end": -1}, ValueError, "end=-1"),
        ({"beams": 0}, ValueError, "beams=0"),
        ({"beams": 5}, ValueError, "beams=5"),
        ({"penalty": -1.0}, ValueError, "penalty=-1.0"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_wrong_decoding(named, error, words):
    with pytest.raises(error) as caught:
        decode(small(), **{"source": SOURCES, "start": 1, **named})
    assert words in str(caught.value)
