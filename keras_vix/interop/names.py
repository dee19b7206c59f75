"""The names of weights in public checkpoints and the roles they have here: plain data, one table for each layout.

A row is `(theirs, ours, kind)`: the name of a layer or tensor there, the path of the layer or weight here, and a word of `KINDS`,
which says which tensors it has and how each is turned. In names `{s}` is the number of a stage, `{b}` of a block, `{c}` of a
convolution, as counted here; `{s0}` is one less, `{s1}` one more. `a|b` is either name, `a+b` both joined, as far as those after
the first are there.
"""

from typing import NamedTuple


class Layout(NamedTuple):
    """One way of naming.

    Args:
        name: whose it is, in words.
        rows: as above.
        prefixes: words in front of some files' names and not of others'.
        ignored: names of tensors that nothing here needs, where they are there: tables that follow from the sizes, layers that
            other tasks or a distillation token have.
    """

    name: str
    rows: tuple[tuple[str, str, str], ...]
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


# The ends of the tensors of a layer there and here, and the turns from one to the other (`turns`).
KINDS = {
    "dense": ((".weight", "/kernel", ("transposed",)), (".bias", "/bias", ())),
    "first third": ((".weight", "/kernel", ("first", "transposed")), (".bias", "/bias", ("first",))),
    "second third": ((".weight", "/kernel", ("second", "transposed")), (".bias", "/bias", ("second",))),
    "last third": ((".weight", "/kernel", ("last", "transposed")), (".bias", "/bias", ("last",))),
    "convolution": ((".weight", "/kernel", ("channels_last",)), (".bias", "/bias", ())),
    "depthwise": ((".weight", "/kernel", ("depthwise",)), (".bias", "/bias", ())),
    "norm": ((".weight", "/gamma", ()), (".bias", "/beta", ())),
    "mixing": ((".weight", "", ("transposed",)), (".bias", "_bias", ())),
    "jax dense": (("/kernel", "/kernel", ()), ("/bias", "/bias", ())),
    "jax kernel": (("/kernel", "/kernel", ()),),
    "jax heads": (("/kernel", "/kernel", ("heads",)), ("/bias", "/bias", ("heads_bias",))),
    "jax heads out": (("/kernel", "/kernel", ("heads_out",)), ("/bias", "/bias", ())),
    "jax norm": (("/scale", "/gamma", ()), ("/bias", "/beta", ())),
    "jax group norm": (("/scale", "/gamma", ("flat",)), ("/bias", "/beta", ("flat",))),
    "same": (("", "", ()),),
    "offsets": (("", "", ()),),
    "tokens": (("", "", ("unbatched",)),),
    "positions": (("", "", ("unbatched",)),),
    "map of positions": (("", "", ("unbatched", "map_last")),),
}


def within(theirs: str, ours: str, rows) -> tuple[tuple[str, str, str], ...]:
    """Rows with words in front of their names and of ours."""
    return tuple((theirs + there, ours + here, kind) for there, here, kind in rows)


# timm: ViT, DeiT, CaiT, PiT and Swin have this block in common.
TIMM_BLOCK = (
    ("norm1", "mixer/norm", "norm"),
    ("attn.qkv", "mixer/mixer/query", "first third"),
    ("attn.qkv", "mixer/mixer/key", "second third"),
    ("attn.qkv", "mixer/mixer/value", "last third"),
    ("attn.proj", "mixer/mixer/out", "dense"),
    ("norm2", "ffn/norm", "norm"),
    ("mlp.fc1", "ffn/mlp/expand", "dense"),
    ("mlp.fc2", "ffn/mlp/contract", "dense"),
)
TIMM_HEADS = (("head", "head/logits", "dense"), ("head_dist", "head/logits_distilled", "dense"))
TIMM_TEACHER = ("dist_token", "head_dist.weight", "head_dist.bias")

TIMM_VIT = Layout(
    "timm, ViT and DeiT",
    (
        ("patch_embed.proj", "patch_embedding/projection", "convolution"),
        ("cls_token+dist_token", "prefix/tokens", "tokens"),
        ("pos_embed", "position/table", "positions"),
        *within("blocks.{b}.", "stage0_block{b}_", TIMM_BLOCK),
        ("norm", "norm", "norm"),
        *TIMM_HEADS,
    ),
    ignored=(*TIMM_TEACHER, "pre_logits.fc.weight", "pre_logits.fc.bias"),
)

