"""Small checkpoints under public names, each with what every weight of the model has to be.

The names and shapes are written out here once more, as the releases have them; nothing is taken from the package's tables.
"""

import numpy as np

PLAIN = dict(input_shape=(32, 32, 3), classes=5, patch=8, dim=16, depth=2, num_heads=2, compile=False)
PYRAMID = dict(input_shape=(32, 32, 3), classes=5, patch=8, patch_stride=4, dim=(8, 16), depth=(2, 1), num_heads=(1, 2), compile=False)
WINDOWS = dict(
    input_shape=(32, 32, 3), classes=5, patch=2, window=4, shift=2, dim=(8, 16, 32), depth=(2, 2, 1), num_heads=(1, 2, 4), compile=False
)  # fmt: skip


class Checkpoint:
    """`tensors` by public name, `weights` by role."""

    def __init__(self, preset, sizes, seed=0):
        self.preset, self.sizes = preset, sizes
        self.tensors, self.weights = {}, {}
        self.generator = np.random.default_rng(seed)

    def new(self, name, *shape, centre=0.0):
        value = self.generator.normal(centre, 0.2, shape).astype("float32")
        self.tensors[name] = value
        return value

    def dense(self, name, role, inside, out, bias=True):
        self.weights[role + "/kernel"] = self.new(name + ".weight", out, inside).T
        if bias:
            self.weights[role + "/bias"] = self.new(name + ".bias", out)

    def norm(self, name, role, dim):
        self.weights[role + "/gamma"] = self.new(name + ".weight", dim, centre=1.0)
        self.weights[role + "/beta"] = self.new(name + ".bias", dim)

    def patches(self, name, role, side, dim):
        kernel = self.new(name + ".weight", dim, 3, side, side)
        self.weights[role + "/kernel"] = np.moveaxis(np.moveaxis(kernel, 0, -1), 0, 2)  # rows, columns, in, out
        self.weights[role + "/bias"] = self.new(name + ".bias", dim)

    def fused(self, name, role, dim):
        kernel, bias = self.new(name + ".weight", 3 * dim, dim), self.new(name + ".bias", 3 * dim)
        for place, word in enumerate(("query", "key", "value")):
            rows = slice(place * dim, (place + 1) * dim)
            self.weights[f"{role}/{word}/kernel"], self.weights[f"{role}/{word}/bias"] = kernel[rows].T, bias[rows]

    def tokens(self, names, role, dim):
        self.weights[role] = np.concatenate([self.new(name, 1, 1, dim)[0] for name in names])

    def positions(self, name, role, rows, dim):
        self.weights[role] = self.new(name, 1, rows, dim)[0]

    def timm_block(self, name, role, dim):
        self.norm(name + "norm1", role + "mixer/norm", dim)
        self.fused(name + "attn.qkv", role + "mixer/mixer", dim)
        self.dense(name + "attn.proj", role + "mixer/mixer/out", dim, dim)
        self.norm(name + "norm2", role + "ffn/norm", dim)
        self.dense(name + "mlp.fc1", role + "ffn/mlp/expand", dim, 4 * dim)
        self.dense(name + "mlp.fc2", role + "ffn/mlp/contract", 4 * dim, dim)

    def named_block(self, name, role, dim, words):
        """A block of transformers: `words` for norms, query, key, value, out, hidden, contract."""
        before, query, key, value, out, after, expand, contract = words
        self.norm(name + before, role + "mixer/norm", dim)
        for there, here in ((query, "query"), (key, "key"), (value, "value"), (out, "out")):
            self.dense(name + there, f"{role}mixer/mixer/{here}", dim, dim)
        self.norm(name + after, role + "ffn/norm", dim)
        self.dense(name + expand, role + "ffn/mlp/expand", dim, 4 * dim)
        self.dense(name + contract, role + "ffn/mlp/contract", 4 * dim, dim)


