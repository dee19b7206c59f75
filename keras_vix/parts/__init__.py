"""Everything a model is made of besides its mixers: one table for each choice."""

from .class_attention import ClassAttention, ClassAttentionPool
from .embeds import ConvEmbedding, PatchEmbedding
from .ffns import MLP
from .heads import DistilledHead, LinearHead, MeanLogits, MLPHead
from .norms import ChannelNorm
from .pools import FirstPool, FlattenPool, MeanPool, PrefixPool, SequencePool
from .positions import LearnedPosition, RotaryEmbedding, SinCosPosition
from .reduces import ConvReduction, DepthwiseReduction, PatchMerging
from .residual import Residual
from .shifted import ShiftedPatchEmbedding, ShiftedPatchReduction
from .tokens import Prefix, TokenProjection, Tokens

EMBEDS = {"patch": PatchEmbedding, "conv": ConvEmbedding, "spt": ShiftedPatchEmbedding}
POSITIONS = {"none": None, "learned": LearnedPosition, "sincos": SinCosPosition, "rope": RotaryEmbedding}
FFNS = {"mlp": MLP}
REDUCES = {
    "merge": PatchMerging,
    "conv": ConvReduction,
    "depthwise": DepthwiseReduction,
    "spt": ShiftedPatchReduction,
}
POOLS = {
    "mean": MeanPool,
    "first": FirstPool,
    "prefix": PrefixPool,
    "sequence": SequencePool,
    "flatten": FlattenPool,
    "class_attention": ClassAttentionPool,
}
HEADS = {"linear": LinearHead, "mlp": MLPHead, "distilled": DistilledHead}

__all__ = [
    "EMBEDS", "FFNS", "HEADS", "POOLS", "POSITIONS", "REDUCES",
    "ChannelNorm", "ClassAttention", "ClassAttentionPool", "ConvEmbedding", "ConvReduction", "DepthwiseReduction",
    "DistilledHead", "FirstPool", "FlattenPool", "LearnedPosition", "LinearHead", "MLP", "MLPHead", "MeanLogits", "MeanPool",
    "PatchEmbedding", "PatchMerging", "Prefix", "PrefixPool", "Residual", "RotaryEmbedding", "SequencePool",
    "ShiftedPatchEmbedding", "ShiftedPatchReduction", "SinCosPosition", "TokenProjection", "Tokens",
]  # fmt: skip
