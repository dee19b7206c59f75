"""The zoo: one row a model. A row names its choices; its family (`zoo.families`) gives sizes for each profile and image size."""

import dataclasses

COLUMBIA = "Performer against Transformer on images, Columbia 2024 report"
AUGREG = "Steiner et al. 2021, arXiv:2106.10270"
DEIT = "Touvron et al. 2020, arXiv:2012.12877"
CAIT = "Touvron et al. 2021, arXiv:2103.17239"
SWIN = "Liu et al. 2021, arXiv:2103.14030"
PIT = "Heo et al. 2021, arXiv:2103.16302"
T2T = "Yuan et al. 2021, arXiv:2101.11986"
BINARY = "Le and Li 2023, arXiv:2306.16678"
SMALL = "Lee et al. 2021, arXiv:2112.13492"
HYBRIDS = "Jeevan and Sethi 2022, Resource-efficient Hybrid X-formers for Vision"


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the zoo.

    Args:
        family: a name of `FAMILIES`: which sizes, geometry and recipe it starts from.
        choices: its own entries over those.
        title: what it is, in a few words.
        source: where it comes from.
        differs: what differs from the source, in the reference profile.
        counting: the source's own way of counting parameters (`zoo.count`).
    """

    family: str
    choices: dict
    title: str
    source: str
    differs: str = ""
    counting: str = "trainable"


ACC = "Ibtehaz et al. 2024, ACC-ViT, arXiv:2403.04200"

# In words what the rows of the 2022 paper are made of, and what differs from its released code.
BODIES = {
    "vix": "ViT of 4 blocks",
    "levix": "LeViT of one stage, batch norm in the attention at most",
    "ccx": "compact transformer (CCT), sequence pooling",
    "cvx": "CvT of three stages, channel norm",
    "pix": "pooling transformer (PiT) of two stages",
}
MIXING = {
    "softmax": ("exact attention", ""),
    "performer": (
        "Performer, 110 features",
        "features are stabilised per sample and head, exactly, without an epsilon; the release takes one maximum over the batch",
    ),
    "linformer": ("Linformer, keys as values", ""),
    "nystrom": (
        "Nyströmformer, 64 landmarks",
        "what pads the tokens in front is masked; the inverse starts from each matrix' own norms, not the whole batch's",
    ),
    "conv_attention": ("attention after depth-wise convolutions", ""),
    "levit": ("exact attention with batch norm", ""),
    "fourier": ("Fourier transform of tokens and channels", ""),
    "token_mlp": ("perceptrons over tokens and over channels", ""),
}


def hybrid(family: str, table: str, **choices) -> Row:
    """A row of the 2022 hybrids."""
    words, differs = MIXING[choices.get("mixer") or choices["kernel"]]
    title = [BODIES[family], words]
    if choices.get("embed") == "conv":
        title.append("convolutional stem")
    if choices.get("position") == "rope":
        title.append("rotary positions")
    return Row(family, choices, ", ".join(title), f"{HYBRIDS}, {table}", differs, counting="modules")


def vit(dim: int, depth: int, num_heads: int, patch: int) -> Row:
    """A vision transformer in a size of the AugReg release."""
    choices = dict(dim=dim, depth=depth, num_heads=num_heads, patch=patch)
    return Row("augreg", choices, f"ViT, patches of {patch}", f"{AUGREG}; arXiv:2010.11929", "GELU is exact, its tanh form there")


def hybrid_vit(dim: int, depth: int, num_heads: int, blocks: tuple = ()) -> Row:
    """A vision transformer on the map of a residual network, or of its root alone."""
    sizes = dict(dim=dim, depth=depth, num_heads=num_heads)
    differs = "GELU is exact, its tanh form there; images under 224 pixels are shrunk less"
    source = f"{AUGREG}; arXiv:2010.11929, section 3.1"
    if not blocks:
        return Row("r_root", sizes, "ViT on patches of 8 of a residual network's root", source, differs)
    title = f"ViT on the map of a residual network of {sum(blocks)} units"
    return Row("r_stages", sizes | dict(blocks=blocks), title, source, differs)


def t2t(depth: int, dim: int, mlp_ratio: float, performer: bool = True) -> Row:
    """T2T-ViT, heads of 64."""
    choices = dict(dim=dim, depth=depth, num_heads=dim // 64, mlp_ratio=mlp_ratio)
    choices |= dict(token_kernel="performer", token_dropout=0.1) if performer else dict(token_kernel="softmax")
    words = "token Performers" if performer else "token transformers"
    differs = "the Performers take rows of Gaussian length and the exact stabiliser" if performer else ""
    title = f"ViT of {depth} blocks after three soft splits with {words} between"
    return Row("t2t", choices, title, f"{T2T}, section 3 and table 1", differs, counting="tables")


def deit(dim: int, num_heads: int, distilled: bool = False) -> Row:
    """DeiT, with a class token or with a distillation token beside it."""
    choices = dict(dim=dim, depth=12, num_heads=num_heads, patch=16)
    two = dict(prefix=2, pool="prefix", head="distilled") if distilled else {}
    words = "class and distillation token, mean of their logits" if distilled else "class token"
    return Row("deit", choices | two, f"DeiT, {words}", f"{DEIT}, table 1")


def cait(dim: int, depth: int, num_heads: int, scale: float = 1e-5) -> Row:
    """CaiT."""
    choices = dict(dim=dim, depth=depth, num_heads=num_heads, patch=16, scale=scale, class_scale=scale)
    title = f"CaiT, {depth} blocks with talking heads, 2 of class attention"
    return Row("cait", choices, title, CAIT, "the rates of dropped paths of the release are not known; 0.1 here")


def swin(dim: int, heads: int, third: int, drop_path: float) -> Row:
    """Swin."""
    stages = range(4)
    choices = dict(
        dim=tuple(dim * 2**i for i in stages), num_heads=tuple(heads * 2**i for i in stages), depth=(2, 2, third, 2), patch=4,
        drop_path=drop_path,
    )  # fmt: skip
    return Row("swin_imagenet", choices, "Swin, windows of 7 x 7, every second block shifted", f"{SWIN}, section 3.3")


def pit(heads: tuple, key_dim: int, patch: int = 16, distilled: bool = False, depth: tuple = (2, 6, 4)) -> Row:
    """PiT for ImageNet."""
    choices = dict(dim=tuple(h * key_dim for h in heads), num_heads=heads, depth=depth, patch=patch, patch_stride=patch // 2)
    two = dict(prefix=2, pool="prefix", head="distilled") if distilled else {}
    words = ", class and distillation token" if distilled else ""
    return Row("pit_imagenet", choices | two, f"pooling transformer (PiT), overlapping patches{words}", PIT)


def small_images(
    family: str,
    title: str,
    differs: str = "",
    lsa: dict | None = None,
    reduce: bool = False,
    spt: dict | None = None,
    counting: str = "trainable",
) -> dict[str, Row]:
    """The four rows of one network for small images: with shifted patches, with locality self-attention, both, neither."""
    lsa = lsa or dict(kernel="lsa")
    spt = spt or dict(embed="spt", **(dict(reduce="spt") if reduce else {}))
    words = {"spt": "shifted patch tokenisation", "lsa": "locality self-attention"}
    rows = {"": (spt | lsa, "both"), "_base": ({}, "neither"), "_spt": (spt, words["spt"]), "_lsa": (lsa, words["lsa"])}
    both = " and ".join(words.values())
    text = {"both": f", {both}", "neither": f", without {both}"}
    return {
        family + ending: Row(family, choices, title + text.get(what, f", {what}"), SMALL, differs, counting)
        for ending, (choices, what) in rows.items()
    }


STEP = "the step of the binary probabilities is kept at 1e-5 or more"


def binary_deit(title: str, branches: bool = False, affine: float | None = None, **choices) -> Row:
    """A step from binary DeiT-S to BinaryViT."""
    own = dict(branches=branches, out_affine=affine, mlp_affine=affine) | choices
    return Row("binary_deit", own, f"binary DeiT-S{title}", BINARY, STEP)


def acc_vit(size: str, count: str, **choices) -> Row:
    """A row of the style of ACC-ViT, of so many parameters with 1,000 classes."""
    return Row(
        "acc_vit",
        choices,
        f"dilated convolutions and atrous attention, in the style of ACC-ViT-{size}; its own count: {count} parameters",
        ACC,
        "a reading of the text, since the published configuration is not known: three dilated convolutions of 4 dim channels "
        "side by side, squeeze and excitation on their output, one set of projections for all rates, layer normalisations and "
        "biases throughout, a stem of two convolutions that each halve the map, stages that begin with means of 2 x 2 tokens; "
        "the counts are its own, not the published ones",
    )


PRESETS = {
    "transformer_global": Row(
        "isotropic", dict(kernel="softmax"), "exact attention over all tokens", COLUMBIA + ", table 1; arXiv:2010.11929"
    ),
    "transformer_local": Row(
        "swin",
        dict(mixer="window"),
        "attention in 2-D windows, every second block shifted (Swin)",
        COLUMBIA + ", table 1, local model; arXiv:2103.14030",
        "the reference drops elements where Swin drops paths, as the Keras example does; the default profile merges nothing",
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
    "vit": hybrid("vix", "tables 1 and 2", kernel="softmax"),
    "vip": hybrid("vix", "tables 1 and 2", kernel="performer"),
    "vil": hybrid("vix", "tables 1 and 2", kernel="linformer"),
    "vin": hybrid("vix", "tables 1 and 2", kernel="nystrom"),
    "fnet": hybrid("vix", "tables 1 and 2", mixer="fourier"),
    "mlp_mixer": hybrid("vix", "tables 1 and 2", mixer="token_mlp", prefix=0, position="none", pool="mean", mlp_dim=128),
    "hybrid_vit": hybrid("vix", "tables 1 and 2", embed="conv", kernel="softmax"),
    "hybrid_vip": hybrid("vix", "tables 1 and 2", embed="conv", kernel="performer"),
    "hybrid_vil": hybrid("vix", "tables 1 and 2", embed="conv", kernel="linformer"),
    "hybrid_vin": hybrid("vix", "tables 1 and 2", embed="conv", kernel="nystrom"),
    "hybrid_fnet": hybrid("vix", "tables 1 and 2", embed="conv", mixer="fourier"),
    "hybrid_mlp_mixer": hybrid(
        "vix", "tables 1 and 2", embed="conv", mixer="token_mlp", prefix=0, position="none", pool="mean", mlp_dim=128
    ),
    "levit": hybrid("levix", "tables 3 and 4", mixer="levit"),
    "levip": hybrid("levix", "tables 3 and 4", kernel="performer"),
    "levil": hybrid("levix", "tables 3 and 4", kernel="linformer"),
    "levin": hybrid("levix", "tables 3 and 4", kernel="nystrom"),
    "cct": hybrid("ccx", "tables 3 and 4", kernel="softmax"),
    "ccp": hybrid("ccx", "tables 3 and 4", kernel="performer"),
    "ccl": hybrid("ccx", "tables 3 and 4", kernel="linformer"),
    "ccn": hybrid("ccx", "tables 3 and 4", kernel="nystrom"),
    "cvt": hybrid("cvx", "tables 3 and 4", mixer="conv_attention"),
    "cvp": hybrid("cvx", "tables 3 and 4", kernel="performer"),
    "cvl": hybrid("cvx", "tables 3 and 4", kernel="linformer"),
    "cvn": hybrid("cvx", "tables 3 and 4", kernel="nystrom"),
    "pit": hybrid("pix", "table 5", kernel="softmax"),
    "pip": hybrid("pix", "table 5", kernel="performer"),
    "pin": hybrid("pix", "table 5", kernel="nystrom"),
    "hybrid_pit": hybrid("pix", "table 5", embed="conv", kernel="softmax"),
    "hybrid_pip": hybrid("pix", "table 5", embed="conv", kernel="performer"),
    "hybrid_pin": hybrid("pix", "table 5", embed="conv", kernel="nystrom"),
    "vit_rope": hybrid("vix", "table 6", kernel="softmax", position="rope"),
    "vip_rope": hybrid("vix", "table 6", kernel="performer", position="rope"),
    "vil_rope": hybrid("vix", "table 6", kernel="linformer", position="rope"),
    "vin_rope": hybrid("vix", "table 6", kernel="nystrom", position="rope"),
    "hybrid_vit_rope": hybrid("vix", "table 6", embed="conv", kernel="softmax", position="rope"),
    "hybrid_vip_rope": hybrid("vix", "table 6", embed="conv", kernel="performer", position="rope"),
    "hybrid_vil_rope": hybrid("vix", "table 6", embed="conv", kernel="linformer", position="rope"),
    "hybrid_vin_rope": hybrid("vix", "table 6", embed="conv", kernel="nystrom", position="rope"),
    "vit_ti16": vit(192, 12, 3, 16),
    "vit_s32": vit(384, 12, 6, 32),
    "vit_s16": vit(384, 12, 6, 16),
    "vit_b32": vit(768, 12, 12, 32),
    "vit_b16": vit(768, 12, 12, 16),
    "vit_b8": vit(768, 12, 12, 8),
    "vit_l16": vit(1024, 24, 16, 16),
    "vit_l32": vit(1024, 24, 16, 32),
    "r_ti16": hybrid_vit(192, 12, 3),
    "r26_s32": hybrid_vit(384, 12, 6, (2, 2, 2, 2)),
    "r26_b32": hybrid_vit(768, 12, 12, (2, 2, 2, 2)),
    "r50_l32": hybrid_vit(1024, 24, 16, (3, 4, 6, 3)),
    "t2t_vit_7": t2t(7, 256, 2.0),
    "t2t_vit_10": t2t(10, 256, 2.0),
    "t2t_vit_12": t2t(12, 256, 2.0),
    "t2t_vit_14": t2t(14, 384, 3.0),
    "t2t_vit_19": t2t(19, 448, 3.0),
    "t2t_vit_24": t2t(24, 512, 3.0),
    "t2t_vit_t_14": t2t(14, 384, 3.0, performer=False),
    "t2t_vit_t_19": t2t(19, 448, 3.0, performer=False),
    "t2t_vit_t_24": t2t(24, 512, 3.0, performer=False),
    "deit_ti": deit(192, 3),
    "deit_s": deit(384, 6),
    "deit_b": deit(768, 12),
    "deit_ti_distilled": deit(192, 3, distilled=True),
    "deit_s_distilled": deit(384, 6, distilled=True),
    "deit_b_distilled": deit(768, 12, distilled=True),
    "cait_xxs24": cait(192, 24, 4),
    "cait_xxs36": cait(192, 36, 4),
    "cait_xs24": cait(288, 24, 6),
    "cait_xs36": cait(288, 36, 6, 1e-6),
    "cait_s24": cait(384, 24, 8),
    "cait_s36": cait(384, 36, 8, 1e-6),
    "cait_s48": cait(384, 48, 8, 1e-6),
    "cait_m24": cait(768, 24, 16),
    "cait_m36": cait(768, 36, 16, 1e-6),
    "cait_m48": cait(768, 48, 16, 1e-6),
    "swin_t": swin(96, 3, 6, 0.2),
    "swin_s": swin(96, 3, 18, 0.3),
    "swin_b": swin(128, 4, 18, 0.5),
    "swin_l": swin(192, 6, 18, 0.2),
    "pit_ti": pit((2, 4, 8), 32),
    "pit_xs": pit((2, 4, 8), 48),
    "pit_s": pit((3, 6, 12), 48),
    "pit_b": pit((4, 8, 16), 64, 14, depth=(3, 6, 4)),
    "pit_ti_distilled": pit((2, 4, 8), 32, distilled=True),
    "pit_xs_distilled": pit((2, 4, 8), 48, distilled=True),
    "pit_s_distilled": pit((3, 6, 12), 48, distilled=True),
    "pit_b_distilled": pit((4, 8, 16), 64, 14, distilled=True, depth=(3, 6, 4)),
    "binary_deit_s": binary_deit(", class token", prefix=1, pool="first", token_std=1e-6),
    "binary_deit_s_gap": binary_deit(", mean of the tokens"),
    "binary_deit_s_branches": binary_deit(", mean of the tokens, means of neighbours", True),
    "binary_deit_s_affine": binary_deit(", mean of the tokens, means of neighbours, learned scales", True, 0.1),
    "binary_vit": Row(
        "binary_vit", {}, "BinaryViT, binary transformer of four stages", BINARY, STEP, counting="statistics"
    ),
    "binary_vit_star": Row(
        "binary_vit",
        dict(merge_binary=False),
        "BinaryViT*, stages joined in full precision",
        BINARY,
        STEP,
        counting="statistics",
    ),
    **small_images("sl_vit", "ViT of 9 blocks"),
    **small_images(
        "sl_cait",
        "CaiT of 24 blocks",
        "keys are left out after the first mixing of heads, as the paper says; the release adds nearly 0 instead",
        dict(learned_scale=True, diagonal=False),
    ),
    **small_images(
        "sl_t2t",
        "T2T-ViT of 12 blocks",
        lsa=dict(kernel="lsa", token_kernel="lsa"),
        spt=dict(shifted=True),
        counting="declared",
    ),
    **small_images("sl_pit", "pooling transformer (PiT)", reduce=True),
    **small_images("sl_swin", "Swin of three stages with learned positions", reduce=True),
    "acc_vit_t": acc_vit("T", "28,289,177"),
    "acc_vit_s": acc_vit("S", "62,911,203", dim=(96, 192, 384, 768), num_heads=(3, 6, 12, 24), filters=(96,)),
    "acc_vit_b": acc_vit(
        "B", "100,805,058", dim=(96, 192, 384, 768), depth=(4, 6, 14, 2), num_heads=(3, 6, 12, 24), filters=(96,)
    ),
}
