"""FAVOR+ against the mathematics of its paper: loops, expectations, and the limits of float32."""

import functools

import numpy as np
import pytest
from keras import ops

from keras_vix.kernels import Performer, Softmax
from keras_vix.ops import features as maps

from ..laws import differentiate, run, weighting
from ..reference import kernel_attention, loop, softmax_attention

WIDTH = 4


@pytest.fixture
def qkv():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, 3, 7, WIDTH)).astype("float32") for _ in range(3)]


def phi_of(features, w, epsilon=1e-3):
    """The published map of one scaled vector, unstabilised, in float64."""
    scale = WIDTH**-0.25

    def phi(x):
        x = scale * x
        y = x if w is None else w.astype("float64") @ x
        if features == "positive":
            return np.exp(y - x @ x / 2)
        if features == "hyperbolic":
            return np.exp(np.concatenate([y, -y]) - x @ x / 2)
        if features == "relu":
            return np.maximum(y, 0) / (1 if w is None else np.sqrt(len(y))) + epsilon
        return np.exp(y) if features == "exp" else np.where(y > 0, y + 1, np.exp(np.minimum(y, 0)))

    return phi


@pytest.mark.parametrize(
    "features, m",
    [("positive", 6), ("hyperbolic", 6), ("relu", 6), ("exp", 6), ("elu", 6), ("relu", None), ("exp", None), ("elu", None)],
)
def test_equals_a_loop_without_stabiliser(qkv, features, m):
    w = None if m is None else maps.gaussian(m, WIDTH, seed=3)
    out = run(Performer(m, features, seed=3), *qkv)
    expected = loop(lambda q, k, v: kernel_attention(q, k, v, phi_of(features, w)), *qkv)
    assert np.abs(out - expected).max() <= 2e-5


def test_full_and_paper_stabilisers_agree_with_exact_for_small_norms(qkv):
    q, k, v = (0.3 * x for x in qkv)
    exact = run(Performer(8, seed=3), q, k, v)
    for stabiliser in ("full", "paper"):
        assert np.abs(run(Performer(8, seed=3, stabiliser=stabiliser), q, k, v) - exact).max() <= 1e-4


def log_features(features, x, w):
    """Log features of rows `x`, which are scaled already, in float64."""
    y = x.astype("float64") @ w.astype("float64").T
    if features == "elu":
        return np.minimum(y, 0) + np.log1p(np.maximum(y, 0))
    half = 0.0 if features == "exp" else np.sum(np.square(x.astype("float64")), axis=-1, keepdims=True) / 2
    return (np.concatenate([y, -y], axis=-1) if features == "hyperbolic" else y) - half


EXACT = ["positive", "hyperbolic", "exp", "elu"]


@pytest.mark.parametrize("features", EXACT)
def test_exact_stabiliser_keeps_the_denominator_above_one(features):
    """The proof, with float32 numbers: the largest feature of each query is 1, and so is its sum over the keys at least."""
    rng = np.random.default_rng(1)
    w = maps.gaussian(64, 32, seed=2)
    for scale in (0.0, 1e-4, 0.25, 1.0, 8.0, 100.0, 1e4):
        logs = [log_features(features, scale * rng.standard_normal((4, 144, 32)), w).astype("float32") for _ in range(2)]
        phi_q, phi_k = (ops.convert_to_numpy(x) for x in maps.exact_stabiliser(*map(ops.convert_to_tensor, logs)))
        denominator = np.einsum("hnm,hm->hn", phi_q, phi_k.sum(axis=1))
        assert np.isfinite(denominator).all() and denominator.min() >= 1 - 1e-5, scale
        assert (phi_q.max(axis=-1) == 1).all() and (phi_k.max(axis=-2) == 1).all()


@pytest.mark.parametrize("features", EXACT)
def test_exact_stabiliser_equals_float64_without_any(features):
    """Through the layer. Logarithms of sums take the place of a stabiliser where float64 itself would overflow."""
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal((1, 1, 50, 32)).astype("float32") for _ in range(3))
    w = maps.gaussian(64, 32, seed=2)
    for scale in (0.01, 0.25, 1.0, 4.0, 30.0):
        out = run(Performer(64, features, seed=2), scale * q, scale * k, v)[0, 0]
        logs = [log_features(features, scale * x[0, 0].astype("float64") * 32**-0.25, w) for x in (q, k)]
        score = np.logaddexp.reduce(logs[0][:, None, :] + logs[1][None, :, :], axis=-1)
        if np.abs(score).max() < 500:
            assert np.allclose(np.exp(score), np.exp(logs[0]) @ np.exp(logs[1]).T)
        weights = np.exp(score - np.logaddexp.reduce(score, axis=-1)[:, None])
        # the exponent itself is rounded to float32, so the tolerance grows with its size
        assert np.abs(out - weights @ v[0, 0]).max() <= 2e-6 * max(1, scale**2), scale


