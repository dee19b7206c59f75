"""Every contender, one line each, in the order in which tables show them.

To add one, write a function in `contenders/` and a line here.
"""

import functools

from .case import ENVIRONMENTS, Case, case

tf = functools.partial(case, "tensorflow", keras=True)
garden = functools.partial(case, "tensorflow", maker="model_garden:kernel_attention")
swin = functools.partial(tf, maker="keras_hub_parts:swin_attention", groups="windows")
pt = functools.partial(case, "torch")


def probes(where: str) -> list[Case]:
    """What the machine gives a framework: two products of matrices and a sum over 256 MiB."""
    name = ENVIRONMENTS[where]
    return [
        case(where, "square", f"{name}, product 2048 x 2048 x 2048", "product", "floors", sizes=(2048, 2048, 2048)),
        case(where, "tall", f"{name}, product 32768 x 128 x 128", "product", "floors", sizes=(32768, 128, 128)),
        case(where, "sum", f"{name}, a += b of 64 million floats", "sum", "floors", sizes=(1 << 26,)),
    ]


def references(where: str, **more: bool) -> list[Case]:
    """Keras' own attention on one backend: alone, in windows, and in a whole model."""
    on, label = functools.partial(case, where, keras=True, **more), "keras MultiHeadAttention"
    return [
        on("mha", label, "keras_layers:multi_head_attention", quadratic=True),
        on("mha-windows", f"{label} on windows", "keras_layers:windowed_multi_head_attention", "windows"),
        on("mha-model", f"{label} model", "keras_models:with_multi_head_attention", "models", quadratic=True),
    ]


def ours(where: str, groups: str = "attention", **more: bool) -> list[Case]:
    """This package on one backend."""
    on = functools.partial(case, where, keras=True, ours=True, **more)
    layer, window, model = "keras_layers:ours", "keras_layers:our_windows", "keras_models:ours"
    performer = "PerformerAttention"
    return [
        on("vix-performer-softmax", "keras_vix Performer softmax", layer, groups, layer=performer, features="positive"),
        on("vix-performer-relu", "keras_vix Performer ReLU", layer, groups, layer=performer, features="relu"),
        on("vix-linformer", "keras_vix Linformer", layer, groups, layer="LinformerAttention"),
        on("vix-nystrom", "keras_vix Nyström", layer, groups, layer="NystromAttention", iterations=6),
        on("vix-exact", "keras_vix exact attention", layer, layer="Attention", quadratic=True),
        on("vix-windows", "keras_vix windows", window, "windows"),
        on("vix-windows-shifted", "keras_vix windows, shifted", window, "windows", shifted=True),
        on("vix-performer-softmax-model", "keras_vix Performer softmax model", model, "models",
           preset="performer_softmax", m=64),
        on("vix-performer-relu-model", "keras_vix Performer ReLU model", model, "models",
           preset="performer_relu", m=64),
        on("vix-exact-model", "keras_vix exact attention model", model, "models",
           preset="transformer_global", quadratic=True),
    ]


def some(cases: list[Case], *words: str) -> list[Case]:
    """Those cases whose name contains one of the words."""
    return [one for one in cases if any(word in one.name for word in words)]


CASES: tuple[Case, ...] = (
    *(probe for where in ENVIRONMENTS for probe in probes(where)),
    *references("tensorflow"),
    *ours("tensorflow", "attention doubling"),
    *some(ours("tensorflow", jit=True), "performer"),
    *some(references("tensorflow", jit=True), "mha-xla", "model"),
    *references("jax"),
    *references("torch"),
    tf("hub-vit", "KerasHub ViT encoder attention", "keras_hub_parts:vit_attention", quadratic=True),
    pt("native", "torch MultiheadAttention", "torch_layers:multihead_attention", quadratic=True),
    pt("sdpa", "torch scaled_dot_product_attention", "torch_layers:sdpa", quadratic=True),
    pt("vit-pytorch", "vit-pytorch Attention", "torch_layers:vit_pytorch", quadratic=True),
    pt("performer-pytorch-softmax", "performer-pytorch softmax", "torch_layers:performer_pytorch"),
    pt("performer-pytorch-relu", "performer-pytorch ReLU", "torch_layers:performer_pytorch", relu=True),
    garden("garden-exp", "Model Garden kernel attention exp", transform="exp"),
    garden("garden-relu", "Model Garden kernel attention ReLU", transform="relu"),
    tf("favor-softmax", "textbook FAVOR softmax", "favor:favor", features="softmax"),
    tf("favor-relu", "textbook FAVOR ReLU", "favor:favor", features="relu"),
    tf("favor-softmax", "textbook FAVOR softmax", "favor:favor", features="softmax", jit=True),
    tf("favor-relu", "textbook FAVOR ReLU", "favor:favor", features="relu", jit=True),
    pt("linformer-package", "linformer", "torch_layers:linformer"),
    pt("nystrom-package-conv", "nystrom-attention, with its convolution", "torch_layers:nystrom", residual=True),
    pt("nystrom-package", "nystrom-attention, without its convolution", "torch_layers:nystrom", residual=False),
    swin("hub-swin", "KerasHub Swin attention"),
    swin("hub-swin-shifted", "KerasHub Swin attention, shifted", shifted=True),
    pt("sdpa-windows", "torch scaled_dot_product_attention on windows", "torch_layers:windowed_sdpa", "windows"),
    tf("hub-vit-model", "KerasHub ViT backbone model", "keras_hub_parts:vit_model", "models", quadratic=True),
    pt("vit-pytorch-model", "vit-pytorch ViT model", "torch_models:vit_pytorch", "models", quadratic=True),
    pt("performer-pytorch-model", "performer-pytorch Performer model", "torch_models:performer_pytorch", "models"),
    *ours("jax"),
    *ours("torch"),
)  # fmt: skip


def find(name: str) -> Case:
    """The case of a name.

    Raises:
        KeyError: there is none.
    """
    return {one.name: one for one in CASES}[name]
