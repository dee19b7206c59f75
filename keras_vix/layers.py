"""The public shelf: ordinary Keras layers for anyone's model, under the names that people look for.

Those named after a method only choose a kernel for the one attention mixer; there is no second implementation.
"""

from . import checks
from .base import Layer, register
from .kernels import LSA, Linformer, Nystrom, Performer, Softmax, TalkingHeads
from .mixers import (
    AtrousAttention,
    Attention,
    BinaryAttention,
    ConvAttention,
    FourierMixing,
    LeViTAttention,
    LocalAttention1D,
    LocalWindowAttention2D,
    ShiftedWindow,
    TokenMLP,
)
from .parts import (
    MLP,
    BinaryMLP,
    BinaryMerging,
    Bottleneck,
    ClassAttention,
    ClassAttentionPool,
    ConvEmbedding,
    ConvReduction,
    DepthwiseReduction,
    InvertedResidual,
    LearnedPosition,
    LocalPerception,
    PatchEmbedding,
    PatchMerging,
    Prefix,
    ResNetEmbedding,
    Residual,
    RotaryEmbedding,
    SequencePool,
    ShiftedPatchEmbedding,
    ShiftedPatchReduction,
    SinCosPosition,
    SinusoidPosition,
    StandardConv2D,
    T2TEmbedding,
    TokenProjection,
    TokenTransformer,
    Tokens,
)
from .primitives import Affine, BinaryConv2D, BinaryDense, BinaryProjection, BinarySign, ChannelNorm, RPReLU


@register
class PerformerAttention(Attention):
    """Multi-head attention with (random) features, linear in the tokens: `(batch, n, dim) -> (batch, n, dim)`.

    Called as `layer(query, value=None, key=None, mask=None)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(PerformerAttention(num_heads=4, num_features=16)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, rope, use_bias, out_dropout: as in `Attention`.
        num_features: rows of the random projection (`hyperbolic` makes twice as many features); `None` for a deterministic map.
        features, projection, length, stabiliser, epsilon, dropout, seed: as in `Performer`.

    Source: Choromanski et al. 2020, arXiv:2009.14794.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        num_features: int | None = 64,
        features: str = "positive",
        projection: str = "orthogonal",
        length: str = "chi",
        stabiliser: str = "exact",
        epsilon: float | None = None,
        dropout: float = 0.0,
        seed: int | None = None,
        rope: Layer | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        **kwargs,
    ):
        if num_features is not None:
            checks.integer("num_features", num_features)

        def kernel():
            return Performer(
                num_features, features, projection, length, stabiliser, epsilon, dropout, seed,
                name="kernel", dtype=kwargs.get("dtype"),
            )  # fmt: skip

        super().__init__(num_heads, key_dim, kernel, rope, use_bias, out_dropout, **kwargs)
        self.num_features = num_features
        self.features, self.projection, self.length, self.stabiliser = features, projection, length, stabiliser
        self.epsilon, self.dropout, self.seed = epsilon, dropout, self.kernel.seed


@register
class LinformerAttention(Attention):
    """Multi-head attention over projected tokens, linear in the tokens: `(batch, n, dim) -> (batch, n, dim)`.

    Called as `layer(query, value=None, key=None, mask=None)`, with `projection=` from a `TokenProjection` if `share="layer"`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(LinformerAttention(num_heads=4, proj_dim=16)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, rope, use_bias, out_dropout: as in `Attention`.
        proj_dim: number of projected tokens, 1 to the number of keys.
        share, start, dropout: as in `Linformer`.

    Source: Wang et al. 2020, arXiv:2006.04768.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        proj_dim: int = 64,
        share: str = "head",
        start: str = "uniform",
        dropout: float = 0.0,
        rope: Layer | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        **kwargs,
    ):
        checks.integer("proj_dim", proj_dim)

        def kernel():
            return Linformer(proj_dim, share, start, dropout, name="kernel", dtype=kwargs.get("dtype"))

        super().__init__(num_heads, key_dim, kernel, rope, use_bias, out_dropout, **kwargs)
        self.proj_dim, self.share, self.start, self.dropout = proj_dim, share, start, dropout