def test_the_stabilisers_are_constants_to_the_gradient():
    """The gradient of each feature is that of its own exponential: what is taken off, of whatever maximum, has none."""
    u_q, u_k = np.random.default_rng(3).standard_normal((2, 2, 9, 6)).astype("float32")
    paper = lambda q, k: maps.paper_stabiliser(q, k, q, k)
    for stabiliser in (maps.exact_stabiliser, maps.full_stabiliser, paper):
        for place in (0, 1):
            phi, *gradients = differentiate(lambda *u: stabiliser(*u)[place] + 0.0 * u[1 - place], [u_q, u_k])
            assert np.abs(gradients[place] - weighting(phi.shape) * phi).max() <= 1e-6 and not gradients[1 - place].any()


@pytest.mark.parametrize("constant", [-50.0, 3.0, 1e3])
def test_a_constant_in_every_exponent_cancels(constant):
    rng = np.random.default_rng(3)
    u_q, u_k, v = (ops.convert_to_tensor(rng.standard_normal((2, 9, 6)).astype("float32")) for _ in range(3))
    for stabiliser in (maps.exact_stabiliser, maps.full_stabiliser):
        plain = ops.convert_to_numpy(maps.linear_attention(*stabiliser(u_q, u_k), v))
        for shift in ((constant, 0.0), (0.0, constant), (constant, -constant)):
            phi = stabiliser(u_q + shift[0], u_k + shift[1])
            moved = ops.convert_to_numpy(maps.linear_attention(*phi, v))
            assert np.abs(moved - plain).max() <= 1e-6 * max(4.0, abs(constant))  # the exponent is rounded at its own size


def test_the_published_stabiliser_collapses_to_the_mean_and_the_exact_one_does_not():
    rng = np.random.default_rng(4)
    q, k, v = (rng.standard_normal((2, 2, 64, 32)).astype("float32") for _ in range(3))
    mean = v.mean(axis=2, keepdims=True)
    for scale in (0.5, 1.0, 2.0, 3.0):
        far = np.linalg.norm(run(Softmax(), scale * q, scale * k, v) - mean)
        for options in ({}, {"features": "hyperbolic"}, {"projection": "iid"}, {"stabiliser": "full"}):
            ours = np.linalg.norm(run(Performer(32, seed=1, **options), scale * q, scale * k, v) - mean)
            assert ours >= 0.3 * far, (scale, options)
    paper = np.linalg.norm(run(Performer(32, seed=1, stabiliser="paper", epsilon=1e-4), 3 * q, 3 * k, v) - mean)
    assert paper < 0.05 * far


@functools.cache
def rows(m, width, count, orthogonal):
    """`count` projections, `(count, m, width)` float64; kept, because a QR each takes its time."""
    if not orthogonal:
        return np.random.default_rng(11).standard_normal((count, m, width))
    return np.stack([maps.gaussian(m, width, seed) for seed in range(count)]).astype("float64")


def draws(x, y, m, count, orthogonal, features="positive"):
    """`count` estimates of `exp(x.y)` with `m` rows each."""
    w = rows(m, len(x), count, orthogonal)
    a, b = (np.exp(np.concatenate([w @ z, -(w @ z)], -1) - z @ z / 2) if features == "hyperbolic" else np.exp(w @ z - z @ z / 2) for z in (x, y))
    return (a * b).mean(-1)


@pytest.mark.parametrize("features", ["positive", "hyperbolic"])
@pytest.mark.parametrize("orthogonal", [True, False])
def test_the_estimate_is_unbiased(orthogonal, features):
    x = np.full(16, 0.2)
    y = 0.8 * np.concatenate([np.ones(8), -0.5 * np.ones(8)]) / np.sqrt(10)
    for a, b in ((x, x), (x, y)):
        found = draws(a, b, 16, 20_000, orthogonal, features)
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean() - np.exp(a @ b)) <= 3 * error


