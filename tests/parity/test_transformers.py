"""Our models beside the independent ones of the `transformers` package: the same weights give the same logits.

Run by `make test-parity`, which installs that package and PyTorch; skipped where they are not.
"""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vix

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("transformers")

pytestmark = pytest.mark.skipif(keras.config.backend() != "torch", reason="one framework in a process: KERAS_BACKEND=torch")

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype("float32")
MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
PLAIN = dict(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, layer_norm_eps=1e-6)
BLOCK = {  # ours, theirs
    "mixer.norm": "layernorm_before",
    "mixer.query": "attention.q_proj",
    "mixer.key": "attention.k_proj",
    "mixer.value": "attention.v_proj",
    "mixer.out": "attention.o_proj",
    "ffn.norm": "layernorm_after",
    "ffn.expand": "mlp.fc1",
    "ffn.contract": "mlp.fc2",
}


def scatter(model):
    """Weights far enough from their start that none can hide: normal, factors of normalisations round 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1.0 + 0.1 * noise if "norm" in name and name.endswith("weight") else 0.05 * noise)
    return {name: weight.detach().numpy() for name, weight in model.named_parameters()}


def put(layer, name, state, used):
    """One layer's weights from theirs of that name: kernels transposed, convolutions `(out, in, h, w) -> (h, w, in, out)`."""
    for weight in layer.weights:
        end = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}[weight.path.split("/")[-1]]
        value = state[f"{name}.{end}"]
        weight.assign(value.T if value.ndim == 2 else value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)
        used.add(f"{name}.{end}")


def put_block(model, place, name, state, used):
    for ours, other in BLOCK.items():
        half, own = ours.split(".")
        residual = model.get_layer(f"{place}_{half}")
        sub = residual.layer_norm if own == "norm" else getattr(residual.inner, own)
        put(sub, f"{name}.{other}", state, used)


def embedding(model):
    return next(layer for layer in model.layers if isinstance(layer, keras_vix.layers.PatchEmbedding))


def same_logits(ours, other, state, used, extra=()):
    left = set(state) - used - set(extra)
    assert not left, left  # every weight of theirs has found its place
    pixels = torch.tensor(((IMAGES / 255.0 - MEAN) / STD).transpose(0, 3, 1, 2).astype("float32"))
    with torch.no_grad():
        wanted = other.eval()(pixels).logits.numpy()
    found = ops.convert_to_numpy(ours(IMAGES, training=False))
    assert np.abs(wanted).max() > 0.5  # logits that say something
    assert np.abs(found - wanted).max() <= 1e-4


def put_plain(ours, state, prefix, tokens):
    """A ViT or DeiT but for its heads."""
    used = {f"{prefix}.embeddings.{name}" for name in ("position_embeddings", *tokens)}
    ours.get_layer("prefix").tokens.assign(np.concatenate([state[f"{prefix}.embeddings.{name}"][0] for name in tokens]))
    ours.get_layer("position").table.assign(state[f"{prefix}.embeddings.position_embeddings"][0])
    put(embedding(ours).projection, f"{prefix}.embeddings.patch_embeddings.projection", state, used)
    for i in range(12):
        put_block(ours, f"stage0_block{i}", f"{prefix}.layers.{i}", state, used)
    put(ours.get_layer("norm"), f"{prefix}.layernorm", state, used)
    return used


def test_vit_ti16():
    other = theirs.ViTForImageClassification(theirs.ViTConfig(**PLAIN, num_labels=1000))
    state, ours = scatter(other), keras_vix.build("vit_ti16", compile=False)
    used = put_plain(ours, state, "vit", ("cls_token",))
    put(ours.get_layer("head").logits, "classifier", state, used)
    same_logits(ours, other, state, used)


def test_deit_ti_distilled():
    other = theirs.DeiTForImageClassificationWithTeacher(theirs.DeiTConfig(**PLAIN, num_labels=1000))
    state, ours = scatter(other), keras_vix.build("deit_ti_distilled", compile=False)
    used = put_plain(ours, state, "deit", ("cls_token", "distillation_token"))
    head = ours.get_layer("head")
    put(head.logits, "cls_classifier", state, used)
    put(head.logits_distilled, "distillation_classifier", state, used)
    same_logits(ours, other, state, used)


def test_swin_t():
    other = theirs.SwinForImageClassification(theirs.SwinConfig(num_labels=1000))
    state, ours = scatter(other), keras_vix.build("swin_t", compile=False)
    used = set()
    put(embedding(ours).projection, "swin.embeddings.patch_embeddings.projection", state, used)
    put(embedding(ours).norm, "swin.embeddings.norm", state, used)
    for stage, depth in enumerate((2, 2, 6, 2)):
        there = f"swin.encoder.layers.{stage}"
        if stage:
            reduce, before = ours.get_layer(f"stage{stage}_reduce"), f"swin.encoder.layers.{stage - 1}.downsample"
            put(reduce.layer_norm, f"{before}.norm", state, used)
            put(reduce.projection, f"{before}.reduction", state, used)
        for block in range(depth):
            put_block(ours, f"stage{stage}_block{block}", f"{there}.blocks.{block}", state, used)
            table = f"{there}.blocks.{block}.attention.relative_position_bias.relative_position_bias_table"
            ours.get_layer(f"stage{stage}_block{block}_mixer").inner.bias.assign(state[table])
            used.add(table)
    put(ours.get_layer("norm"), "swin.layernorm", state, used)
    put(ours.get_layer("head").logits, "classifier", state, used)
    same_logits(ours, other, state, used)
