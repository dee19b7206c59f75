"""Families of the zoo: the sizes that rows share, for each profile and image size.

Profiles: `reference` is the closest reading of the source; `default` is the lean modern form of the same idea.
"""

import dataclasses
from types import MappingProxyType

# The one backbone of the default profile of the 2024 report's rows, which differ in their mixer alone; the suite
# `backbone` searches it (docs/profile.md).
LEAN = MappingProxyType(dict(position_std=0.02, dim=96, depth=4, num_heads=4, mlp_dim=192))
STEM = MappingProxyType(dict(embed="conv", conv_norm="batch", conv_activation="relu", conv_pool=3))
CHANNELS = (32, 64, 64, 64)  # of that stem, before its last convolution

# The backbone of the report's global model and Performers: the Keras vision transformer example of 2021.
ISOTROPIC = MappingProxyType(
    {
        "reference": dict(
            dim=64, depth=8, num_heads=4, key_dim=64, mlp_dim=128, last_activation="gelu", dropout=0.1,
            pool="flatten", head="mlp", head_dropout=0.5,
        ),
        "default": LEAN,
    }
)  # fmt: skip

# Its local model: the Keras Swin example, two blocks and one merging.
SWIN = MappingProxyType(
    {
        "reference": dict(
            dim=(64, 128), depth=(2, 0), num_heads=8, mlp_dim=256, norm_epsilon=1e-5, dropout=0.03, out_dropout=0.03,
            final_norm=False, merge_norm=False,
        ),
        "default": LEAN | dict(window=4, shift=2, clamp=True),
    }
)  # fmt: skip

LEAST_GRID = 7  # patches a side that an image needs for a row's own patch size: 224 pixels in patches of 32

# Images of 8 x 8: every pixel a token, seen through a 5 x 5 stem, since a single pixel says too little.
TINY = dict(embed="conv", filters=(16,), strides=(1, 1), patch=1, dim=48, dropout=0.0, position_std=0.02)
SMALL_GRIDS = MappingProxyType(  # 64 and 49 tokens, few enough to stand side by side; grey digits want less of everything
    {
        (32, 32): dict(patch=4, pool="flatten", flat_scale=0.125),  # 1 over the root of 64 tokens: the suite `head_step`
        (28, 28): STEM
        | dict(patch=4, filters=(16, 32), strides=(1, 2, 2), dim=64, depth=2, num_heads=2, mlp_dim=128, pool="flatten"),
        (8, 8): TINY | dict(depth=2, mlp_dim=96),
    }
)


@dataclasses.dataclass(frozen=True)
class Family:
    """What the rows of one kind share.

    Args:
        reference, default: sizes and options of the two profiles.
        images: what images of a known size, `(height, width)`, need. Any other size is cut by `max_tokens`.
        lean: the same in the default profile, over `images`.
        max_tokens: the smallest patch, or stride of a convolutional stem, is taken that leaves at most so many tokens.
        dataset: what the family was published for; models are built for it where nothing else is said.
        rules: `(axis, choice, entries)`: what a choice, a row's or a caller's, brings along; later rules go over earlier ones.
    """

    reference: dict
    default: dict
    images: dict = dataclasses.field(default_factory=dict)
    lean: dict = dataclasses.field(default_factory=dict)
    max_tokens: int = 256
    rules: tuple = ()
    dataset: str = "cifar10"


# Hybrid X-formers 2022: what each embedding, kernel and kind of position means throughout that paper.
HYBRID = (
    ("embed", "conv", dict(filters=(32, 64), conv_activation=None)),
    ("kernel", "softmax", dict(qkv_bias=False)),
    ("kernel", "performer", dict(m=110, qkv_bias=True)),
    ("kernel", "linformer", dict(m=64, share="kv", tie_kv=True, kv_heads=1, qkv_bias=False)),
    ("kernel", "nystrom", dict(m=64, iterations=6, convolution=33, runs="front", qkv_bias=False)),
    ("position", "rope", dict(turn_prefix=True, pairing="interleaved", kv_heads=None)),
)
COMPACT_STEM = dict(filters=(64, 64), conv_activation="relu", conv_last=True, conv_bias=False, conv_pool=3)

