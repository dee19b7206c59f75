"""Between tokens and heads."""

from keras import ops


def split_heads(x, num_heads: int):
    """`(batch, tokens, num_heads * width) -> (batch, num_heads, tokens, width)`."""
    tokens, width = ops.shape(x)[1:]
    return ops.transpose(ops.reshape(x, (-1, tokens, num_heads, width // num_heads)), (0, 2, 1, 3))


def merge_heads(x):
    """`(batch, num_heads, tokens, width) -> (batch, tokens, num_heads * width)`; the inverse of `split_heads`."""
    num_heads, tokens, width = ops.shape(x)[1:]
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, tokens, num_heads * width))