TIMM_CAIT_BLOCK = (
    *TIMM_BLOCK,
    ("gamma_1", "mixer/gamma", "same"),
    ("gamma_2", "ffn/gamma", "same"),
    ("attn.proj_l", "mixer/mixer/kernel/mix_scores", "mixing"),
    ("attn.proj_w", "mixer/mixer/kernel/mix_weights", "mixing"),
)
TIMM_CLASS_BLOCK = (
    ("norm1", "norm", "norm"),
    ("attn.q", "attention/query", "dense"),
    ("attn.k", "attention/key", "dense"),
    ("attn.v", "attention/value", "dense"),
    ("attn.proj", "attention/out", "dense"),
    ("gamma_1", "gamma", "same"),
    ("norm2", "ffn/norm", "norm"),
    ("mlp.fc1", "ffn/mlp/expand", "dense"),
    ("mlp.fc2", "ffn/mlp/contract", "dense"),
    ("gamma_2", "ffn/gamma", "same"),
)
TIMM_CAIT = Layout(
    "timm, CaiT",
    (
        ("patch_embed.proj", "patch_embedding/projection", "convolution"),
        ("pos_embed", "position/table", "positions"),
        *within("blocks.{b}.", "stage0_block{b}_", TIMM_CAIT_BLOCK),
        ("cls_token", "pool/tokens", "tokens"),
        *within("blocks_token_only.{b}.", "pool/class{b}/", TIMM_CLASS_BLOCK),
        ("norm", "pool/norm", "norm"),
        ("head", "head/logits", "dense"),
    ),
)

# Releases before 0.9 hold the poolings in a list of their own.
TIMM_PIT = Layout(
    "timm, PiT",
    (
        ("patch_embed.conv", "patch_embedding/projection", "convolution"),
        ("pos_embed", "position/table", "map of positions"),
        ("cls_token", "prefix/tokens", "tokens"),
        *within("transformers.{s}.blocks.{b}.", "stage{s}_block{b}_", TIMM_BLOCK),
        ("transformers.{s}.pool.conv|pools.{s0}.conv", "stage{s}_reduce/conv", "depthwise"),
        ("transformers.{s}.pool.fc|pools.{s0}.fc", "stage{s}_reduce/front", "dense"),
        ("norm", "norm", "norm"),
        *TIMM_HEADS,
    ),
    ignored=TIMM_TEACHER,
)

TIMM_SWIN_BLOCK = (*TIMM_BLOCK, ("attn.relative_position_bias_table", "mixer/mixer/relative_bias", "offsets"))
MERGING = (("norm", "norm", "norm"), ("reduction", "projection", "dense"))


def timm_swin(name: str, merging: str) -> Layout:
    """Swin, whose mergings stand at the place `merging`."""
    rows = (
        ("patch_embed.proj", "patch_embedding/projection", "convolution"),
        ("patch_embed.norm", "patch_embedding/norm", "norm"),
        *within("layers.{s}.blocks.{b}.", "stage{s}_block{b}_", TIMM_SWIN_BLOCK),
        *within(merging, "stage{s}_reduce/", MERGING),
        ("norm", "norm", "norm"),
        ("head.fc|head", "head/logits", "dense"),
    )
    tables = ("layers.{s}.blocks.{b}.attn.relative_position_index", "layers.{s}.blocks.{b}.attn_mask")
    return Layout(name, rows, ignored=tables)


TIMM_SWIN = timm_swin("timm from 0.9 on, Swin", "layers.{s}.downsample.")
TIMM_SWIN_BEFORE = timm_swin("timm before 0.9 and the first release, Swin", "layers.{s0}.downsample.")

# transformers: what files hold, and the names inside release 5, which renames them while it reads.
HF_FILE_BLOCK = (
    ("layernorm_before", "mixer/norm", "norm"),
    ("attention.attention.query", "mixer/mixer/query", "dense"),
    ("attention.attention.key", "mixer/mixer/key", "dense"),
    ("attention.attention.value", "mixer/mixer/value", "dense"),
    ("attention.output.dense", "mixer/mixer/out", "dense"),
    ("layernorm_after", "ffn/norm", "norm"),
    ("intermediate.dense", "ffn/mlp/expand", "dense"),
    ("output.dense", "ffn/mlp/contract", "dense"),
)
HF_INNER_BLOCK = (
    ("layernorm_before", "mixer/norm", "norm"),
    ("attention.q_proj", "mixer/mixer/query", "dense"),
    ("attention.k_proj", "mixer/mixer/key", "dense"),
    ("attention.v_proj", "mixer/mixer/value", "dense"),
    ("attention.o_proj", "mixer/mixer/out", "dense"),
    ("layernorm_after", "ffn/norm", "norm"),
    ("mlp.fc1", "ffn/mlp/expand", "dense"),
    ("mlp.fc2", "ffn/mlp/contract", "dense"),
)
HF_FILE_SWIN_BLOCK = (
    ("layernorm_before", "mixer/norm", "norm"),
    ("attention.self.query", "mixer/mixer/query", "dense"),
    ("attention.self.key", "mixer/mixer/key", "dense"),
    ("attention.self.value", "mixer/mixer/value", "dense"),
    ("attention.self.relative_position_bias_table", "mixer/mixer/relative_bias", "offsets"),
    ("attention.output.dense", "mixer/mixer/out", "dense"),
    ("layernorm_after", "ffn/norm", "norm"),
    ("intermediate.dense", "ffn/mlp/expand", "dense"),
    ("output.dense", "ffn/mlp/contract", "dense"),
)
HF_INNER_SWIN_BLOCK = (
    *HF_INNER_BLOCK,
    ("attention.relative_position_bias.relative_position_bias_table", "mixer/mixer/relative_bias", "offsets"),
)
HF_POOLER = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.mask_token", "decoder.0.weight", "decoder.0.bias")
HF_TEACHER = ("embeddings.distillation_token", "distillation_classifier.weight", "distillation_classifier.bias")