@register
class NystromAttention(Attention):
    """Multi-head attention through landmarks, linear in the tokens: `(batch, n, dim) -> (batch, n, dim)`.

    Called as `layer(query, value=None, key=None, mask=None)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(NystromAttention(num_heads=4, num_landmarks=16)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, rope, use_bias, out_dropout: as in `Attention`.
        num_landmarks: 1 to the number of tokens.
        iterations, convolution, dropout, runs: as in `Nystrom`.

    Source: Xiong et al. 2021, arXiv:2102.03902.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        num_landmarks: int = 64,
        iterations: int = 12,
        convolution: int | None = None,
        dropout: float = 0.0,
        rope: Layer | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        runs: str = "even",
        **kwargs,
    ):
        checks.integer("num_landmarks", num_landmarks)

        def kernel():
            return Nystrom(num_landmarks, iterations, convolution, dropout, runs, name="kernel", dtype=kwargs.get("dtype"))

        super().__init__(num_heads, key_dim, kernel, rope, use_bias, out_dropout, **kwargs)
        self.num_landmarks, self.iterations, self.convolution, self.dropout = num_landmarks, iterations, convolution, dropout
        self.runs = runs


@register
class LocalitySelfAttention(Attention):
    """Multi-head attention of each token to all but itself, with a learned scale: `(batch, n, dim) -> (batch, n, dim)`.

    Called as `layer(query, value=None, key=None, mask=None)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(LocalitySelfAttention(num_heads=4)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, rope, use_bias, out_dropout: as in `Attention`.
        learned_scale, diagonal, dropout: as in `LSA`.

    Source: Lee et al. 2021, arXiv:2112.13492, section 3.2.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        learned_scale: bool = True,
        diagonal: bool = False,
        dropout: float = 0.0,
        rope: Layer | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        **kwargs,
    ):
        def kernel():
            return LSA(learned_scale, diagonal, dropout, name="kernel", dtype=kwargs.get("dtype"))

        super().__init__(num_heads, key_dim, kernel, rope, use_bias, out_dropout, **kwargs)
        self.learned_scale, self.diagonal, self.dropout = learned_scale, diagonal, dropout


@register
class TalkingHeadsAttention(Attention):
    """Multi-head attention whose heads are mixed before and after the softmax: `(batch, n, dim) -> (batch, n, dim)`.

    Called as `layer(query, value=None, key=None, mask=None)`.

    >>> tokens = keras.random.normal((2, 64, 32))
    >>> tuple(TalkingHeadsAttention(num_heads=4)(tokens).shape)
    (2, 64, 32)

    Args:
        num_heads, key_dim, rope, use_bias, out_dropout: as in `Attention`.
        mix_bias, mix_std, dropout: as in `TalkingHeads`.

    Source: Shazeer et al. 2020, arXiv:2003.02436.
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        mix_bias: bool = True,
        mix_std: float = 0.02,
        dropout: float = 0.0,
        rope: Layer | None = None,
        use_bias: bool = True,
        out_dropout: float = 0.0,
        **kwargs,
    ):
        def kernel():
            return TalkingHeads(mix_bias, mix_std, dropout=dropout, name="kernel", dtype=kwargs.get("dtype"))

        super().__init__(num_heads, key_dim, kernel, rope, use_bias, out_dropout, **kwargs)
        self.mix_bias, self.mix_std, self.dropout = mix_bias, mix_std, dropout


__all__ = [
    "Affine", "AtrousAttention", "Attention", "BinaryAttention", "BinaryConv2D", "BinaryDense", "BinaryMLP", "BinaryMerging",
    "BinaryProjection", "BinarySign", "Bottleneck", "ChannelNorm", "ClassAttention", "ClassAttentionPool", "ConvAttention",
    "ConvEmbedding", "ConvReduction", "DepthwiseReduction", "FourierMixing", "InvertedResidual", "LSA", "LeViTAttention",
    "LearnedPosition", "Linformer", "LinformerAttention", "LocalAttention1D", "LocalPerception", "LocalWindowAttention2D",
    "LocalitySelfAttention", "MLP", "Nystrom", "NystromAttention", "PatchEmbedding", "PatchMerging", "Performer",
    "PerformerAttention", "Prefix", "RPReLU", "ResNetEmbedding", "Residual", "RotaryEmbedding", "SequencePool",
    "ShiftedPatchEmbedding", "ShiftedPatchReduction", "ShiftedWindow", "SinCosPosition", "SinusoidPosition", "Softmax",
    "StandardConv2D", "T2TEmbedding", "TalkingHeads", "TalkingHeadsAttention", "TokenMLP", "TokenProjection",
    "TokenTransformer", "Tokens",
]  # fmt: skip
