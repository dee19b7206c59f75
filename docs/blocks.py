"""A picture of a model: its parts from the image to the logits, one below the other, with what goes from one to the next."""

import html
import math

import keras

from keras_vix.parts import Residual
from keras_vix.zoo import Config

WIDTH, BOX, GAP, LINE, PAD = 460, 300, 22, 17, 9
SHADES = {"image": "#eceff4", "embed": "#cfe3f5", "mixer": "#fbd9b5", "ffn": "#d9edc9", "reduce": "#e6d5ee", "end": "#f3e6c4"}
INK, EDGE = "#20242b", "#8a919e"
WORDS = {
    "embed": {
        "patch": "linear map of each patch", "conv": "convolutional stem", "spt": "shifted patches", "t2t": "soft splits (T2T)",
        "resnet": "residual network",
    },
    "position": {
        "learned": "learned positions", "sincos": "2-D sines and cosines", "sinusoid": "sines and cosines of the place",
    },
    "local": {"inverted": "inverted residual convolution, then", "perception": "x + local perception, then"},
    "mixer": {
        "binary_attention": "binary attention", "conv_attention": "convolutional attention", "levit": "LeViT attention",
        "window": "attention in 2-D windows", "window_1d": "attention in runs of tokens", "atrous": "attention in dilated windows",
        "fourier": "Fourier transform", "token_mlp": "perceptron over tokens",
    },
    "kernel": {
        "softmax": "exact", "performer": "Performer", "linformer": "Linformer", "nystrom": "Nyström",
        "lsa": "locality self-attention", "talking_heads": "talking heads",
    },
    "ffn": {"mlp": "perceptron", "binary_mlp": "binary perceptron"},
    "reduce": {
        "merge": "neighbours merged", "conv": "convolution", "depthwise": "depth-wise convolution", "spt": "shifted patches merged",
        "binary_merge": "binary merging",
    },
    "pool": {
        "mean": "mean of the tokens", "first": "first token", "prefix": "tokens in front", "sequence": "weighted sum of the tokens",
        "flatten": "tokens side by side", "class_attention": "class attention",
    },
    "head": {"distilled": "linear, one for each token in front", "mlp": "perceptron"},
}  # fmt: skip
RANKS = ("m", "window", "rates", "features", "share", "patch", "filters", "strides", "split", "kv_reduction")


class Step:
    """One box: a title, lines below it, its shade, and the tensor that leaves it."""

    def __init__(self, kind: str, title: str, lines: list[str], leaves: str = "", times: int = 1):
        self.kind, self.title, self.lines, self.leaves, self.times = kind, title, lines, leaves, times


def picture(config: Config, model: keras.Model, title: str) -> str:
    """The model as an SVG, readable on a light and a dark page.

    Args:
        config: the record; model: what was assembled of it, with or without values in its weights.
        title: for those who cannot see the picture.
    """
    boxes, body, y = steps(config, model), [], 8
    for place, step in enumerate(boxes):
        height = 2 * PAD + LINE * (1 + len(step.lines))
        body += box(step, y, height)
        y += height
        if place < len(boxes) - 1:
            body += arrow(step.leaves, y)
            y += GAP + (LINE if step.leaves else 0) + (8 if boxes[place + 1].times > 1 else 0)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" width="{WIDTH}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13"><title>{html.escape(title)}</title>'
    )
    return "\n".join([head, *body, "</svg>\n"])


def box(step: Step, y: int, height: int) -> list[str]:
    """The box of one step; a stack of them, and how often, where it is repeated."""
    left, found = 20, []
    for back in ((8, 4) if step.times > 1 else ()):
        found.append(rectangle(left + back, y - back, height, SHADES[step.kind]))
    found.append(rectangle(left, y, height, SHADES[step.kind]))
    found.append(text(left + 12, y + PAD + 12, step.title, "600"))
    found += [text(left + 12, y + PAD + 12 + LINE * (place + 1), line) for place, line in enumerate(step.lines)]
    if step.times > 1:
        found.append(f'<text x="{left + BOX + 20}" y="{y + height / 2 + 5}" fill="{EDGE}" font-size="16">× {step.times}</text>')
    return found


def rectangle(x: float, y: float, height: float, fill: str) -> str:
    """A box with round corners."""
    return f'<rect x="{x}" y="{y}" width="{BOX}" height="{height}" rx="7" fill="{fill}" stroke="{EDGE}"/>'


