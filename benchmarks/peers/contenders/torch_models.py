"""Whole models for torch at the common sizes."""

import torch
from torch import nn

from ..place import Part, Place
from .single_file import load_file


def vit_pytorch(place: Place) -> Part:
    """vit-pytorch's ViT, mean of the tokens."""
    return Part(load_file("vit_pytorch", "vit.py").ViT(
        image_size=place.side, patch_size=1, num_classes=place.classes, dim=place.dim, depth=place.depth,
        heads=place.heads, dim_head=place.key_dim, mlp_dim=place.mlp_dim, pool="mean",
    ))


class PerformerClassifier(nn.Module):
    """performer-pytorch's encoder behind the common patch embedding, positions, mean and head."""

    def __init__(self, place: Place):
        from performer_pytorch import Performer

        super().__init__()
        self.embed = nn.Conv2d(3, place.dim, 1)
        self.positions = nn.Parameter(0.02 * torch.randn(place.tokens, place.dim))
        self.encoder = Performer(
            dim=place.dim, depth=place.depth, heads=place.heads, dim_head=place.key_dim,
            ff_mult=place.mlp_dim // place.dim, nb_features=place.rank,
        )
        self.norm, self.head = nn.LayerNorm(place.dim), nn.Linear(place.dim, place.classes)

    def forward(self, image):
        x = self.embed(image).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.encoder(x)).mean(dim=1))


def performer_pytorch(place: Place) -> Part:
    """performer-pytorch's `Performer` with softmax features."""
    return Part(PerformerClassifier(place))