BODY = dict(dim=128, depth=4, num_heads=4, key_dim=32, mlp_dim=256, norm_epsilon=1e-5)
FLAT = BODY | dict(position="learned", prefix=1, pool="first")
BARE = BODY | dict(embed="conv", position="none", norm="none", final_norm=False)
COMPACT = BODY | dict(embed="conv", position="learned", pool="sequence", mlp_dim=512, ffn_norm="both", drop_path=0.1)
STAGES = BODY | dict(
    dim=(128, 128, 128), depth=(1, 1, 2), embed="conv", position="none", norm_layer="channel", final_norm=False, reduce="conv",
    reduce_stride=1, reduce_norm="channel",
)  # fmt: skip
POOLING = FLAT | dict(dim=(128, 256), depth=(2, 2), reduce="depthwise", reduce_pointwise=True)


def hybrid(body: dict, *rules, **released) -> Family:
    """A family of that paper, `released` being the starts of its weights in the released code."""
    return Family(body | {"init": "fan_in"} | released, body, max_tokens=1024, rules=HYBRID + rules)


# Vision transformers for ImageNet. Their rows give widths, depths and patches.
PLAIN = dict(position="learned", prefix=1, pool="first", norm_epsilon=1e-6)
LATE = dict(
    position="learned", kernel="talking_heads", pool="class_attention", final_norm=False, scale=1e-5, norm_epsilon=1e-6,
    drop_path=0.1, drop_path_growth="constant",
)  # fmt: skip
WINDOWS = dict(
    position="none", mixer="window", window=7, shift=3, clamp=True, patch_norm="layer", depth=(2, 2, 6, 2), norm_epsilon=1e-5
)
ATROUS = dict(
    dim=(64, 128, 256, 512), depth=(2, 3, 6, 2), num_heads=(2, 4, 8, 16), embed="conv", filters=(64,), strides=(2, 2),
    conv_norm="layer", position="none", local="inverted", mixer="atrous", window=7, rates=(1, 2, 4, 8), relative_bias=True,
    clamp=True, norm_epsilon=1e-5,
)  # fmt: skip
POOLED = PLAIN | dict(place_prefix=False, reduce="depthwise", depth=(2, 6, 4), drop_path=0.1)


def imagenet(body: dict, *rules, images=None, **released) -> Family:
    """A family published for ImageNet, `released` being what its released code does besides."""
    return Family(body | released, body | {"init": "normal"}, images or {}, rules=rules, dataset="imagenet")


# Hybrids of a residual network, or its root alone, and a vision transformer. Small images are shrunk less.
ROOT = PLAIN | dict(embed="resnet", blocks=(), map_patch=8)
STAGED_ROOT = PLAIN | dict(embed="resnet", map_patch=1)
ROOT_IMAGES = {
    (64, 64): dict(root_strides=(2, 1), map_patch=4),
    (32, 32): dict(root_strides=(1, 1), map_patch=4),
    (28, 28): dict(root_strides=(1, 1), map_patch=4),
    (8, 8): dict(root_strides=(1, 1), map_patch=1),
}
STAGED_IMAGES = {
    (64, 64): dict(root_strides=(2, 1), stage_strides=(1, 2, 2, 1)),
    (32, 32): dict(root_strides=(1, 1), stage_strides=(1, 2, 2, 1)),
    (28, 28): dict(root_strides=(1, 1), stage_strides=(1, 2, 2, 1)),
    (8, 8): dict(root_strides=(1, 1), stage_strides=(1, 2, 1, 1)),
}

# T2T-ViT: three soft splits. Images of other sizes than ImageNet's get strides that leave at most 64 tokens.
T2T = dict(embed="t2t", position="sinusoid", prefix=1, pool="first", norm_epsilon=1e-5, qkv_bias=False, drop_path=0.1)

# Models for small images of Lee et al. 2021, arXiv:2112.13492.
SMALL_PLAIN = dict(
    mlp_ratio=2.0, norm_epsilon=1e-5, position="learned", drop_path=0.1, drop_path_growth="constant", qkv_bias=False,
)  # fmt: skip
SMALL_VIT = SMALL_PLAIN | dict(dim=192, depth=9, num_heads=12, prefix=1, pool="first")
SMALL_CAIT = SMALL_PLAIN | dict(
    dim=192, depth=24, num_heads=4, key_dim=64, kernel="talking_heads", mix_bias=False, pool="class_attention", final_norm=False,
    scale=(0.1,) * 18 + (1e-5,), class_sees_itself=False, class_exact=False, class_qkv_bias=False, class_scale=0.1,
    class_drop_path=0.1,
)  # fmt: skip
SMALL_PIT = SMALL_PLAIN | dict(
    dim=(96, 192, 384), depth=(2, 6, 4), num_heads=(2, 4, 8), key_dim=48, prefix=1, pool="first", reduce="depthwise",
    reduce_pointwise=True,
)  # fmt: skip
SMALL_SWIN = SMALL_PLAIN | dict(
    dim=(96, 192, 384), depth=(2, 6, 4), num_heads=(3, 6, 12), mixer="window", window=4, shift=2, clamp=True, patch_norm="layer",
    qkv_bias=True, drop_path_growth="linear",
)  # fmt: skip

