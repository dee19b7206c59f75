"""Independent references: plain loops over heads, tokens and features in float64."""

import numpy as np


def softmax_attention(q, k, v, keep=None):
    """Exact attention of one sample and head, `(n, width)` each; `keep` says which keys take part."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q.astype("float64")):
        weights = np.array([np.exp(query @ key / np.sqrt(len(query))) for key in k.astype("float64")])
        if keep is not None:
            weights = weights * keep
        out[i] = sum(w * value for w, value in zip(weights / weights.sum(), v.astype("float64")))
    return out


def kernel_attention(q, k, v, phi):
    """`sum_j phi(q_i).phi(k_j) v_j / sum_j phi(q_i).phi(k_j)` of one sample and head, without any stabiliser."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q.astype("float64")):
        weights = np.array([phi(query) @ phi(key) for key in k.astype("float64")])
        out[i] = sum(w * value for w, value in zip(weights / weights.sum(), v.astype("float64")))
    return out


def loop(function, q, k, v):
    """`function` of every sample and head of `(batch, heads, n, width)` tensors."""
    return np.stack([np.stack([function(*head) for head in zip(*sample)]) for sample in zip(q, k, v)])


def slopes(function, arrays, step=1e-5):
    """Central differences in float64 of the number `function(*arrays)`, for every entry of every array."""
    arrays = [x.astype("float64") for x in arrays]
    found = []
    for x in arrays:
        slope = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            here, x[place] = x[place], x[place] + step
            above, x[place] = function(*arrays), here - step
            slope[place], x[place] = (above - function(*arrays)) / (2 * step), here
        found.append(slope)
    return found
