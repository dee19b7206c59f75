"""Everything a model is made of besides its mixers: one table for each choice."""

from .class_attention import ClassAttention, ClassAttentionPool
from .embeds import ConvEmbedding, PatchEmbedding
from .ffns import MLP
from .heads import LinearHead, MLPHead
from .locals import InvertedResidual
from .norms import ChannelNorm
from .pools import FirstPool, FlattenPool, MeanPool, SequencePool
from .positions import LearnedPosition, RotaryEmbedding, SinCosPosition
from .reduces import ConvReduction, DepthwiseReduction, PatchMerging
from .residual import Residual
from .shifted import ShiftedPatchEmbedding, ShiftedPatchReduction
from .tokens import Prefix, TokenProjection, Tokens

EMBEDS = {"patch": PatchEmbedding, "conv": ConvEmbedding, "spt": ShiftedPatchEmbedding}
POSITIONS = {"none": None, "learned": LearnedPosition, "sincos": SinCosPosition, "rope": RotaryEmbedding}
FFNS = {"mlp": MLP}
LOCALS = {"none": None, "inverted": InvertedResidual}
REDUCES = {
    "merge": PatchMerging,
    "conv": ConvReduction,
    "depthwise": DepthwiseReduction,
    "spt": ShiftedPatchReduction,
}
POOLS = {
    "mean": MeanPool,
    "first": FirstPool,
    "sequence": SequencePool,
    "flatten": FlattenPool,
    "class_attention": ClassAttentionPool,
}
HEADS = {"linear": LinearHead, "mlp": MLPHead}

__all__ = [
    "EMBEDS", "FFNS", "HEADS", "LOCALS", "POOLS", "POSITIONS", "REDUCES",
    "ChannelNorm", "ClassAttention", "ClassAttentionPool", "ConvEmbedding", "ConvReduction", "DepthwiseReduction",
    "FirstPool", "FlattenPool", "InvertedResidual", "LearnedPosition", "LinearHead", "MLP", "MLPHead", "MeanPool",
    "PatchEmbedding", "PatchMerging", "Prefix", "Residual", "RotaryEmbedding", "SequencePool", "ShiftedPatchEmbedding",
    "ShiftedPatchReduction", "SinCosPosition", "TokenProjection", "Tokens",
]  # fmt: skip
