"""Iterative Moore-Penrose inverse."""

from keras import ops


def pseudo_inverse(a, iterations: int):
    """Approximate pseudo-inverse of `(..., m, m)` matrices by a cubic Newton-Schulz iteration.

    The start is scaled by each matrix' own norms, so one sample never changes another's result.

    Source: Xiong et al. 2021, arXiv:2102.03902, section 3.3 (after Razavi et al. 2014). The published code divides by the
    largest norms in the batch instead.
    """
    size = ops.abs(a)
    norm = ops.max(ops.sum(size, axis=-1), axis=-1) * ops.max(ops.sum(size, axis=-2), axis=-1)
    z = ops.swapaxes(a, -1, -2) / norm[..., None, None]
    eye = ops.eye(a.shape[-1], dtype=a.dtype)
    for _ in range(iterations):
        az = ops.matmul(a, z)
        z = 0.25 * ops.matmul(z, 13.0 * eye - ops.matmul(az, 15.0 * eye - ops.matmul(az, 7.0 * eye - az)))
    return z