def test_the_sign_of_the_qr_factors_matters():
    """Without it the estimate is 23 % off in this direction; the bound is ten times closer."""
    x = np.full(16, 0.2)
    ratio = draws(x, x, 16, 20_000, True).mean() / np.exp(x @ x)
    assert 0.97 <= ratio <= 1.03


def test_variance_is_that_of_the_paper_and_orthogonal_rows_lower_it():
    x = 0.8 * np.ones(16) / 4
    y = 0.8 * np.concatenate([np.ones(8), -0.3 * np.ones(8)]) / np.sqrt(8 * 1.09)
    softmax, apart = np.exp(x @ y), np.exp(np.sum((x + y) ** 2))
    theory = apart * softmax**2 * (1 - 1 / apart) / 16
    iid = np.mean((draws(x, y, 16, 40_000, False) - softmax) ** 2)
    assert abs(iid / theory - 1) <= 0.1
    gap = 2 * 15 / (16 * 18) * (softmax - np.exp(-(x @ x + y @ y) / 2)) ** 2
    orthogonal = np.mean((draws(x, y, 16, 20_000, True) - softmax) ** 2)
    assert orthogonal <= 1.05 * (theory - gap)
    hyperbolic = np.mean((draws(x, y, 16, 40_000, False, "hyperbolic") - softmax) ** 2)
    assert abs(hyperbolic / (0.5 * (1 - 1 / apart) * theory) - 1) <= 0.1


def test_error_falls_with_the_number_of_features():
    rng = np.random.default_rng(2)
    q, k = (0.25 * rng.standard_normal((144, 64)) * 64**-0.25 for _ in range(2))
    exact = np.exp(q @ k.T)
    sizes, errors = (16, 64, 256), []
    for m in sizes:
        runs = []
        for seed in range(8):
            w = maps.gaussian(m, 64, seed).astype("float64")
            a, b = (np.exp(z @ w.T - (z * z).sum(1, keepdims=True) / 2) for z in (q, k))
            runs.append(np.sqrt(np.mean((a @ b.T / m / exact - 1) ** 2)))
        errors.append(np.median(runs))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.65 <= slope <= -0.40


def test_many_features_approach_exact_attention():
    rng = np.random.default_rng(2)
    q, k = (0.25 * rng.standard_normal((1, 2, 64, 16)).astype("float32") for _ in range(2))
    v = rng.standard_normal((1, 2, 64, 16)).astype("float32")
    exact = loop(softmax_attention, q, k, v)
    out = run(Performer(8192, seed=0), q, k, v)
    assert np.linalg.norm(out - exact) <= 0.03 * np.linalg.norm(exact)


def test_the_error_of_the_output_is_as_measured_and_falls_with_the_features():
    rng = np.random.default_rng(6)
    q, k = (0.25 * rng.standard_normal((1, 2, 64, 32)).astype("float32") for _ in range(2))
    v = rng.standard_normal((1, 2, 64, 32)).astype("float32")
    exact = loop(softmax_attention, q, k, v)
    error = lambda m, seed: np.linalg.norm(run(Performer(m, seed=seed), q, k, v) - exact) / np.linalg.norm(exact)
    medians = {m: np.median([error(m, seed) for seed in range(8)]) for m in (16, 32, 64, 128, 256)}
    assert medians[32] <= 0.20 and medians[128] <= 0.10
    assert medians[16] > medians[64] > medians[256]


@pytest.mark.parametrize("features", ["positive", "hyperbolic"])
def test_redrawn_projections_are_unbiased(features):
    """200 redraws of one kernel, 100 pairs of vectors: the mean lies within 3 standard errors for 95 of them."""
    rng = np.random.default_rng(8)
    q, k = 0.3 * rng.standard_normal((2, 10, 16))
    kernel = Performer(16, features, seed=4)
    kernel.build(*[(None, 1, 10, 16)] * 3)
    found = []
    for _ in range(200):
        kernel.redraw()
        phi = [np.exp(log_features(features, x * 16**-0.25, ops.convert_to_numpy(kernel.w))) for x in (q, k)]
        found.append(phi[0] @ phi[1].T / phi[0].shape[1])
    away = np.abs(np.mean(found, axis=0) - np.exp(q @ k.T / 4)) / (np.std(found, axis=0, ddof=1) / np.sqrt(200))
    assert np.mean(away <= 3) >= 0.95


