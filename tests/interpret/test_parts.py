"""The law of maps for mixers: the whole map times the values of all tokens, merged and projected, is the layer's output."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vix.interpret import maps
from keras_vix.kernels import LSA, Linformer, Nystrom, Performer, TalkingHeads
from keras_vix.mixers import AtrousAttention, Attention, BinaryAttention, ConvAttention, LeViTAttention, LocalAttention1D, LocalWindowAttention2D
from keras_vix.ops.heads import merge_heads, split_heads
from keras_vix.parts import ClassAttention, RotaryEmbedding

from ..laws import BATCH, disturb, inputs, run
from ..rows import GRID, ROWS, X, Row

CONV = dict(m=4, iterations=6, convolution=3)
MORE = [
    Row("mixer", "attention/linformer", Attention, {"num_heads": 2, "kernel": Linformer(m=4)}, X, "masks"),
    Row("mixer", "attention/linformer-heads", Attention, {"num_heads": 2, "kernel": Linformer(m=4, share="none")}, X, "masks"),
    Row("mixer", "attention/nystrom", Attention, {"num_heads": 2, "kernel": Nystrom(m=4, iterations=6)}, X, "masks"),
    Row("mixer", "attention/convolution", Attention, {"num_heads": 2, "kernel": Nystrom(**CONV)}, X, "masks"),
    Row("mixer", "attention/lsa", Attention, {"num_heads": 2, "kernel": LSA()}, X, "masks"),
    Row("mixer", "attention/talking", Attention, {"num_heads": 2, "kernel": TalkingHeads(mix_std=0.5)}, X, "masks"),
    Row("mixer", "attention/rope-linformer", Attention, {"num_heads": 2, "kernel": Linformer(m=4), "rope": RotaryEmbedding()}, X, "masks"),
    Row("mixer", "levit/nystrom", LeViTAttention, {"num_heads": 2, "kernel": Nystrom(m=4, iterations=6)}, X, "masks"),
    Row("mixer", "conv_attention/performer", ConvAttention, {"num_heads": 2, "grid": GRID, "kv_stride": 2, "kernel": Performer(m=8, seed=1)}, X),
    Row("mixer", "window/nystrom", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 2, "shift": 1, "kernel": Nystrom(m=2, iterations=6, convolution=3)}, X, "masks"),
    Row("mixer", "window/linformer", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 2, "kernel": Linformer(m=3)}, X, "masks"),
    Row("mixer", "window/talking", LocalWindowAttention2D, {"num_heads": 2, "grid": (2, 8), "window": (2, 3), "shift": (0, 1), "kernel": TalkingHeads(mix_std=0.5)}, X, "masks"),
    Row("mixer", "window_1d/wide", LocalAttention1D, {"num_heads": 2, "grid": (2, 8), "window": 3, "shift": 1}, X, "masks"),
    Row("mixer", "atrous/convolution", AtrousAttention, {"num_heads": 2, "grid": GRID, "window": 2, "kernel": Nystrom(m=2, iterations=6, convolution=3)}, X, "masks"),
    Row("mixer", "atrous/talking", AtrousAttention, {"num_heads": 2, "grid": (3, 5), "window": 2, "prefix": 1, "kernel": TalkingHeads(mix_std=0.5)}, X, "masks"),
]
MIXERS = [row for row in ROWS if row.axis == "mixer" and row.name.split("/")[0] not in ("fourier", "token_mlp")] + MORE
every_mixer = pytest.mark.parametrize("row", MIXERS, ids=lambda row: row.id)
NOT_ONE = ("linformer", "nystrom", "convolution", "talking", "binary")  # rows of these need not sum to 1


def built(row, x):
    mixer = row.make()
    mixer(x)
    disturb(mixer)
    rng = np.random.default_rng(8)
    for weight in mixer.non_trainable_weights:
        if "moving_" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape).astype("float32"))
    return mixer


def some_mask():
    mask = np.ones((BATCH, X[0]), bool)
    mask[0, 13:] = mask[1, 2] = mask[1, 8:12] = False
    return ops.convert_to_tensor(mask)


def output(mixer, whole, x, mask):
    """What the layer gives if its map is `whole`, worked out from its sub-layers."""
    x = ops.convert_to_tensor(x)
    whole = ops.convert_to_tensor(whole)
    if isinstance(mixer, ConvAttention):
        _, _, v = mixer.attention.project(*mixer._surroundings(x if mask is None else ops.where(mask[..., None], x, 0.0), mask))
        return mixer.attention.out(merge_heads(ops.matmul(whole, v)))
    if isinstance(mixer, Attention):
        _, _, v = mixer.project(x, mask=mask, own=mask)
        return mixer._project("out", merge_heads(ops.matmul(whole, v)), mask)
    if isinstance(mixer, BinaryAttention):
        query, key, value = mixer._projected(x)
        context = merge_heads(ops.matmul(whole, split_heads(mixer.signs[2](value), mixer.num_heads)))
        out = mixer.out(mixer.activation(mixer.batch_norm(context) + query + mixer._repeated(key + value)))
        return out if mixer.affine is None else mixer.affine(out)
    return mixer.out(merge_heads(ops.matmul(whole, split_heads(mixer.value(x), mixer.num_heads))))


def check(row, mixer, x, mask):
    optional = {} if mask is None else {"mask": mask}
    parts = mixer.map_parts(ops.convert_to_tensor(x), **optional)
    whole = maps.whole(parts)
    heads, tokens, keys = parts[0].shape
    assert whole.shape == (BATCH, heads, tokens, keys) and whole.dtype == "float32"
    expected = run(mixer, x, **optional)
    found = ops.convert_to_numpy(output(mixer, whole, x, mask))
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    for token in (0, 7, tokens - 1):
        assert np.abs(maps.row(parts, BATCH, token) - whole[:, :, token]).max() <= 1e-5
    assert np.abs(maps.row(parts, BATCH, None) - whole.mean(2)).max() <= 1e-5
    share = np.random.default_rng(4).standard_normal((BATCH, heads, tokens)).astype("float32")
    assert np.abs(maps.weigh(parts, share) - np.einsum("bhq,bhqk->bhk", share, whole)).max() <= 1e-5 * max(1.0, np.abs(whole).max())
    if not any(word in row.name for word in NOT_ONE):
        sums = np.moveaxis(whole.sum(-1), 1, -1)  # of tokens that take part; a masked one may have no key left
        assert np.abs((sums if mask is None else sums[ops.convert_to_numpy(mask)]) - 1.0).max() <= 1e-5
    return whole


@every_mixer
def test_the_map_times_the_values_is_the_layer(row):
    (x,) = inputs(row)
    check(row, built(row, x), x, None)


@pytest.mark.parametrize("row", [row for row in MIXERS if row.claim("masks")], ids=lambda row: row.id)
def test_with_a_mask_too(row):
    (x,) = inputs(row)
    mask = some_mask()
    whole = check(row, built(row, x), x, mask)
    gone = ~ops.convert_to_numpy(mask)[:, None, None]
    assert not whole[np.broadcast_to(gone, whole.shape)].any()


@every_mixer
def test_the_factors_multiply_to_the_map(row):
    """Group by group and token by token, from the arrays alone."""
    (x,) = inputs(row)
    parts = built(row, x).map_parts(ops.convert_to_tensor(x))
    expected = maps.whole(parts)
    given = maps.factors(parts)
    found = np.zeros_like(expected)
    for lead in dict.fromkeys(name.rpartition("/")[0] for name in given):
        own = {name.rpartition("/")[2]: one for name, one in given.items() if name.rpartition("/")[0] == lead}
        queries, keys = own.pop("queries", None), own.pop("keys", None)
        product = None
        for one in own.values():
            product = one if product is None else product @ one
        if queries is None:
            found += product
            continue
        for group in range(len(queries)):
            for i, query in enumerate(queries[group]):
                for j, key in enumerate(keys[group]):
                    if min(query, key) >= 0:
                        found[:, :, query, key] += product[:, group, :, i, j]
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("name", ["attention", "attention/causal", "attention/lsa", "attention/talking", "binary_attention"])
def test_a_dense_map_is_made_a_few_queries_at_a_time(name, monkeypatch):
    row = next(row for row in MIXERS if row.name == name)
    (x,) = inputs(row)
    (part,) = built(row, x).map_parts(ops.convert_to_tensor(x))
    whole = maps.whole([part])
    monkeypatch.setattr(maps, "CHUNK", 3 * BATCH * 2 * X[0])
    share = np.random.default_rng(4).uniform(0.1, 1.0, (BATCH, 1, X[0])).astype("float32")
    assert [rows.stop - rows.start for rows in maps.slices(part, share)] == [3, 3, 3, 3, 3, 1]
    assert np.abs(maps.weigh([part], share) - np.einsum("bhq,bhqk->bhk", np.repeat(share, 2, 1), whole)).max() <= 1e-5
    asked = []
    watched = part._replace(make=lambda rows: asked.append(rows) or part.make(rows))
    maps.row([watched], BATCH, 5)
    assert asked == [slice(5, 6)]


def test_places_say_which_token_is_in_which_window():
    layer = LocalWindowAttention2D(2, grid=(3, 5), window=2, shift=1)
    layer(np.zeros((1, 15, 8), "float32"))
    board = np.arange(15, dtype="float32").reshape(1, 3, 5, 1)
    places = layer.partition.places()
    cut = ops.convert_to_numpy(layer.partition.split(ops.convert_to_tensor(board)))[0, :, 0, :, 0]
    assert np.array_equal(np.where(places < 0, 0, places), cut)
    assert sorted(places[places >= 0]) == list(range(15))


def test_a_shared_projection_is_handed_on():
    (x,) = inputs(MIXERS[0])
    e = keras.random.normal((5, X[0]), seed=1)
    mixer = Attention(2, kernel=Linformer(m=5, share="layer"))
    mixer(x, projection=e)
    disturb(mixer)
    whole = maps.whole(mixer.map_parts(ops.convert_to_tensor(x), projection=e))
    found = ops.convert_to_numpy(output(mixer, whole, x, None))
    assert np.abs(found - run(mixer, x, projection=e)).max() <= 1e-4


@pytest.mark.parametrize("sees_itself", [True, False])
def test_class_attention_has_one_query(sees_itself):
    rng = np.random.default_rng(0)
    token, x = rng.standard_normal((BATCH, 1, 8)).astype("float32"), rng.standard_normal((BATCH, 6, 8)).astype("float32")
    layer = ClassAttention(2, mlp_dim=12, scale=1.0, sees_itself=sees_itself, kernel=TalkingHeads(mix_std=0.5))
    layer(token, x)
    disturb(layer)
    whole = maps.whole(layer.map_parts(*map(ops.convert_to_tensor, (token, x))))
    assert whole.shape == (BATCH, 2, 1, 7 if sees_itself else 6)
    seen, keys = layer._seen(*map(ops.convert_to_tensor, (token, x)))
    v = layer.attention.project(seen, keys)[2]
    read = layer.attention.out(merge_heads(ops.matmul(ops.convert_to_tensor(whole), v)))
    expected = layer.ffn(ops.convert_to_tensor(token) + read * layer.gamma)
    assert np.abs(ops.convert_to_numpy(expected) - run(layer, token, x)).max() <= 1e-4
