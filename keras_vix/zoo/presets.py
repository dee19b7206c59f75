"""The zoo: one row a model. A row names its choices; its family (`zoo.families`) gives sizes for each profile and image size."""

import dataclasses

COLUMBIA = "Performer against Transformer on images, Columbia 2024 report"
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
}
