"""FAVOR+ and generalised kernel attention."""

import math
from functools import partial

import keras
import numpy as np
from keras import ops

from .. import checks
from ..base import make_seed, register
from ..ops import features as maps
from ..ops.precision import promote
from .base import Kernel

LOG_FEATURES = {  # of projections `y = w.x`; those of the softmax kernel less |x|^2 / 2
    "positive": lambda y: y,
    "hyperbolic": maps.both_signs,
    "exp": lambda y: y,
    "elu": maps.log_elu,
}
FEATURES = (*LOG_FEATURES, "relu")
SOFTMAX = ("positive", "hyperbolic")  # maps that estimate the softmax kernel and need a projection
PROJECTIONS = ("orthogonal", "iid")
STABILISERS = ("exact", "full", "paper")
EPSILON = {"relu": 1e-3}  # every other map: 1e-6, and none at all with the exact stabiliser
MAX_PROJECTION = 2**26  # numbers in one layer's projection: 256 MiB


@register
class Performer(Kernel):
    """`phi(q) (phi(k)^T v) / phi(q) (phi(k)^T 1)` with `m` features; time O(tokens * m), memory O(tokens * m).

    >>> q, k, v = keras.random.normal((3, 2, 4, 64, 8))
    >>> tuple(Performer(m=16, seed=0)(q, k, v).shape)
    (2, 4, 64, 8)

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
        if m is None and features in SOFTMAX:
            raise ValueError(f"features={features!r} needs a projection. Received: m=None; give m, the number of its rows.")
        self.projection = checks.choice("projection", projection, PROJECTIONS)
        self.length = checks.choice("length", length, ("chi", "sqrt"))
        self.stabiliser = checks.choice("stabiliser", stabiliser, STABILISERS)
        self.epsilon = epsilon if epsilon is None else checks.number("epsilon", epsilon, 1e-12, 1.0)
        self.dropout = checks.rate("dropout", dropout)
        self.seed = make_seed(seed if seed is None else checks.seed("seed", seed))
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def check(self, q_shape, k_shape, v_shape):
        if self.m is not None:
            check_size(self.m, q_shape[-1])

    def build(self, q_shape, k_shape, v_shape):
        self.check(q_shape, k_shape, v_shape)
        self.w = self.draws = None
        if self.m is not None:
            rows = self._draw(q_shape[-1], self.seed)
            self.w = self.add_weight(
                name="projection", shape=rows.shape, initializer=_constant(rows), trainable=False, dtype="float32", autocast=False
            )
            self.draws = self.add_weight(name="draws", shape=(), initializer="zeros", trainable=False, dtype="int32")
        self.built = True

    def _draw(self, width, seed) -> np.ndarray:
        return maps.gaussian(self.m, width, seed, self.projection == "orthogonal", self.length)

    def redraw(self) -> None:
        """Replace the projection by the next one; `seed` and the saved number of redraws `draws` determine it.

        Raises:
            ValueError: there is no projection, because `m` is `None` or the kernel is not built.
        """
        if not self.built or self.w is None:
            raise ValueError(
                f"A redraw needs a projection. Received: m={self.m}, built={self.built}; give m, and build the model."
            )
        draws = int(ops.convert_to_numpy(self.draws)) + 1
        self.w.assign(self._draw(self.w.shape[-1], [self.seed, draws]))
        self.draws.assign(draws)

    def call(self, q, k, v, mask=None):
        phi_q, phi_k = self.phi(promote(q), promote(k), mask)
        out = maps.linear_attention(phi_q, phi_k, promote(v, phi_k), mask, self._epsilon())
        return self.drop(ops.cast(out, self.compute_dtype))

    def factors(self, q, k, mask=None, rows=slice(None)):
        """`query`, features of the queries over their denominators, `(..., n, m)`; `key`, of the keys, `(..., m, keys)`."""
        phi_q, phi_k = self.phi(promote(q[..., rows, :]), promote(k), mask)
        return dict(zip(("query", "key"), maps.linear_factors(phi_q, phi_k, mask, self._epsilon())))

    def _epsilon(self) -> float:
        exact = self.features != "relu" and self.stabiliser == "exact"
        return 0.0 if exact else EPSILON.get(self.features, 1e-6) if self.epsilon is None else self.epsilon

    def phi(self, q, k, mask=None):
        """Features without epsilon: `(..., n, width) -> (..., n, m)`, `(..., keys, width) -> (..., keys, m)`."""
        scale = q.shape[-1] ** -0.25
        if self.w is None:
            y_q, y_k = q * scale, k * scale
        else:  # the factors, those of relu too, go to the smaller operand
            w = ops.convert_to_tensor(self.w) * (scale * self.m**-0.5 if self.features == "relu" else scale)
            y_q, y_k = maps.project(q, w), maps.project(k, w)
        if self.features == "relu":
            return ops.relu(y_q), ops.relu(y_k)
        u_q, u_k = (LOG_FEATURES[self.features](y) for y in (y_q, y_k))
        if self.stabiliser == "exact":
            return maps.exact_stabiliser(u_q, self._less_norm(u_k, k), mask)
        stabilise = maps.full_stabiliser if self.stabiliser == "full" else partial(maps.paper_stabiliser, y_q=u_q, y_k=u_k)
        return stabilise(self._less_norm(u_q, q), self._less_norm(u_k, k), mask=mask)

    def _less_norm(self, u, x):
        return u - maps.half_norm(x) * x.shape[-1] ** -0.5 if self.features in SOFTMAX else u

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
