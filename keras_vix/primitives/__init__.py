"""Single layers that mixers and the other parts of a model are both made of."""

from .binary import Affine, BinaryConv2D, BinaryDense, BinaryProjection, BinarySign, RPReLU
from .norms import ChannelNorm