SMALL_T2T = T2T | dict(dim=256, depth=12, num_heads=4, mlp_ratio=2.0, norm="double", ffn_norm="pre", split=(3, 3, 3))


def small_images(body: dict, max_tokens: int, **released) -> Family:
    """A family of that paper."""
    return Family(body | released, body | {"init": released["init"]}, max_tokens=max_tokens)


# Binary transformers of Le and Li 2023, arXiv:2306.16678. On images of few pixels the grid is of 16 x 16 or 8 x 8 tokens.
BINARY = dict(
    position="learned", mixer="binary_attention", ffn="binary_mlp", norm_layer="batch", norm_epsilon=1e-5, init="fan_in",
)  # fmt: skip
BINARY_PLAIN = BINARY | dict(dim=384, depth=12, num_heads=6, mlp_dim=1536)
BINARY_STAGES = BINARY | dict(
    dim=(64, 128, 256, 512), depth=(3, 4, 8, 4), num_heads=(1, 2, 4, 8), mlp_dim=(512, 1024, 1024, 2048),
    kv_reduction=(8, 4, 1, 1), patch_norm="batch", reduce="binary_merge",
)  # fmt: skip
COARSE = dict(patch=2, kv_reduction=(4, 2, 1, 1))


def binary(body: dict, max_tokens: int, images: dict) -> Family:
    """A family of that paper; both profiles are its models."""
    return Family(body, body, images, max_tokens=max_tokens, dataset="imagenet")


FAMILIES = MappingProxyType(
    {
        "isotropic": Family(
            **ISOTROPIC,
            images={
                (32, 32): dict(resize=72, patch=6),
                (28, 28): dict(patch=4),
                (8, 8): TINY | dict(depth=2, mlp_dim=96),
            },
            lean=SMALL_GRIDS,
        ),
        "swin": Family(
            **SWIN,
            images={
                (32, 32): dict(patch=2, window=2, shift=1),
                (28, 28): dict(patch=2, window=2, shift=1),
                (8, 8): TINY | dict(dim=(48, 96), mlp_dim=96, window=4, shift=2),
            },
            lean=SMALL_GRIDS,
        ),
        "vix": hybrid(FLAT, position_std=1.0, token_std=1.0),
        "levix": hybrid(BARE),
        "ccx": hybrid(
            COMPACT,
            ("embed", "conv", COMPACT_STEM),
            ("kernel", "softmax", dict(attention_dropout=0.1)),
            init="small",
            position_std=0.2,
        ),
        "cvx": hybrid(
            STAGES,
            ("embed", "conv", dict(filters=(), conv_norm="channel")),
            ("mixer", "conv_attention", dict(key_dim=64)),
        ),
        "pix": hybrid(POOLING, position_std=1.0, token_std=1.0),
        "augreg": imagenet(PLAIN, mean=(0.5,), std=(0.5,), token_std=0.0),
        "r_root": imagenet(ROOT, images=ROOT_IMAGES, mean=(0.5,), std=(0.5,), token_std=0.0),
        "r_stages": imagenet(STAGED_ROOT, images=STAGED_IMAGES, mean=(0.5,), std=(0.5,), token_std=0.0),
        "deit": imagenet(PLAIN | dict(drop_path=0.1), init="normal"),
        "cait": imagenet(LATE, init="normal"),
        "swin_imagenet": imagenet(
            WINDOWS,
            images={(32, 32): dict(patch=2, window=4, shift=2), (64, 64): dict(patch=4, window=4, shift=2)},
            init="normal",
        ),
        "pit_imagenet": imagenet(POOLED, init="normal"),
        "binary_deit": binary(
            BINARY_PLAIN,
            196,
            {(8, 8): dict(resize=32, patch=4, dim=96, depth=4, num_heads=3, mlp_dim=384)},
        ),
        "binary_vit": binary(
            BINARY_STAGES,
            56**2,
            {
                (32, 32): COARSE,
                (28, 28): COARSE | dict(resize=32),
                (8, 8): COARSE
                | dict(
                    resize=32, dim=(32, 64, 128, 256), depth=(1, 1, 2, 1), num_heads=(1, 2, 4, 8), mlp_dim=(128, 256, 512, 1024)
                ),
            },
        ),
        "sl_vit": small_images(SMALL_VIT, 64, init="glorot_normal", position_std=1.0, token_std=1.0),
        "sl_cait": small_images(SMALL_CAIT, 64, init="glorot_normal", position_std=1.0, token_std=1.0, mix_std=1.0),
        "sl_pit": small_images(SMALL_PIT, 256, init="glorot_normal", position_std=1.0, token_std=1.0),
        "sl_swin": small_images(SMALL_SWIN, 256, init="fan_in"),
        "t2t": Family(
            T2T | {"init": "normal"},
            T2T | {"init": "normal"},
            images={(side, side): dict(strides=(4, 2, 2), patch=16) for side in (224, 384)},
            max_tokens=64,
            rules=(("embed", "t2t", dict(split=(7, 3, 3))),),
            dataset="imagenet",
        ),
        "sl_t2t": Family(
            SMALL_T2T | {"init": "normal"},
            SMALL_T2T | {"init": "normal"},
            images={
                (32, 32): dict(split=(3, 3), strides=(2, 2), patch=4),
                (28, 28): dict(split=(3, 3), strides=(2, 2), patch=4),
                (8, 8): dict(split=(3, 3), strides=(1, 1), patch=1),
            },
            max_tokens=64,
            rules=(("embed", "t2t", {}),),
        ),
        "acc_vit": imagenet(
            ATROUS,
            images={
                (32, 32): dict(strides=(1, 2), window=4),
                (28, 28): dict(strides=(1, 2)),
                (8, 8): dict(strides=(1, 1), window=4),
            },
        ),
    }
)


