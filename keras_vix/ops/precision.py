"""The float32 island: where exponentials, sums and quotients are safe whatever the policy."""

from keras import backend, ops


def promote(x):
    """`x` in float32, or untouched if it is float64.

    Float16 loses sums over a thousand tokens and underflows in every exponential feature; bfloat16 has 8 bits of
    mantissa. Feature maps, softmax, denominators and pseudo-inverses therefore run on promoted tensors under every policy.
    """
    return x if backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")
