"""The test table: one line for each kernel, mixer and part. A registered part without a line fails the suite."""

import dataclasses

from keras_vix.base import Layer
from keras_vix.kernels import LSA, Linformer, Nystrom, Performer, Softmax, TalkingHeads
from keras_vix.mixers import (
    AtrousAttention,
    Attention,
    BinaryAttention,
    ConvAttention,
    FourierMixing,
    LeViTAttention,
    LocalAttention1D,
    LocalWindowAttention2D,
    TokenMLP,
)
from keras_vix.parts import (
    MLP,
    BinaryMLP,
    BinaryMerging,
    Bottleneck,
    ClassAttentionPool,
    ConvEmbedding,
    ConvReduction,
    DepthwiseReduction,
    DistilledHead,
    FirstPool,
    FlattenPool,
    InvertedResidual,
    LearnedPosition,
    LinearHead,
    LocalPerception,
    MLPHead,
    MeanLogits,
    MeanPool,
    PatchEmbedding,
    PatchMerging,
    PrefixPool,
    ResNetEmbedding,
    RotaryEmbedding,
    SequencePool,
    ShiftedPatchEmbedding,
    ShiftedPatchReduction,
    SinCosPosition,
    SinusoidPosition,
    StandardConv2D,
    T2TEmbedding,
    TokenTransformer,
)
from keras_vix.primitives import Affine, BinaryConv2D, BinaryDense, BinaryProjection, BinarySign, ChannelNorm, RPReLU

TOKENS, DIM, GRID = 16, 8, (4, 4)
X = (TOKENS, DIM)
QKV = (2, TOKENS, 4)  # heads, tokens, width
IMAGE = (8, 8, 3)


@dataclasses.dataclass(frozen=True)
class Row:
    """A part, how to make it, and which laws it claims.

    `name` is `registry name` or `registry name/variant`. Claims: `permutes` (equivariant to a permutation of the tokens),
    `exact` (a convex combination of the values: constant values give that constant), `masks` (takes a key mask), `cross` (queries
    and keys may differ in number), `values` (value bias alone gives a constant), `placed` (equal tokens differ by their place), `batch` (training looks at the whole batch, as a batch
    normalisation does), `sharp` (stands for exact attention, which large scores make sharp), `jumps` (the output or its slope does, so that differences do not show the gradient), `pools` (takes maxima of
    raw values), `exact_at` (options with which it equals exact attention). `scale` is that of the inputs.
    """

    axis: str
    name: str
    part: type
    options: dict
    shape: tuple
    claims: str = ""
    exact_at: dict | None = None
    scale: float = 1.0

    def make(self, **more):
        """A new part; layers among the options are copied, since a layer belongs to one owner."""
        options = {k: type(v).from_config(v.get_config()) if isinstance(v, Layer) else v for k, v in self.options.items()}
        return self.part(**{**options, **more})

    def claim(self, word):
        return word in self.claims.split()

    @property
    def id(self):
        return f"{self.axis}:{self.name}"