def hf_vit(name: str, blocks: str, block) -> Layout:
    """ViT and DeiT, whose blocks stand at the place `blocks`."""
    rows = (
        ("embeddings.patch_embeddings.projection", "patch_embedding/projection", "convolution"),
        ("embeddings.cls_token+embeddings.distillation_token", "prefix/tokens", "tokens"),
        ("embeddings.position_embeddings", "position/table", "positions"),
        *within(blocks, "stage0_block{b}_", block),
        ("layernorm", "norm", "norm"),
        ("classifier|cls_classifier", "head/logits", "dense"),
        ("distillation_classifier", "head/logits_distilled", "dense"),
    )
    return Layout(name, rows, ("vit.", "deit."), HF_POOLER + HF_TEACHER)


def hf_swin(name: str, block, ignored: tuple[str, ...]) -> Layout:
    """Swin."""
    rows = (
        ("embeddings.patch_embeddings.projection", "patch_embedding/projection", "convolution"),
        ("embeddings.norm", "patch_embedding/norm", "norm"),
        *within("encoder.layers.{s}.blocks.{b}.", "stage{s}_block{b}_", block),
        *within("encoder.layers.{s0}.downsample.", "stage{s}_reduce/", MERGING),
        ("layernorm", "norm", "norm"),
        ("classifier", "head/logits", "dense"),
    )
    return Layout(name, rows, ("swin.",), HF_POOLER + ignored)


HF_VIT = hf_vit("transformers, ViT and DeiT", "encoder.layer.{b}.", HF_FILE_BLOCK)
HF_VIT_INNER = hf_vit("transformers 5 in memory, ViT and DeiT", "layers.{b}.", HF_INNER_BLOCK)
INDEX = "encoder.layers.{s}.blocks.{b}.attention."
HF_SWIN = hf_swin("transformers, Swin", HF_FILE_SWIN_BLOCK, (INDEX + "self.relative_position_index",))
HF_SWIN_INNER = hf_swin(
    "transformers 5 in memory, Swin", HF_INNER_SWIN_BLOCK, (INDEX + "relative_position_bias.relative_position_index",)
)

# The JAX release of ViT and AugReg; the rows of a residual network in front count stages, units and convolutions from 1.
JAX_BLOCK = (
    ("LayerNorm_0", "mixer/norm", "jax norm"),
    ("MultiHeadDotProductAttention_1/query", "mixer/mixer/query", "jax heads"),
    ("MultiHeadDotProductAttention_1/key", "mixer/mixer/key", "jax heads"),
    ("MultiHeadDotProductAttention_1/value", "mixer/mixer/value", "jax heads"),
    ("MultiHeadDotProductAttention_1/out", "mixer/mixer/out", "jax heads out"),
    ("LayerNorm_2", "ffn/norm", "jax norm"),
    ("MlpBlock_3/Dense_0", "ffn/mlp/expand", "jax dense"),
    ("MlpBlock_3/Dense_1", "ffn/mlp/contract", "jax dense"),
)
JAX_UNIT = (
    ("conv{c1}", "conv{c}", "jax kernel"),
    ("gn{c1}", "conv{c}_norm", "jax group norm"),
    ("conv_proj", "shortcut", "jax kernel"),
    ("gn_proj", "shortcut_norm", "jax group norm"),
)
JAX_VIT = Layout(
    "JAX, ViT and AugReg",
    (
        ("conv_root", "res_net_embedding/root", "jax kernel"),
        ("gn_root", "res_net_embedding/root_norm", "jax group norm"),
        *within("block{s1}/unit{b1}/", "res_net_embedding/stage{s}_unit{b}/", JAX_UNIT),
        ("embedding", "res_net_embedding/projection", "jax dense"),
        ("embedding", "patch_embedding/projection", "jax dense"),
        ("cls", "prefix/tokens", "tokens"),
        ("Transformer/posembed_input/pos_embedding", "position/table", "positions"),
        *within("Transformer/encoderblock_{b}/", "stage0_block{b}_", JAX_BLOCK),
        ("Transformer/encoder_norm", "norm", "jax norm"),
        ("head", "head/logits", "jax dense"),
    ),
    ignored=("pre_logits/kernel", "pre_logits/bias"),
)

LAYOUTS = (
    TIMM_VIT, TIMM_CAIT, TIMM_PIT, TIMM_SWIN, TIMM_SWIN_BEFORE, HF_VIT, HF_VIT_INNER, HF_SWIN, HF_SWIN_INNER, JAX_VIT,
)  # fmt: skip
