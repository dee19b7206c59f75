"""The contract of a kernel."""

from ..base import Layer


class Kernel(Layer):
    """How the product of every head is computed: `(q, k, v) -> out`.

    `q` is `(..., heads, n, width)`, `k` and `v` are `(..., heads, keys, width)`, `out` has the shape of `q`. `mask` is boolean,
    true for the keys that take part, and broadcasts against `(..., heads, keys)`. A kernel that names `bias` in its `call`
    has scores, to which a `(..., heads, n, keys)` bias can be added; one that names `projection` can be given a shared one.

    A kernel that `compresses` can do with fewer tokens before keys and values are made of them: its `compress` gives
    those tokens, and its inner kernel `exact` takes what is made of them.

    Every kernel is linear in the values, so there is a matrix `(n, keys)` for each head that gives `out`: its map. `factors`
    gives the matrices whose product it is; a kernel that is `dense` has only one, the map itself.

    >>> class Mean(Kernel):
    ...     def call(self, q, k, v, mask=None):
    ...         return ops.zeros_like(q) + ops.mean(v, axis=-2, keepdims=True)
    ...
    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(keras_vix.layers.Attention(num_heads=4, kernel=Mean())(tokens).shape)
    (2, 64, 32)
    """

    compresses = False
    dense = False

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # a float32 bias must not be cast to float16, where -1e9 is infinite
        self.supports_masking = True

    def compute_mask(self, *inputs, **masks):
        """None: a mask of keys says nothing of the queries, which the output follows."""
        return None

    def check(self, q_shape, k_shape, v_shape) -> None:
        """Refuse shapes that no weights fit, before any is made; `build` does so too."""

    def build(self, q_shape, k_shape, v_shape):
        self.check(q_shape, k_shape, v_shape)
        self.built = True

    def factors(self, q, k, mask=None, rows: slice = slice(None)) -> dict:
        """Matrices in float32 by name, in the order of their product, `(..., heads, n, keys)`, the map without dropout.

        Arguments as in a call, also `bias` and `projection` where that takes them; `rows` are the queries that are wanted.
        A matrix other than the first may lack axes in front.

        Raises:
            TypeError: the kernel has no such method.
        """
        raise TypeError(f"A map needs a kernel with a method `factors`. Received: kernel={type(self).__name__}; write one.")

    def residual_taps(self):
        """Weights `(size, heads)` of a convolution of the values along the tokens that joins the product, or `None`."""
        return None

    def compute_output_shape(self, q_shape, k_shape, v_shape):
        return (*q_shape[:-1], v_shape[-1])