def timm_vit(distilled=False, seed=0, grid=(4, 4), classes=5):
    made = Checkpoint("deit_ti_distilled" if distilled else "vit_b16", PLAIN, seed)
    made.patches("patch_embed.proj", "patch_embedding/projection", 8, 16)
    made.tokens(("cls_token", "dist_token") if distilled else ("cls_token",), "prefix/tokens", 16)
    made.positions("pos_embed", "position/table", grid[0] * grid[1] + 1 + distilled, 16)
    for i in range(2):
        made.timm_block(f"blocks.{i}.", f"stage0_block{i}_", 16)
    made.norm("norm", "norm", 16)
    made.dense("head", "head/logits", 16, classes)
    if distilled:
        made.dense("head_dist", "head/logits_distilled", 16, classes)
    return made


def timm_vit_distilled():
    return timm_vit(distilled=True)


def timm_cait():
    made = Checkpoint("cait_xxs24", PLAIN)
    made.patches("patch_embed.proj", "patch_embedding/projection", 8, 16)
    made.tokens(("cls_token",), "pool/tokens", 16)
    made.positions("pos_embed", "position/table", 16, 16)
    for i in range(2):
        name, role = f"blocks.{i}.", f"stage0_block{i}_"
        made.timm_block(name, role, 16)
        made.weights[role + "mixer/gamma"] = made.new(name + "gamma_1", 16)
        made.weights[role + "ffn/gamma"] = made.new(name + "gamma_2", 16)
        for letter, word in (("l", "mix_scores"), ("w", "mix_weights")):
            made.weights[f"{role}mixer/mixer/kernel/{word}"] = made.new(f"{name}attn.proj_{letter}.weight", 2, 2).T
            made.weights[f"{role}mixer/mixer/kernel/{word}_bias"] = made.new(f"{name}attn.proj_{letter}.bias", 2)
    for i in range(2):
        name, role = f"blocks_token_only.{i}.", f"pool/class{i}/"
        made.norm(name + "norm1", role + "norm", 16)
        for letter, word in (("q", "query"), ("k", "key"), ("v", "value"), ("proj", "out")):
            made.dense(f"{name}attn.{letter}", f"{role}attention/{word}", 16, 16)
        made.norm(name + "norm2", role + "ffn/norm", 16)
        made.dense(name + "mlp.fc1", role + "ffn/mlp/expand", 16, 64)
        made.dense(name + "mlp.fc2", role + "ffn/mlp/contract", 64, 16)
        made.weights[role + "gamma"] = made.new(name + "gamma_1", 16)
        made.weights[role + "ffn/gamma"] = made.new(name + "gamma_2", 16)
    made.norm("norm", "pool/norm", 16)
    made.dense("head", "head/logits", 16, 5)
    return made