def geometry(family: str, input_shape, profile: str = "reference") -> dict:
    """`patch` for images of any size, and whatever else the family says of it in that profile."""
    rows, columns = input_shape[:2]
    found = FAMILIES[family]
    images = {**found.images, **(found.lean if profile == "default" else {})}
    if (rows, columns) in images:
        return dict(images[rows, columns])
    fitting = [
        patch for patch in range(1, min(rows, columns) + 1)
        if rows % patch == 0 and columns % patch == 0 and rows * columns <= found.max_tokens * patch**2
    ]  # fmt: skip
    stems = [patch for patch in fitting if stem(patch)["embed"] == "conv"] if found.lean and profile == "default" else []
    return {"patch": (stems or fitting or [1])[0]}


def steps(patch: int) -> tuple[int, ...]:
    """Strides of 2, then 3, that multiply to `patch`; none if it has another factor."""
    found = []
    for factor in (2, 3):
        while patch % factor == 0:
            found.append(factor)
            patch //= factor
    return tuple(found) if patch == 1 else ()


def stem(patch: int) -> dict:
    """The embedding of the default profile, one token of each `patch` x `patch` pixels: a stem of convolutions of 3 x 3.

    One linear map of each patch where no strides of 2 and 3 lead there, or more than five.
    """
    found = steps(patch)
    if (patch > 1 and not found) or len(found) > len(CHANNELS) + 1:
        return {"embed": "patch", "patch": patch}
    convolutions = max(3, len(found))
    return {**STEM, "filters": CHANNELS[: convolutions - 1], "strides": late(patch, convolutions)}


def late(patch: int, convolutions: int) -> tuple[int, ...]:
    """The same as `strides`, but the map shrinks as late as it can: (1, 2, 2)."""
    return strides(patch, convolutions)[::-1]


def strides(patch: int, convolutions: int) -> tuple[int, ...]:
    """Steps of so many convolutions that shrink a map as much as a patch of that side: (2, 1, 1), (2, 2, 1), (3, 1, 1)."""
    steps = [1] * convolutions
    for place in range(convolutions - 1):
        if patch % 2 == 0:
            steps[place], patch = 2, patch // 2
    steps[steps.index(1) if 1 in steps else -1] *= patch
    return tuple(steps)