def text(x: float, y: float, words: str, weight: str = "400") -> str:
    """A line in a box."""
    return f'<text x="{x}" y="{y}" fill="{INK}" font-weight="{weight}">{html.escape(words)}</text>'


def arrow(words: str, y: int) -> list[str]:
    """Down to the next box, with the shape of what goes there."""
    length = GAP + (LINE if words else 0)
    x, end = 20 + BOX / 2, y + length
    return [
        f'<path d="M{x} {y + 2}V{end - 3}m-4 -5l4 5l4 -5" fill="none" stroke="{EDGE}" stroke-width="1.5"/>',
        f'<text x="{x + 12}" y="{y + length / 2 + 5}" fill="{EDGE}">{html.escape(words)}</text>' if words else "",
    ]


def steps(config: Config, model: keras.Model) -> list[Step]:
    """The boxes, from the layers in their order; blocks of one stage are one stack."""
    rows, columns, channels = config.input_shape
    found = [Step("image", "image", [f"{rows} x {columns} x {channels}, pixels 0 to 255"])]
    for layer in model.layers:
        made = step_of(config, layer)
        if made is not None:
            found.append(made)
    found[-1].leaves = ""
    return found


def step_of(config: Config, layer) -> Step | None:
    """The box of one layer; None for what has no box of its own."""
    name, shape = layer.name, tuple(keras.tree.flatten(layer.output)[0].shape[1:])
    if name.endswith("_embedding"):
        tokens = f"{shape[0]} x {shape[1]} = {math.prod(shape[:2]):,} tokens x {shape[2]}"
        return Step("embed", word(config, "embed"), details(config, "embed"), tokens)
    if name == "prefix":
        return Step("embed", f"{config.prefix} learned token{'s' if config.prefix > 1 else ''} in front", [], tokens_of(shape))
    if name == "position":
        return Step("embed", word(config, "position"), [], "")
    if name.endswith("_reduce"):
        return Step("reduce", word(config, "reduce"), [], tokens_of(shape))
    if isinstance(layer, Residual) and "_block0_" in name:
        stage = int(name.removeprefix("stage").split("_")[0])
        kind = "mixer" if name.endswith("_mixer") else "ffn"
        if kind == "ffn":
            return None  # drawn with its mixer
        return block(config, layer, stage, shape)
    if name == "pool":
        return Step("end", word(config, "pool"), details(config, "pool"), " x ".join(map(str, shape)))
    if name == "head":
        return Step("end", f"head: {word(config, 'head')}", [f"{config.classes:,} logits"])
    return None


def block(config: Config, layer: Residual, stage: int, shape) -> Step:
    """The stack of blocks of one stage."""
    sizes = config.at(stage)
    mixer = word(config, "mixer")
    if "kernel" in config.asks("mixer"):
        mixer += f", {word(config, 'kernel')}"
    number = sizes["num_heads"]
    heads = f"{number} head{'s' if number > 1 else ''}" if "num_heads" in config.asks("mixer") else ""
    chosen = ", ".join(one for one in (heads, *details(config, "mixer"), *details(config, "kernel")) if one)
    turned = ["queries and keys turned by place (rotary)"] if config.position == "rope" else []
    local = [word(config, "local")] if config.local != "none" else []
    norm = {"none": "", "post": ", normalised after"}.get(config.norm, "")
    lines = [*local, f"x + {mixer}", *([f"  {chosen}"] if chosen else []), *turned]
    lines.append(f"x + {word(config, 'ffn')}, {sizes['mlp_dim']:,} hidden units{norm}")
    title = "block" if len(config.depth) == 1 else f"block of stage {stage + 1}"
    return Step("mixer", title, lines, tokens_of(shape), config.depth[stage])


def details(config: Config, axis: str) -> list[str]:
    """The options of one choice that say most, as words."""
    asked = config.asks(axis)
    told = [name for name in RANKS if name in asked and config.options.get(name) not in (None, ())]
    named = [f"{name} = {short(config.options[name])}" for name in told]
    return [", ".join(named)] if named else []


def short(value) -> str:
    """`7`, or `1, 2, 2` for a tuple."""
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def word(config: Config, axis: str) -> str:
    """What the choice on an axis is called in a picture."""
    chosen = getattr(config, axis)
    name = chosen if isinstance(chosen, str) else chosen.__name__
    return WORDS[axis].get(name, name)


def tokens_of(shape) -> str:
    """`196 tokens x 192`."""
    return f"{shape[0]:,} tokens x {shape[1]}" if len(shape) == 2 else " x ".join(map(str, shape))