def timm_pit(distilled=False, before=False, grid=(7, 7)):
    made = Checkpoint("pit_ti_distilled" if distilled else "pit_ti", PYRAMID)
    made.patches("patch_embed.conv", "patch_embedding/projection", 8, 8)
    made.weights["position/table"] = made.new("pos_embed", 1, 8, *grid)[0].reshape(8, -1).T
    made.weights["prefix/tokens"] = made.new("cls_token", 1, 1 + distilled, 8)[0]
    for stage, depth, dim in ((0, 2, 8), (1, 1, 16)):
        for i in range(depth):
            made.timm_block(f"transformers.{stage}.blocks.{i}.", f"stage{stage}_block{i}_", dim)
    pool = "pools.0." if before else "transformers.1.pool."
    kernel = made.new(pool + "conv.weight", 16, 1, 3, 3)
    table = np.zeros((3, 3, 8, 2), "float32")
    for out in range(16):
        table[:, :, out // 2, out % 2] = kernel[out, 0]
    made.weights["stage1_reduce/conv/kernel"] = table
    made.weights["stage1_reduce/conv/bias"] = made.new(pool + "conv.bias", 16)
    made.dense(pool + "fc", "stage1_reduce/front", 8, 16)
    made.norm("norm", "norm", 16)
    made.dense("head", "head/logits", 16, 5)
    if distilled:
        made.dense("head_dist", "head/logits_distilled", 16, 5)
    return made


def timm_pit_distilled():
    return timm_pit(distilled=True)


def timm_pit_before():
    return timm_pit(before=True)


def timm_swin(before=False, window=4):
    made = Checkpoint("swin_t", WINDOWS)
    made.patches("patch_embed.proj", "patch_embedding/projection", 2, 8)
    made.norm("patch_embed.norm", "patch_embedding/norm", 8)
    for stage, depth, dim in ((0, 2, 8), (1, 2, 16), (2, 1, 32)):
        if stage:
            name = f"layers.{stage - 1 if before else stage}.downsample."
            made.norm(name + "norm", f"stage{stage}_reduce/norm", 2 * dim)
            made.dense(name + "reduction", f"stage{stage}_reduce/projection", 2 * dim, dim, bias=False)
        for i in range(depth):
            name, role = f"layers.{stage}.blocks.{i}.", f"stage{stage}_block{i}_"
            made.timm_block(name, role, dim)
            table = made.new(name + "attn.relative_position_bias_table", (2 * window - 1) ** 2, dim // 8)
            made.weights[role + "mixer/mixer/relative_bias"] = table
    made.norm("norm", "norm", 32)
    made.dense("head" if before else "head.fc", "head/logits", 32, 5)
    return made


def timm_swin_before():
    return timm_swin(before=True)


HF_FILE = (
    "layernorm_before", "attention.attention.query", "attention.attention.key", "attention.attention.value",
    "attention.output.dense", "layernorm_after", "intermediate.dense", "output.dense",
)  # fmt: skip
HF_INNER = (
    "layernorm_before", "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj", "layernorm_after", "mlp.fc1",
    "mlp.fc2",
)  # fmt: skip


def hf_vit(prefix="vit.", distilled=False, inner=False):
    made = Checkpoint("deit_ti_distilled" if distilled else "vit_b16", PLAIN)
    made.patches(prefix + "embeddings.patch_embeddings.projection", "patch_embedding/projection", 8, 16)
    words = ("cls_token", "distillation_token") if distilled else ("cls_token",)
    made.tokens([f"{prefix}embeddings.{word}" for word in words], "prefix/tokens", 16)
    made.positions(prefix + "embeddings.position_embeddings", "position/table", 17 + distilled, 16)
    for i in range(2):
        name = f"{prefix}layers.{i}." if inner else f"{prefix}encoder.layer.{i}."
        made.named_block(name, f"stage0_block{i}_", 16, HF_INNER if inner else HF_FILE)
    made.norm(prefix + "layernorm", "norm", 16)
    made.dense("cls_classifier" if distilled else "classifier", "head/logits", 16, 5)
    if distilled:
        made.dense("distillation_classifier", "head/logits_distilled", 16, 5)
    return made


def hf_vit_inner():
    return hf_vit(inner=True)


def hf_deit_distilled():
    return hf_vit("deit.", distilled=True)


def hf_deit_distilled_inner():
    return hf_vit("deit.", distilled=True, inner=True)


def hf_swin(inner=False):
    made = Checkpoint("swin_t", WINDOWS)
    made.patches("swin.embeddings.patch_embeddings.projection", "patch_embedding/projection", 2, 8)
    made.norm("swin.embeddings.norm", "patch_embedding/norm", 8)
    words = HF_INNER if inner else tuple(word.replace("attention.attention", "attention.self") for word in HF_FILE)
    table = "attention.relative_position_bias." if inner else "attention.self."
    for stage, depth, dim in ((0, 2, 8), (1, 2, 16), (2, 1, 32)):
        if stage:
            name = f"swin.encoder.layers.{stage - 1}.downsample."
            made.norm(name + "norm", f"stage{stage}_reduce/norm", 2 * dim)
            made.dense(name + "reduction", f"stage{stage}_reduce/projection", 2 * dim, dim, bias=False)
        for i in range(depth):
            name, role = f"swin.encoder.layers.{stage}.blocks.{i}.", f"stage{stage}_block{i}_"
            made.named_block(name, role, dim, words)
            offsets = made.new(f"{name}{table}relative_position_bias_table", 49, dim // 8)
            made.weights[role + "mixer/mixer/relative_bias"] = offsets
    made.norm("swin.layernorm", "norm", 32)
    made.dense("classifier", "head/logits", 32, 5)
    return made


def hf_swin_inner():
    return hf_swin(inner=True)


def jax_vit():
    made = Checkpoint("vit_b16", PLAIN)
    new, weights = made.new, made.weights
    weights["patch_embedding/projection/kernel"] = new("embedding/kernel", 8, 8, 3, 16)
    weights["patch_embedding/projection/bias"] = new("embedding/bias", 16)
    jax_transformer(made, 17)
    return made


def jax_transformer(made, rows):
    new, weights = made.new, made.weights
    weights["prefix/tokens"] = new("cls", 1, 1, 16)[0]
    weights["position/table"] = new("Transformer/posembed_input/pos_embedding", 1, rows, 16)[0]

    def norm(name, role):
        weights[role + "/gamma"], weights[role + "/beta"] = new(name + "/scale", 16, centre=1.0), new(name + "/bias", 16)

    for i in range(2):
        name, role = f"Transformer/encoderblock_{i}/", f"stage0_block{i}_"
        norm(name + "LayerNorm_0", role + "mixer/norm")
        norm(name + "LayerNorm_2", role + "ffn/norm")
        attention = name + "MultiHeadDotProductAttention_1/"
        for word in ("query", "key", "value"):
            kernel, bias = new(f"{attention}{word}/kernel", 16, 2, 8), new(f"{attention}{word}/bias", 2, 8)
            weights[f"{role}mixer/mixer/{word}/kernel"] = np.concatenate([kernel[:, head] for head in range(2)], axis=1)
            weights[f"{role}mixer/mixer/{word}/bias"] = np.concatenate([bias[0], bias[1]])
        out = new(attention + "out/kernel", 2, 8, 16)
        weights[role + "mixer/mixer/out/kernel"] = np.concatenate([out[0], out[1]])
        weights[role + "mixer/mixer/out/bias"] = new(attention + "out/bias", 16)
        for there, here, sizes in (("Dense_0", "expand", (16, 64)), ("Dense_1", "contract", (64, 16))):
            weights[f"{role}ffn/mlp/{here}/kernel"] = new(f"{name}MlpBlock_3/{there}/kernel", *sizes)
            weights[f"{role}ffn/mlp/{here}/bias"] = new(f"{name}MlpBlock_3/{there}/bias", sizes[1])
    norm("Transformer/encoder_norm", "norm")
    weights["head/logits/kernel"], weights["head/logits/bias"] = new("head/kernel", 16, 5), new("head/bias", 5)


def jax_hybrid(root=8):
    """A root of so many channels and one stage of two units, the first with a shortcut."""
    sizes = PLAIN | dict(blocks=(2,), root_filters=root, map_patch=1, root_strides=(2, 2))
    sizes.pop("patch")
    made = Checkpoint("r26_s32", sizes)
    new, weights, role = made.new, made.weights, "res_net_embedding/"

    def conv(name, place, *shape):
        weights[f"{role}{place}/kernel"] = new(name + "/kernel", *shape)

    def group_norm(name, place, channels):
        weights[f"{role}{place}_norm/gamma"] = new(name + "/scale", 1, 1, 1, channels, centre=1.0).reshape(-1)
        weights[f"{role}{place}_norm/beta"] = new(name + "/bias", 1, 1, 1, channels).reshape(-1)

    conv("conv_root", "root", 7, 7, 3, root)
    group_norm("gn_root", "root", root)
    for unit, channels in ((0, root), (1, 4 * root)):
        name, place = f"block1/unit{unit + 1}/", f"stage0_unit{unit}/"
        for i, (side, inside, out) in enumerate(((1, channels, root), (3, root, root), (1, root, 4 * root))):
            conv(f"{name}conv{i + 1}", f"{place}conv{i}", side, side, inside, out)
            group_norm(f"{name}gn{i + 1}", f"{place}conv{i}", out)
        if not unit:
            conv(name + "conv_proj", place + "shortcut", 1, 1, root, 4 * root)
            group_norm(name + "gn_proj", place + "shortcut", 4 * root)
    weights[role + "projection/kernel"] = new("embedding/kernel", 1, 1, 4 * root, 16)
    weights[role + "projection/bias"] = new("embedding/bias", 16)
    jax_transformer(made, 65)
    return made


LAYOUTS = (
    timm_vit, timm_vit_distilled, timm_cait, timm_pit, timm_pit_distilled, timm_pit_before, timm_swin, timm_swin_before, hf_vit,
    hf_vit_inner, hf_deit_distilled, hf_deit_distilled_inner, hf_swin, hf_swin_inner, jax_vit, jax_hybrid,
)  # fmt: skip
