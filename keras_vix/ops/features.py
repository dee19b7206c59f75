"""Random features for kernelised attention: projections, exponents and their stabilisers.

Notation: `q`, `k` are already scaled by `width ** -0.25`; `w` is `(m, width)`; a *log feature* `u` stands for the feature
`exp(u)`, so that factors can be moved about before anything overflows.
"""

import numpy as np
from keras import ops

from .dense import NEVER, inner, outer

TINY = 1e-30  # denominators are at least 1 by construction, except where every key is masked


def gaussian(m: int, width: int, seed: int | list[int], orthogonal: bool = True, length: str = "chi") -> np.ndarray:
    """`(m, width)` float32 projection with standard normal rows, orthogonal within blocks of `width` rows.

    A Householder QR does not give Haar-distributed factors: without the sign of R's diagonal the positive estimator is
    biased by up to 23 %. With `length="chi"` each row has the length of a Gaussian vector, with `"sqrt"` exactly
    `sqrt(width)` (regularised kernel: lower variance, biased low).

    Source: Choromanski et al. 2020, arXiv:2009.14794, section 2.4 and appendix B; the sign: Mezzadri 2006, math-ph/0609050.
    """
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((m, width))
    if orthogonal:
        blocks = [_haar(rng, width) for _ in range(-(-m // width))]
        rows = np.concatenate(blocks)[:m] * np.linalg.norm(rows, axis=1, keepdims=True)
    if length == "sqrt":
        rows *= np.sqrt(width) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype("float32")


def _haar(rng: np.random.Generator, width: int) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return (q * np.sign(np.diag(r))).T


def project(x, w):
    """`(..., n, width) -> (..., n, m)`: products with the rows of `w`; `x` itself without a projection."""
    return x if w is None else ops.matmul(x, ops.transpose(w))


def half_norm(x):
    """`|x|^2 / 2` of each token: `(..., n, width) -> (..., n, 1)`; taken off its log features, those of the softmax kernel."""
    return 0.5 * ops.sum(ops.square(x), axis=-1, keepdims=True)


def both_signs(y):
    """Every projection and its negative, `2 m` features: lower variance (arXiv:2009.14794, lemma 1, hyperbolic cosine)."""
    return ops.concatenate([y, -y], axis=-1)


def log_elu(y):
    """Log features of `elu(y) + 1` (Katharopoulos et al. 2020, arXiv:2006.16236, eq. 7)."""
    return ops.minimum(y, 0.0) + ops.log1p(ops.relu(y))


def exact_stabiliser(u_q, u_k, mask=None):
    """Features that are exactly `exp(u)` up to factors which cancel in the quotient, at any scale.

    The largest log feature over the keys, `c_j`, is taken off each feature `j` of the keys and given to the queries:
    `phi_k = exp(u_k - c)` and `phi_q = exp(u_q + c - max_j(u_q + c))`. The largest feature of each query is then 1 and
    its sum over the keys at least 1: the denominator is at least 1, and no epsilon is needed.
    All factors are per sample and head and carry no gradient. Whatever is the same for all features of a query cancels too and
    may be left out of `u_q`, such as its `|x|^2 / 2`.
    """
    c = _largest_key(u_k, mask, axis=-2)
    u_q = u_q + c
    return ops.exp(u_q - _largest(u_q)), _key_exp(u_k - c, mask)


def full_stabiliser(u_q, u_k, mask=None):
    """`exp(u - max)`, the maximum over features (queries) or features and keys (keys) of the whole exponent."""
    return ops.exp(u_q - _largest(u_q)), _key_exp(u_k - _largest_key(u_k, mask, axis=(-1, -2)), mask)


def paper_stabiliser(u_q, u_k, y_q, y_k, mask=None):
    """As published: the maximum is taken over the projections `y` alone, without `|x|^2 / 2`.

    Kept for parity with the literature: for unit-variance inputs it collapses towards uniform attention.

    Source: arXiv:2009.14794, appendix A and its reference code.
    """
    return ops.exp(u_q - _largest(y_q)), _key_exp(u_k - _largest_key(y_k, mask, axis=(-1, -2)), mask)


def _largest(u):
    return ops.stop_gradient(ops.max(u, axis=-1, keepdims=True))


def _largest_key(u, mask, axis):
    if mask is None:
        return ops.stop_gradient(ops.max(u, axis=axis, keepdims=True))
    top = ops.max(ops.where(ops.expand_dims(mask, -1), u, -np.inf), axis=axis, keepdims=True)
    return ops.stop_gradient(ops.where(top == -np.inf, 0.0, top))  # a sample may have no key at all


def _key_exp(u, mask):
    """`exp(u)`, 0 for masked keys, whose own exponent may be anything and must not reach `exp` or its gradient."""
    return ops.exp(u) if mask is None else ops.exp(ops.where(ops.expand_dims(mask, -1), u, NEVER))


def linear_attention(phi_q, phi_k, v, mask=None, epsilon: float = 0.0):
    """`phi_q (phi_k^T v) / phi_q (phi_k^T 1)` from right to left, where `epsilon` is added to every feature.

    `(..., n, m), (..., keys, m), (..., keys, width) -> (..., n, width)`.

    Masked keys are multiplied by 0 *after* the feature map; a row without keys gives 0. `epsilon` is added to the sums over the
    tokens, not to `(n, m)` features: `(a + e)(b + e)` is summed as `a b + e (a + b) + e^2`.
    """
    if mask is not None:
        mask = ops.expand_dims(mask, -1)
        phi_k, v = (ops.where(mask, x, 0.0) for x in (phi_k, v))
    context, total = key_sums(phi_k, v), ops.sum(phi_k, axis=-2)
    if epsilon:
        keys = v.shape[-2] if mask is None else ops.sum(ops.cast(mask, v.dtype), axis=-2)
        context, total = context + epsilon * ops.sum(v, axis=-2, keepdims=True), total + epsilon * keys
    out, norm = ops.matmul(phi_q, context), ops.matmul(phi_q, ops.expand_dims(total, -1))[..., 0]
    if epsilon:
        out = out + epsilon * ops.sum(context, axis=-2, keepdims=True)
        norm = norm + epsilon * ops.sum(total, axis=-1, keepdims=True)
    return out * ops.expand_dims(_inverse(norm), -1)


def _inverse(norm):
    return ops.reciprocal(ops.maximum(norm, TINY))


def linear_factors(phi_q, phi_k, mask=None, epsilon: float = 0.0):
    """What `linear_attention` multiplies the values by, as a product: `(..., n, m), (..., m, keys)`; arguments as there."""
    phi_q, phi_k = (phi + epsilon if epsilon else phi for phi in (phi_q, phi_k))
    if mask is not None:
        phi_k = ops.where(ops.expand_dims(mask, -1), phi_k, 0.0)
    norm = ops.matmul(phi_q, ops.expand_dims(ops.sum(phi_k, axis=-2), -1))
    return phi_q * _inverse(norm), ops.swapaxes(phi_k, -1, -2)


@ops.custom_gradient
def key_sums(phi_k, v):
    """`phi_k^T v`: `(..., keys, m), (..., keys, width) -> (..., m, width)`.

    The gradient is written out because TensorFlow's own, of a product that contracts the tokens, transposes the features.
    """

    def gradient(*args, upstream=None):
        g = args[0] if upstream is None else upstream
        return outer(v, g), ops.matmul(phi_k, g)

    return inner(phi_k, v), gradient
