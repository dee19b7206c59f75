"""Everything a model is made of besides its mixers: one table for each choice."""

from .binary import BinaryMerging, BinaryMLP
from .class_attention import ClassAttention, ClassAttentionPool
from .embeds import ConvEmbedding, PatchEmbedding
from .ffns import MLP
from .heads import DistilledHead, LinearHead, MeanLogits, MLPHead
from .locals import InvertedResidual, LocalPerception
from .padding import ABSENT, PadImage, Withhold
from .pools import FirstPool, FlattenPool, MeanPool, PrefixPool, SequencePool
from .positions import LearnedPosition, RotaryEmbedding, SinCosPosition, SinusoidPosition
from .reduces import ConvReduction, DepthwiseReduction, PatchMerging
from .residual import Residual
from .resnet import Bottleneck, ResNetEmbedding, StandardConv2D
from .shifted import ShiftedPatchEmbedding, ShiftedPatchReduction
from .t2t import T2TEmbedding, TokenTransformer
from .tokens import Prefix, TokenProjection, Tokens

EMBEDS = {
    "patch": PatchEmbedding,
    "conv": ConvEmbedding,
    "spt": ShiftedPatchEmbedding,
    "t2t": T2TEmbedding,
    "resnet": ResNetEmbedding,
}
POSITIONS = {
    "none": None,
    "learned": LearnedPosition,
    "sincos": SinCosPosition,
    "sinusoid": SinusoidPosition,
    "rope": RotaryEmbedding,
}
FFNS = {"mlp": MLP, "binary_mlp": BinaryMLP}
LOCALS = {"none": None, "inverted": InvertedResidual, "perception": LocalPerception}
REDUCES = {
    "merge": PatchMerging,
    "conv": ConvReduction,
    "depthwise": DepthwiseReduction,
    "binary_merge": BinaryMerging,
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
    "EMBEDS", "FFNS", "HEADS", "LOCALS", "POOLS", "POSITIONS", "REDUCES",
    "Affine", "BinaryConv2D", "BinaryDense", "BinaryMLP", "BinaryMerging", "BinaryProjection", "BinarySign", "Bottleneck",
    "ChannelNorm", "ClassAttention", "ClassAttentionPool", "ConvEmbedding", "ConvReduction", "DepthwiseReduction",
    "DistilledHead", "FirstPool", "FlattenPool", "InvertedResidual", "LearnedPosition", "LinearHead", "LocalPerception", "MLP",
    "MLPHead", "MeanLogits", "MeanPool", "PatchEmbedding", "PatchMerging", "Prefix", "PrefixPool", "RPReLU", "ResNetEmbedding",
    "Residual", "RotaryEmbedding", "SequencePool", "ShiftedPatchEmbedding", "ShiftedPatchReduction", "SinCosPosition",
    "SinusoidPosition", "StandardConv2D", "T2TEmbedding", "TokenProjection", "TokenTransformer", "Tokens",
]  # fmt: skip
