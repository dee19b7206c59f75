"""How far a trained model's attention is from exact softmax attention with the very same queries, keys and values."""

from typing import Any

import keras
import numpy as np

IMAGES = 16
LARGEST = 2**27  # weights of one image in one layer, heads * queries * keys, that are worth 1 GiB


def kernel_error(model: keras.Model, images: Any) -> float | None:
    """The mean relative error of the kernels' output over up to 16 images, all layers and all heads.

    Of one head, one layer and one image it is `|kernel(q, k, v) - softmax(q k^T / sqrt(width)) v| / |softmax(...) v|` in
    Frobenius' norm, the exact side in float64. Where a kernel estimates the softmax (Performer with positive features,
    Linformer, Nyströmformer) it is the error of the estimate; where it defines an attention of its own (features `relu`, `exp`)
    it says how far that is from softmax; of exact attention it is rounding.

    Args:
        model: of a preset, trained or not.
        images: `(n, height, width, channels)`, pixels 0 to 255; the first 16 are used.

    Returns:
        None for mixers without attention over all tokens (windows, Fourier, token MLP, ...), kernels that mean something else
        (locality self-attention, talking heads, binary), more weights than fit, and values that are no numbers.
    """
    from ..parts import Residual

    blocks = [layer for layer in model.layers if isinstance(layer, Residual) and comparable(layer.inner)]
    if not blocks:
        return None
    inputs = keras.Model(model.input, [layer.input for layer in blocks])
    errors = []
    for image in np.asarray(images[:IMAGES]):
        found = inputs(image[None].astype("float32"), training=False)
        for block, given in zip(blocks, found if isinstance(found, (list, tuple)) else [found], strict=True):
            one = block_errors(block, *keras.tree.flatten(given))
            if one is None:
                return None
            errors.append(one)
    mean = float(np.mean(errors))
    return mean if np.isfinite(mean) else None


def comparable(mixer: Any) -> bool:
    """Whether a mixer's kernel attends from all tokens to all tokens in a way that softmax attention can be laid beside."""
    from ..kernels import Linformer, Nystrom, Performer, Softmax
    from ..mixers import Attention
    from ..mixers.conv import ConvAttention

    if not isinstance(mixer, (Attention, ConvAttention)):
        return False
    kernel = mixer.kernel
    return isinstance(kernel, (Linformer, Nystrom, Performer)) or (isinstance(kernel, Softmax) and not kernel.causal)


def block_errors(block: Any, x: Any, *projection: Any) -> float | None:
    """The mean error of one block's heads on one image, from what comes into the block; None if the weights do not fit."""
    mixer = block.inner
    shared = {"projection": projection[0]} if projection else {}
    return kernel_distance(mixer.kernel, *mixer.project(block.entering(x)), **shared)


def kernel_distance(kernel: Any, q: Any, k: Any, v: Any, **shared: Any) -> float | None:
    """The mean relative error of a kernel's heads beside exact attention on one sample, `(1, heads, n, width)` each.

    None if the weights of exact attention do not fit.
    """
    if q.shape[1] * q.shape[2] * k.shape[2] > LARGEST:
        return None
    attended = getattr(kernel, "attended", kernel)  # without what a kernel adds to the attention
    ours = array(attended(q, k, v, **shared))
    exact = softmax_attention(*(array(one) for one in (q, k, v)))
    return float(np.mean(norm(ours - exact) / norm(exact)))


def array(x: Any) -> np.ndarray:
    """`(1, heads, n, width)` as float64 in NumPy, without the first axis."""
    return keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))[0].astype("float64")


def softmax_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`softmax(q k^T / sqrt(width)) v` of each head: `(heads, n, width), 2 x (heads, keys, width) -> (heads, n, width)`."""
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v


def norm(x: np.ndarray) -> np.ndarray:
    """Frobenius' norm of each head: `(heads, n, width) -> (heads,)`."""
    return np.sqrt((x**2).sum(axis=(-1, -2)))
