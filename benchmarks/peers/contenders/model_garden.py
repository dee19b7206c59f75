"""TensorFlow Model Garden's kernel attention, a layer of the Keras before Keras 3; only its own file is imported."""

from ..place import Part, Place
from .single_file import load_file


def kernel_attention(place: Place, transform: str) -> Part:
    """`KernelAttention` with so many random features and a fixed projection; `transform` is `exp` or `relu`."""
    import tensorflow as tf

    file = load_file("official", "nlp/modeling/layers/kernel_attention.py")
    layer = file.KernelAttention(
        num_heads=place.heads, key_dim=place.key_dim, feature_transform=transform, num_random_features=place.rank
    )
    small = tf.zeros((1, 8, place.dim))  # its weights do not depend on the tokens
    layer(small, small)
    return Part(layer, copies=2)
