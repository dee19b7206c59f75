"""The zoo: one row a model. A row names its choices; its family gives the sizes for each profile and image size.

Profiles: `reference` is the closest reading of the source; `default` is the lean modern form of the same idea.
"""

import dataclasses
from types import MappingProxyType

COLUMBIA = "Performer against Transformer on images, Columbia 2024 report"

# The backbone of the 2024 report's global model and Performers: the Keras vision transformer example of 2021.
ISOTROPIC = MappingProxyType(
    {
        "reference": dict(
            dim=64, depth=8, num_heads=4, key_dim=64, mlp_dim=128, last_activation="gelu", dropout=0.1,
            pool="flatten", head="mlp", head_dropout=0.5,
        ),
        "default": dict(dim=64, depth=8, num_heads=4, mlp_dim=128, dropout=0.1, position_std=0.5),
    }
)  # fmt: skip

# Its local model: the Keras Swin example, two blocks and one merging.
SWIN = MappingProxyType(
    {
        "reference": dict(
            dim=(64, 128), depth=(2, 0), num_heads=8, mlp_dim=256, norm_epsilon=1e-5, dropout=0.03, out_dropout=0.03,
            final_norm=False, merge_norm=False,
        ),
        "default": dict(
            dim=(64, 128), depth=(2, 0), num_heads=8, mlp_dim=256, norm_epsilon=1e-5, drop_path=0.03, final_norm=False,
            position_std=0.5,
        ),
    }
)  # fmt: skip

# Images of 8 x 8: every pixel a token, seen through a 5 x 5 stem, since a single pixel says too little.
TINY = dict(embed="conv", filters=(16,), strides=(1, 1), patch=1, dim=48, dropout=0.0, position_std=0.02)

# How each family cuts images of a known size; any other size: `cut`.
GEOMETRY = MappingProxyType(
    {
        "isotropic": {
            (32, 32): dict(resize=72, patch=6),
            (28, 28): dict(patch=4),
            (8, 8): TINY | dict(depth=2, mlp_dim=96),
        },
        "swin": {
            (32, 32): dict(patch=2, window=2, shift=1),
            (28, 28): dict(patch=2, window=2, shift=1),
            (8, 8): TINY | dict(dim=(48, 96), mlp_dim=96, window=4, shift=2),
        },
    }
)

MAX_TOKENS = 256  # for images of other sizes, unless `patch` is given


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the zoo.

    Args:
        family: `isotropic` or `swin`: which sizes, geometry and recipe it starts from.
        choices: its own entries over those.
        title: what it is, in a few words.
        source: where it comes from.
        differs: what differs from the source, in the reference profile.
        counting: the source's own way of counting parameters; `tables` adds the constants of windows.
    """

    family: str
    choices: dict
    title: str
    source: str
    differs: str = ""
    counting: str = "trainable"


FAMILIES = MappingProxyType({"isotropic": ISOTROPIC, "swin": SWIN})

PRESETS = {
    "transformer_global": Row(
        "isotropic", dict(kernel="softmax"), "exact attention over all tokens", COLUMBIA + ", table 1; arXiv:2010.11929"
    ),
    "transformer_local": Row(
        "swin",
        dict(mixer="window"),
        "attention in 2-D windows, every second block shifted (Swin)",
        COLUMBIA + ", table 1, local model; arXiv:2103.14030",
        "true drop path is in the default profile only; the reference drops elements, as the Keras example does",
        counting="tables",
    ),
    "transformer_local_1d": Row(
        "isotropic",
        dict(mixer="window_1d", window=16, shift=8, wrap_rows=True),
        "attention in runs of 16 tokens in raster order, every second block shifted",
        "the 1-D baseline that the 2024 report decided against, section 5",
    ),
    "performer_relu": Row(
        "isotropic",
        dict(kernel="performer", features="relu", m=32),
        "random ReLU features of orthogonal projections",
        COLUMBIA + ", table 1; arXiv:2009.14794, section 2.2",
    ),
    "performer_softmax": Row(
        "isotropic",
        dict(kernel="performer", features="positive", m=32),
        "positive orthogonal random features of the softmax kernel (FAVOR+)",
        COLUMBIA + ", table 1; arXiv:2009.14794",
        "the exact stabiliser takes the place of the published one, which loses the attention at unit scale",
    ),
    "performer_exp": Row(
        "isotropic",
        dict(kernel="performer", features="exp", m=None),
        "exponential features of the coordinates, without a projection",
        "IEOR 2023 report, ViP-EXP; arXiv:2009.14794, section 2.2",
    ),
    "linformer": Row(
        "isotropic", dict(kernel="linformer", m=32), "keys and values projected to m tokens", "arXiv:2006.04768"
    ),
    "nystromformer": Row(
        "isotropic",
        dict(kernel="nystrom", m=16),
        "attention through m landmarks",
        "arXiv:2102.03902",
        "unequal runs of tokens instead of padding, 12 iterations of the inverse, no convolution of the values",
    ),
}


def cut(input_shape) -> dict:
    """`patch` for an image of any size: the smallest common divisor of its sides that leaves at most `MAX_TOKENS` tokens."""
    rows, columns = input_shape[:2]
    for patch in range(1, min(rows, columns) + 1):
        if rows % patch == 0 and columns % patch == 0 and rows * columns <= MAX_TOKENS * patch**2:
            return {"patch": patch}
    return {"patch": 1}
