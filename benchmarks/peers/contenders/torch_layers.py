"""Attention layers of torch and of packages for it."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from ..place import Part, Place


class SelfAttention(nn.Module):
    """`torch.nn.MultiheadAttention` of a sequence with itself, without the weights as an output."""

    def __init__(self, place: Place):
        super().__init__()
        self.attention = nn.MultiheadAttention(place.dim, place.heads, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def multihead_attention(place: Place) -> Part:
    """`torch.nn.MultiheadAttention`."""
    return Part(SelfAttention(place))


class FusedAttention(nn.Module):
    """The four projections round `scaled_dot_product_attention`: `(batch, n, dim) -> same`."""

    def __init__(self, place: Place):
        super().__init__()
        inner = place.heads * place.key_dim
        self.heads = place.heads
        self.qkv, self.out = nn.Linear(place.dim, 3 * inner), nn.Linear(inner, place.dim)

    def forward(self, x, bias=None):
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, -1))


def sdpa(place: Place) -> Part:
    """torch's fused kernel with the four projections."""
    return Part(FusedAttention(place))


class WindowedAttention(nn.Module):
    """`scaled_dot_product_attention` within windows, with relative bias: `(batch, side * side, dim) -> same`."""

    def __init__(self, place: Place):
        super().__init__()
        self.side, self.window = place.window
        self.attention = FusedAttention(place)
        self.table = nn.Parameter(torch.zeros((2 * self.window - 1) ** 2, place.heads))
        self.register_buffer("index", offsets(self.window))

    def forward(self, x):
        count, window, dim = self.side // self.window, self.window, x.shape[-1]
        x = x.view(-1, count, window, count, window, dim).transpose(2, 3).reshape(-1, window * window, dim)
        x = self.attention(x, self.table[self.index].permute(2, 0, 1)[None])
        x = x.view(-1, count, count, window, window, dim).transpose(2, 3)
        return x.reshape(-1, self.side**2, dim)


def offsets(window: int) -> torch.Tensor:
    """The row of the bias table for each pair of tokens in a window: `(window^2, window^2)`."""
    line = torch.arange(window)
    across = line[:, None] - line[None] + window - 1
    pairs = across[:, None, :, None] * (2 * window - 1) + across[None, :, None, :]
    return pairs.reshape(window**2, window**2)


def windowed_sdpa(place: Place) -> Part:
    """torch's fused kernel on windows, unshifted."""
    return Part(WindowedAttention(place))


def vit_pytorch(place: Place) -> Part:
    """vit-pytorch's attention; it contains a layer normalisation of its own."""
    from .single_file import load_file

    return Part(load_file("vit_pytorch", "vit.py").Attention(place.dim, place.heads, place.key_dim))


def performer_pytorch(place: Place, relu: bool = False) -> Part:
    """performer-pytorch's self-attention, all heads global."""
    from performer_pytorch import SelfAttention as Performer

    return Part(Performer(
        place.dim, heads=place.heads, dim_head=place.key_dim, nb_features=place.rank, generalized_attention=relu
    ))


def linformer(place: Place) -> Part:
    """The linformer package's self-attention, projections shared by the heads."""
    from linformer import LinformerSelfAttention

    return Part(LinformerSelfAttention(place.dim, place.tokens, k=place.rank, heads=place.heads))


def nystrom(place: Place, residual: bool) -> Part:
    """nystrom-attention, with or without its convolution of the values."""
    from nystrom_attention import NystromAttention

    return Part(NystromAttention(
        place.dim, dim_head=place.key_dim, heads=place.heads, num_landmarks=place.rank, pinv_iterations=6,
        residual=residual,
    ))
