"""FAVOR+ and generalised kernel attention."""

import math

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import make_seed, register
from ..ops import features as maps
from ..ops.precision import promote
from .base import Kernel

LOG_FEATURES = {
    "positive": maps.log_positive,
    "hyperbolic": maps.log_hyperbolic,
    "exp": maps.log_exp,
    "elu": maps.log_elu,
}
FEATURES = (*LOG_FEATURES, "relu")
NEEDS_PROJECTION = ("positive", "hyperbolic")
PROJECTIONS = ("orthogonal", "iid")
STABILISERS = ("exact", "full", "paper")
EPSILON = {"relu": 1e-3}  # every other map: 1e-6, and none at all with the exact stabiliser
MAX_PROJECTION = 2**26  # numbers in one layer's projection: 256 MiB


@register
class Performer(Kernel):
    """`phi(q) (phi(k)^T v) / phi(q) (phi(k)^T 1)` with `m` features; time O(tokens * m), memory O(tokens * m).

    Args:
        m: number of rows of the random projection, at least 1; `None` applies the map to `q` and `k` themselves
            (deterministic, as many features as a head is wide). `positive` and `hyperbolic` need a projection.
        features: the map `phi`. `positive`: `exp(Wx - |x|^2/2)`, an unbiased estimate of the softmax kernel; `hyperbolic`: the
            same with `W` and `-W`, `2 m` features of lower variance; `relu`: `max(Wx, 0) / sqrt(m) + epsilon`; `exp`: `exp(Wx)`;
            `elu`: `elu(Wx) + 1`. The last three define kernels of their own and do not approximate softmax.
        projection: `orthogonal` rows within blocks of the head's width, or `iid` ones.
        length: length of orthogonal rows, `chi` as Gaussian vectors or `sqrt` for `sqrt(width)` (biased low, lower variance).
        stabiliser: `exact` (no epsilon, denominator at least 1), `full` or `paper`; of no effect on `relu`.
        epsilon: added to every feature; default 1e-3 for `relu`, 1e-6 for the `full` and `paper` stabilisers. `exact` has none.
        dropout: rate on the output while training, since there are no weights to drop.
        seed: of the projection, which NumPy draws at build, the same on every backend; it is a saved, non-trainable weight.

    Everything inside runs in float32. `q` and `k` are both scaled by `width ** -0.25`, which has lower variance than scaling
    `q` alone. A random head with `m` features costs more arithmetic than exact attention where `m > tokens / 2`.

    Source: Choromanski et al. 2020, arXiv:2009.14794, sections 2.2 to 2.4; elu: Katharopoulos et al. 2020, arXiv:2006.16236.
    Differs: the stabiliser, and the sign of the QR factors (see `ops/features.py`).
    """

    def __init__(
        self,
        m: int | None = 64,
        features: str = "positive",
        projection: str = "orthogonal",
        length: str = "chi",
        stabiliser: str = "exact",
        epsilon: float | None = None,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.features = checks.choice("features", features, FEATURES)
        self.m = m if m is None else checks.integer("m", m)
        if m is None and features in NEEDS_PROJECTION:
            raise ValueError(f"features={features!r} needs a projection. Received: m=None; give m, the number of its rows.")
        self.projection = checks.choice("projection", projection, PROJECTIONS)
        self.length = checks.choice("length", length, ("chi", "sqrt"))
        self.stabiliser = checks.choice("stabiliser", stabiliser, STABILISERS)
        self.epsilon = epsilon if epsilon is None else checks.number("epsilon", epsilon, 1e-12, 1.0)
        self.dropout = checks.rate("dropout", dropout)
        self.seed = make_seed(seed if seed is None else checks.seed("seed", seed))
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, q_shape, k_shape, v_shape):
        self.w = None
        if self.m is not None:
            check_size(self.m, q_shape[-1])
            rows = maps.gaussian(self.m, q_shape[-1], self.seed, self.projection == "orthogonal", self.length)
            self.w = self.add_weight(
                name="projection", shape=rows.shape, initializer=_constant(rows), trainable=False, dtype="float32", autocast=False
            )
        self.built = True

    def call(self, q, k, v, mask=None):
        scale = q.shape[-1] ** -0.25
        w = None if self.w is None else ops.convert_to_tensor(self.w)
        phi_q, phi_k = self.phi(promote(q) * scale, promote(k) * scale, w, mask)
        return self.drop(ops.cast(maps.linear_attention(phi_q, phi_k, promote(v), mask), self.compute_dtype))

    def phi(self, q, k, w, mask=None):
        """Features of scaled queries and keys: `(..., n, width) -> (..., n, m)`, `(..., keys, width) -> (..., keys, m)`."""
        epsilon = EPSILON.get(self.features, 1e-6) if self.epsilon is None else self.epsilon
        if self.features == "relu":
            return tuple(self._relu(x, w, epsilon) for x in (q, k))
        log = LOG_FEATURES[self.features]
        u_q, u_k = log(q, w), log(k, w)
        if self.stabiliser == "exact":
            return maps.exact_stabiliser(u_q, u_k, mask)
        if self.stabiliser == "full":
            return maps.full_stabiliser(u_q, u_k, mask, epsilon)
        return maps.paper_stabiliser(u_q, u_k, maps.project(q, w), maps.project(k, w), mask, epsilon)

    def _relu(self, x, w, epsilon):
        y = maps.project(x, w)
        return ops.relu(y) * (1.0 if w is None else y.shape[-1] ** -0.5) + epsilon

    def multiply_adds(self, q_shape, k_shape, v_shape):
        width, q_tokens, k_tokens = q_shape[-1], math.prod(q_shape[:-1]), math.prod(k_shape[:-1])
        width_phi = (self.m or width) * (2 if self.features == "hyperbolic" else 1)
        project = 0 if self.m is None else self.m * width * (q_tokens + k_tokens)
        return project + width_phi * (v_shape[-1] * (q_tokens + k_tokens) + q_tokens)


def check_size(m: int, width: int) -> None:
    """A projection that fits the memory of small machines."""
    if m * width > MAX_PROJECTION:
        raise ValueError(
            f"The projection would hold m * width = {m * width:,} numbers, the limit is {MAX_PROJECTION:,}. Received: m={m}."
        )


def _constant(values: np.ndarray):
    def initialise(shape, dtype=None):
        return ops.convert_to_tensor(values, dtype=dtype)

    return initialise