KERNEL_ROWS = [
    Row("kernel", "softmax", Softmax, {}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "softmax/chunk", Softmax, {"chunk": 5}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "softmax/causal", Softmax, {"causal": True}, QKV, "exact masks cross"),
    Row("kernel", "softmax/causal-chunk", Softmax, {"causal": True, "chunk": 5}, QKV, "exact masks cross"),
    Row("kernel", "performer/positive", Performer, {"m": 8, "seed": 1}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "performer/full", Performer, {"m": 8, "seed": 1, "stabiliser": "full"}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "performer/paper", Performer, {"m": 8, "seed": 1, "stabiliser": "paper"}, QKV, "permutes exact masks cross"),
    Row("kernel", "performer/iid", Performer, {"m": 8, "seed": 1, "projection": "iid"}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "performer/sqrt", Performer, {"m": 8, "seed": 1, "length": "sqrt"}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "performer/hyperbolic", Performer, {"m": 8, "features": "hyperbolic", "seed": 1}, QKV, "permutes exact masks cross sharp"),
    Row("kernel", "performer/relu", Performer, {"m": 8, "features": "relu", "seed": 1}, QKV, "permutes exact masks cross jumps"),
    Row("kernel", "performer/relu-det", Performer, {"m": None, "features": "relu"}, QKV, "permutes exact masks cross"),
    Row("kernel", "performer/exp-det", Performer, {"m": None, "features": "exp"}, QKV, "permutes exact masks cross"),
    Row("kernel", "performer/exp", Performer, {"m": 8, "features": "exp", "seed": 1}, QKV, "permutes exact masks cross"),
    Row("kernel", "performer/elu", Performer, {"m": None, "features": "elu"}, QKV, "permutes exact masks cross"),
    Row("kernel", "linformer/head", Linformer, {"m": 4}, QKV, "masks cross sharp", {"m": TOKENS, "start": "identity"}),
    Row("kernel", "linformer/none", Linformer, {"m": 4, "share": "none"}, QKV, "masks cross sharp", {"m": TOKENS, "start": "identity"}),
    Row("kernel", "linformer/kv", Linformer, {"m": 4, "share": "kv"}, QKV, "masks cross sharp", {"m": TOKENS, "start": "identity"}),
    # half the scale and 6 iterations: heads this narrow make landmark matrices of condition 1,000, whose inverse multiplies rounding
    # errors (2e-5 between XLA and eager with 12 iterations)
    Row("kernel", "nystrom", Nystrom, {"m": 4, "iterations": 6}, QKV, "masks cross sharp", {"m": TOKENS, "iterations": 20}, scale=0.5),
    Row("kernel", "nystrom/uneven", Nystrom, {"m": 5, "iterations": 6}, QKV, "masks cross sharp", {"m": TOKENS, "iterations": 20}, scale=0.5),
    Row("kernel", "nystrom/front", Nystrom, {"m": 5, "iterations": 6, "runs": "front"}, QKV, "masks cross sharp", {"m": TOKENS, "iterations": 20}, scale=0.5),
    Row("kernel", "nystrom/convolution", Nystrom, {"m": 4, "convolution": 3, "iterations": 6}, QKV, "masks", scale=0.5),
    Row("kernel", "lsa", LSA, {}, QKV, "permutes masks sharp"),
    Row("kernel", "lsa/diagonal", LSA, {"diagonal": True}, QKV, "permutes exact masks cross sharp", {"diagonal": True}),
    Row("kernel", "lsa/plain", LSA, {"learned_scale": False}, QKV, "permutes masks sharp"),
    Row("kernel", "talking_heads", TalkingHeads, {"mix_std": 0.5}, QKV, "permutes masks cross"),
    Row("kernel", "talking_heads/lsa", TalkingHeads, {"mix_std": 0.5, "mix_bias": False, "learned_scale": True, "diagonal": False}, QKV, "permutes masks"),
]