def test_positive_features_beat_trigonometric_ones_for_opposite_vectors_and_equal_lengths_are_biased_low():
    x = 0.8 * np.ones(16) / 4
    w = rows(16, 16, 20_000, False)
    trigonometric = np.exp(x @ x) * np.cos(w @ (x - -x)).mean(-1)
    positive = draws(x, -x, 16, 20_000, False)
    exact = np.exp(-x @ x)
    assert np.mean((positive - exact) ** 2) < 0.1 * np.mean((trigonometric - exact) ** 2)
    equal = np.stack([maps.gaussian(16, 16, seed, length="sqrt") for seed in range(2000)]).astype("float64")
    y = 0.8 * np.concatenate([np.ones(8), -np.ones(8)]) / 4
    for b in (x, y):
        estimates = np.exp(equal @ (x + b) - (x @ x + b @ b) / 2).mean(-1)
        assert estimates.mean() < np.exp(x @ b)


def test_random_relu_features_follow_the_arc_cosine_kernel():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 8))
    w = rng.standard_normal((400_000, 8))
    found = np.mean(np.maximum(w @ x, 0) * np.maximum(w @ y, 0))
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    angle = np.arccos(x @ y / lengths)
    expected = lengths / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    assert abs(found / expected - 1) <= 0.02
    kernel = Performer(4096, "relu", "iid", epsilon=1e-6, seed=5)
    q, k = (z.reshape(1, 1, 1, 8).astype("float32") for z in (x, y))
    kernel.build(q.shape, k.shape, k.shape)
    a, b = (ops.convert_to_numpy(z) for z in kernel.phi(ops.convert_to_tensor(q), ops.convert_to_tensor(k)))
    assert abs(float((a * b).sum()) * 8**0.5 / expected - 1) <= 0.15  # q and k are both scaled by 8 ** -0.25


@pytest.mark.parametrize("m, width", [(16, 8), (5, 8), (1, 8), (13, 4)])
def test_rows_are_orthogonal_within_blocks(m, width):
    w = maps.gaussian(m, width, seed=0).astype("float64")
    assert w.shape == (m, width)
    for start in range(0, m, width):
        block = w[start : start + width]
        product = block @ block.T
        assert np.abs(product - np.diag(np.diag(product))).max() <= 1e-4
    long = maps.gaussian(m, width, seed=0, length="sqrt")
    assert np.allclose(np.linalg.norm(long, axis=1), np.sqrt(width), rtol=1e-5)


def test_the_projection_is_drawn_by_numpy_from_the_seed_and_is_not_trained():
    kernel = Performer(4, seed=5)
    kernel.build((None, 2, 7, 3), (None, 2, 7, 3), (None, 2, 7, 3))
    assert not kernel.trainable_weights
    w, draws = (ops.convert_to_numpy(x) for x in kernel.non_trainable_weights)
    assert np.array_equal(w, maps.gaussian(4, 3, seed=5)) and draws == 0
    # a change of NumPy's generator or of the construction would silently change every model: pin it
    assert np.allclose(maps.gaussian(2, 3, seed=0).ravel(), PINNED, atol=1e-6)


PINNED = [0.294259, -0.2855534, -0.5246635, 0.4812638, -0.2163352, 0.3876608]


def test_all_negative_tokens_stay_finite_with_deterministic_relu():
    x = -np.ones((1, 1, 4, 3), "float32")
    assert np.abs(run(Performer(None, "relu"), x, x, np.full_like(x, 2.0)) - 2.0).max() <= 1e-6


@pytest.mark.parametrize(
    "options, words",
    [
        ({"m": 0}, "m"),
        ({"m": -4}, "m"),
        ({"m": None}, "needs a projection"),
        ({"features": "softmx"}, "features"),
        ({"stabiliser": "none"}, "stabiliser"),
        ({"epsilon": 0}, "epsilon"),
        ({"dropout": 1.0}, "dropout"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        Performer(**options)


@pytest.mark.parametrize("m", [2.5, True, "32"])
def test_wrong_types(m):
    with pytest.raises(TypeError, match="`m` must be an integer"):
        Performer(m)
