"""The float32 island: where exponentials, sums and quotients are safe whatever the policy."""

from keras import backend, ops


def promote(x, weight=None):
    """`x` in float32, or untouched if it is float64; beside a `weight` only if that is float64 too.

    Float16 loses sums over a thousand tokens and underflows in every exponential feature; bfloat16 has 8 bits of
    mantissa. Feature maps, softmax, denominators and pseudo-inverses therefore run on promoted tensors under every policy.
    """
    wide = all(backend.standardize_dtype(one.dtype) == "float64" for one in (x, weight) if one is not None)
    return x if wide else ops.cast(x, "float32")