ROWS = KERNEL_ROWS + [
    Row("mixer", "attention", Attention, {"num_heads": 2}, X, "permutes masks cross values"),
    Row("mixer", "attention/performer", Attention, {"num_heads": 2, "kernel": Performer(m=8, seed=1)}, X, "permutes masks cross values"),
    Row("mixer", "attention/causal", Attention, {"num_heads": 2, "kernel": Softmax(causal=True)}, X, "masks cross values"),
    Row("mixer", "attention/wide", Attention, {"num_heads": 2, "key_dim": 6, "use_bias": False}, X, "permutes masks cross"),
    Row("mixer", "attention/rope", Attention, {"num_heads": 2, "rope": RotaryEmbedding(axes=2, grid=GRID)}, X, "masks values"),
    Row("mixer", "attention/few", Attention, {"num_heads": 4, "kv_heads": 2, "qkv_bias": False}, X, "permutes masks cross"),
    Row("mixer", "attention/tied", Attention, {"num_heads": 2, "kv_heads": 1, "tie_kv": True}, X, "permutes masks cross"),
    Row(
        "mixer",
        "attention/tied-linformer",
        Attention,
        {"num_heads": 2, "kv_heads": 1, "tie_kv": True, "kernel": Linformer(m=4, share="kv")},
        X,
        "masks cross",
    ),
    Row("mixer", "binary_attention", BinaryAttention, {"num_heads": 2, "step_start": 0.2}, X, "permutes batch jumps"),
    Row("mixer", "binary_attention/plain", BinaryAttention, {"num_heads": 1, "step_start": 0.2, "out_affine": None}, X, "permutes batch jumps"),
    Row("mixer", "binary_attention/reduced", BinaryAttention, {"num_heads": 2, "step_start": 0.2, "grid": GRID, "kv_reduction": 2}, X, "batch jumps"),
    Row("mixer", "conv_attention", ConvAttention, {"num_heads": 2, "grid": GRID}, X, "masks batch placed"),
    Row("mixer", "conv_attention/stride", ConvAttention, {"num_heads": 2, "grid": GRID, "kv_stride": 2}, X, "batch placed"),
    Row("mixer", "levit", LeViTAttention, {"num_heads": 2}, X, "permutes masks cross batch"),
    Row("mixer", "fourier", FourierMixing, {}, X, "placed"),
    Row("mixer", "fourier/products", FourierMixing, {"transform": "products"}, X, "placed"),
    Row("mixer", "token_mlp", TokenMLP, {"token_dim": 6}, X, "placed"),
    Row("mixer", "window", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 2}, X, "masks values"),
    Row("mixer", "window/shifted", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 2, "shift": 1}, X, "masks values"),
    Row("mixer", "window/padded", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 3, "shift": 1}, X, "masks values"),
    Row("mixer", "window/conv", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 2, "conv_size": 3}, X, "masks values"),
    Row("mixer", "window/neighborhood", LocalWindowAttention2D, {"num_heads": 2, "grid": GRID, "window": 3, "mode": "neighborhood"}, X, "masks values"),
    Row(
        "mixer",
        "window/performer",
        LocalWindowAttention2D,
        {"num_heads": 2, "grid": GRID, "window": 2, "shift": 1, "kernel": Performer(m=8, seed=1)},
        X,
        "masks values",
    ),
    Row("mixer", "window_1d", LocalAttention1D, {"num_heads": 2, "grid": GRID, "window": 2, "shift": 1}, X, "masks values"),
    Row("mixer", "window_1d/wrapped", LocalAttention1D, {"num_heads": 2, "grid": GRID, "window": 5, "wrap_rows": True}, X, "masks values"),
    Row("mixer", "window_1d/sliding", LocalAttention1D, {"num_heads": 2, "grid": GRID, "window": 3, "mode": "sliding"}, X, "masks values"),
    Row("mixer", "atrous", AtrousAttention, {"num_heads": 2, "grid": GRID, "window": 2, "relative_bias": True}, X, "masks values"),
    Row("mixer", "atrous/whole", AtrousAttention, {"num_heads": 2, "grid": GRID, "window": 4, "rates": (1,)}, X, "permutes masks values"),
    Row(
        "mixer",
        "atrous/prefix",
        AtrousAttention,
        {"num_heads": 2, "grid": (3, 5), "window": 2, "rates": (1, 2, 3), "prefix": 1, "relative_bias": True},
        X,
        "masks values",
    ),
    Row("mixer", "atrous/even", AtrousAttention, {"num_heads": 2, "grid": (2, 7), "window": (2, 3), "prefix": 2, "gate": False}, X, "masks values"),
    Row(
        "mixer",
        "atrous/performer",
        AtrousAttention,
        {"num_heads": 2, "grid": (3, 5), "window": 3, "prefix": 1, "kernel": Performer(m=8, seed=1)},
        X,
        "masks values",
    ),
    Row("embed", "patch", PatchEmbedding, {"dim": DIM, "patch": 2}, IMAGE),
    Row("embed", "patch/resized", PatchEmbedding, {"dim": DIM, "patch": 3, "resize": 12}, IMAGE),
    Row("embed", "patch/overlap", PatchEmbedding, {"dim": DIM, "patch": 3, "patch_stride": 2, "patch_norm": "layer"}, IMAGE),
    Row("embed", "spt", ShiftedPatchEmbedding, {"dim": DIM, "patch": 2}, IMAGE),
    Row("embed", "conv", ConvEmbedding, {"dim": DIM, "filters": (4,), "strides": (1, 2)}, IMAGE),
    Row("embed", "conv/pooled", ConvEmbedding, {"dim": DIM, "filters": (4,), "strides": (1, 2), "conv_activation": "relu", "conv_last": True, "conv_bias": False, "conv_pool": 3}, IMAGE, "jumps pools"),
    Row("embed", "conv/normed", ConvEmbedding, {"dim": DIM, "filters": (), "strides": (2,), "conv_norm": "channel"}, IMAGE),
    Row("embed", "t2t", T2TEmbedding, {"dim": DIM, "split": (3, 3), "strides": (2, 2), "token_width": 6}, IMAGE),
    Row("embed", "t2t/performer", T2TEmbedding, {"dim": DIM, "split": (5, 3, 3), "strides": (2, 1, 2), "token_width": 6, "token_kernel": "performer", "token_features": 4, "seed": 1}, IMAGE),
    Row("embed", "t2t/lsa", T2TEmbedding, {"dim": DIM, "split": (3, 3), "strides": (2, 1), "token_width": 6, "token_kernel": "lsa", "shifted": True}, IMAGE),
    Row("embed", "resnet", ResNetEmbedding, {"dim": DIM, "blocks": (1, 2), "root_filters": 6, "root_strides": (2, 1)}, IMAGE, "jumps"),
    Row("embed", "resnet/root", ResNetEmbedding, {"dim": DIM, "blocks": (), "root_filters": 6, "map_patch": 2}, IMAGE, "pools"),
    Row("conv", "standard", StandardConv2D, {"filters": 5, "conv_stride": 2}, IMAGE),
    Row("conv", "bottleneck", Bottleneck, {"filters": 4, "conv_stride": 2}, IMAGE, "jumps"),
    Row("tokens", "transformer", TokenTransformer, {"token_width": 6}, X),
    Row("norm", "channel", ChannelNorm, {}, X),
    Row("position", "learned", LearnedPosition, {}, X),
    Row("position", "learned/places", LearnedPosition, {"prefix": 2, "place_prefix": False}, X),
    Row("position", "sincos", SinCosPosition, {"grid": GRID}, X),
    Row("position", "rope", RotaryEmbedding, {}, QKV),
    Row("position", "rope/2d", RotaryEmbedding, {"axes": 2, "grid": (3, 5), "prefix": 1, "pairing": "interleaved"}, QKV),
    Row("position", "rope/sequence", RotaryEmbedding, {"prefix": 1, "turn_prefix": True}, QKV),
    Row("position", "sincos/prefix", SinCosPosition, {"grid": (3, 5), "prefix": 1}, X),
    Row("position", "sinusoid", SinusoidPosition, {}, X),
    Row("local", "inverted", InvertedResidual, {"dim": DIM, "grid": GRID, "local_expansion": 2}, X),
    Row("local", "inverted/stride", InvertedResidual, {"dim": 12, "grid": (3, 5), "local_stride": 2, "local_expansion": 1, "local_squeeze": None}, (15, DIM)),
    Row("local", "perception", LocalPerception, {"grid": GRID}, X),
    Row("local", "perception/prefix", LocalPerception, {"grid": (3, 5), "prefix": 1, "local_kernel": 5}, X),
    Row("ffn", "mlp", MLP, {"mlp_dim": 12}, X, "permutes"),
    Row("ffn", "binary_mlp", BinaryMLP, {"mlp_dim": 16, "grid": GRID, "branch_start": 0.3}, X, "batch jumps"),
    Row("ffn", "binary_mlp/prefix", BinaryMLP, {"mlp_dim": 16, "grid": (3, 5), "prefix": 1, "branch_start": 0.3}, X, "batch jumps"),
    Row("ffn", "binary_mlp/plain", BinaryMLP, {"mlp_dim": 16, "branches": False, "mlp_affine": None}, X, "permutes batch jumps"),
    Row("binary", "sign", BinarySign, {}, X, "jumps"),
    Row("binary", "dense", BinaryDense, {"units": 12}, X, "jumps"),
    Row("binary", "conv", BinaryConv2D, {"filters": 12}, (4, 4, DIM), "jumps"),
    Row("binary", "projection", BinaryProjection, {"units": 16}, X, "batch jumps"),
    Row("binary", "projection/narrow", BinaryProjection, {"units": 4}, X, "batch jumps"),
    Row("binary", "rprelu", RPReLU, {}, X, "jumps"),
    Row("binary", "affine", Affine, {}, X),
    Row("reduce", "merge", PatchMerging, {"dim": 12, "grid": GRID}, X),
    Row("reduce", "merge/odd", PatchMerging, {"dim": 12, "grid": (2, 5), "merge_norm": False}, (10, DIM)),
    Row("reduce", "spt", ShiftedPatchReduction, {"dim": 12, "grid": (3, 5), "prefix": 1}, X),
    Row("reduce", "conv", ConvReduction, {"dim": 12, "grid": GRID}, X),
    Row("reduce", "conv/still", ConvReduction, {"dim": 12, "grid": (2, 8), "reduce_stride": 1, "reduce_norm": "channel"}, X),
    Row("reduce", "depthwise", DepthwiseReduction, {"dim": 2 * DIM, "grid": (3, 5), "prefix": 1}, X),
    Row("reduce", "depthwise/pointwise", DepthwiseReduction, {"dim": 2 * DIM, "grid": GRID, "reduce_pointwise": True}, X),
    Row("reduce", "binary_merge", BinaryMerging, {"dim": 16, "grid": GRID}, X, "batch jumps"),
    Row("reduce", "binary_merge/full", BinaryMerging, {"dim": 12, "grid": (2, 8), "merge_binary": False}, X, "batch"),
    Row("pool", "mean", MeanPool, {"prefix": 1}, X),
    Row("pool", "first", FirstPool, {}, X),
    Row("pool", "prefix", PrefixPool, {"prefix": 2}, X),
    Row("pool", "sequence", SequencePool, {}, X),
    Row("pool", "class_attention", ClassAttentionPool, {"num_heads": 2, "mlp_dim": 12}, X),
    Row("pool", "class_attention/talks", ClassAttentionPool, {"num_heads": 2, "mlp_dim": 12, "kernel": TalkingHeads(mix_std=0.5, learned_scale=True), "class_exact": False, "class_sees_itself": False, "class_scale": 0.1}, X),
    Row("pool", "flatten", FlattenPool, {"flat_scale": 0.5}, X),
    Row("head", "linear", LinearHead, {"classes": 5}, (DIM,)),
    Row("head", "mlp", MLPHead, {"classes": 5, "hidden": (7, 6)}, (DIM,)),
    Row("head", "distilled", DistilledHead, {"classes": 5}, (2, DIM)),
    Row("logits", "mean", MeanLogits, {}, (2, DIM)),
]

DROPOUT = [
    Row("kernel", "softmax/dropout", Softmax, {"dropout": 0.5}, QKV),
    Row("kernel", "softmax/causal-dropout", Softmax, {"causal": True, "dropout": 0.5}, QKV),
    Row("kernel", "performer/dropout", Performer, {"m": 8, "dropout": 0.5}, QKV),
    Row("kernel", "linformer/dropout", Linformer, {"m": 4, "dropout": 0.5}, QKV),
    Row("kernel", "nystrom/dropout", Nystrom, {"m": 4, "dropout": 0.5}, QKV),
    Row("mixer", "attention/dropout", Attention, {"num_heads": 2, "out_dropout": 0.5}, X),
    Row("tokens", "transformer/dropout", TokenTransformer, {"token_width": 6, "token_dropout": 0.5}, X),
    Row("ffn", "mlp/dropout", MLP, {"mlp_dim": 12, "dropout": 0.5}, X),
    Row("ffn", "mlp/hidden-dropout", MLP, {"mlp_dim": 12, "hidden_dropout": 0.5}, X),
    Row("mixer", "atrous/dropout", AtrousAttention, {"num_heads": 2, "grid": GRID, "window": 2, "kernel": Softmax(dropout=0.5)}, X),
    Row("local", "inverted/drop", InvertedResidual, {"dim": DIM, "grid": GRID, "drop_path": 0.5, "seed": 3}, X),
    Row("head", "linear/dropout", LinearHead, {"classes": 5, "head_dropout": 0.5}, (DIM,)),
    Row("head", "mlp/dropout", MLPHead, {"classes": 5, "hidden": (7,), "head_dropout": 0.5}, (DIM,)),
    Row("head", "distilled/dropout", DistilledHead, {"classes": 5, "head_dropout": 0.5}, (2, DIM)),
]
