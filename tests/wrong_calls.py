"""Wrong calls, a line each: what is called, the kind of error, and the words that its message must hold."""

import dataclasses
import hashlib
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import keras_vix
from keras_vix import cli, data, layers
from keras_vix.bench import suites
from keras_vix.bench.plots import plot_tradeoff
from keras_vix.interop import read
from keras_vix.train import SmoothedCrossentropy

from .interop.layouts import PLAIN, timm_vit

NAN, INF = math.nan, math.inf
NUMBERS = range(1, 94)


@dataclasses.dataclass(frozen=True)
class Row:
    """A wrong call.

    `given` makes what the call is handed, and is itself no part of it. `error` is the kind of an exception or of a warning, or the
    exit code of a command, whose words are those on standard error, or on standard output if the code is 0.
    """

    number: int
    text: str
    call: Callable
    error: type | int
    words: tuple[str, ...]
    given: Callable | None = None

    @property
    def id(self):
        return f"{self.number:02}-{self.text}"


def named(options):
    return ",".join(f"{key}={value!r}" for key, value in options.items())


# ---- build ---------------------------------------------------------------------------------------------------------

IMAGE = {"input_shape": (32, 32, 3), "classes": 10}
RATE, NO_ARGUMENT = "0.0 <= dropout < 1.0", "`build` has no argument"

# number, preset, options, error, words
BUILD = [
    (1, "performer_sofmax", {}, ValueError, "preset 'performer_sofmax'", "Did you mean 'performer_softmax'", "Known: "),
    (2, "", {}, ValueError, "preset=''", "empty", "list_models()"),
    (3, None, {}, TypeError, "preset=None", "must be a string"),
    (3, 7, {}, TypeError, "preset=7", "must be a string"),
    (4, "../../etc/passwd", {}, ValueError, "preset '../../etc/passwd'", "Known: transformer_global"),
    (5, "performer_softmax", {"m": 0}, ValueError, "`m`", "m=0", "at least 1"),
    (6, "performer_softmax", {"m": -4}, ValueError, "`m`", "m=-4", "at least 1"),
    (7, "performer_softmax", {"m": 2.5}, TypeError, "`m`", "m=2.5", "integer"),
    (8, "performer_softmax", {"m": True}, TypeError, "`m`", "m=True", "integer"),
    (9, "performer_softmax", {"m": "32"}, TypeError, "`m`", "m='32'", "integer"),
    (10, "performer_softmax", {"m": 10**9}, ValueError, "m=1000000000", "24,000,000,000", "limit is 67,108,864"),
    # `m` is the rank of every low-rank kernel: what Linformer lacks are features, and what exact attention lacks is `m`
    (11, "linformer", {"features": "relu"}, ValueError, "features='relu'", "no chosen part", "Options here: ", " share, start,"),
    (11, "transformer_global", {"m": 32}, ValueError, "m=32", "no chosen part", "Options here: "),
    (11, "linformer", {"k": 32}, ValueError, f"{NO_ARGUMENT} `k`", "k=32", "Known: ", " m, "),
    (12, "performer_softmax", {"foo": 1}, ValueError, f"{NO_ARGUMENT} `foo`", "foo=1", "Did you mean 'pool'", "Known: "),
    (12, "vit", {"learning_rat": 0.1}, ValueError, "learning_rat=0.1", "Did you mean 'learning_rate'"),
    (12, "transformer_base", {"vocabulari": 9}, ValueError, "vocabulari=9", "Did you mean 'vocabulary'", "source_length"),
    (13, "performer_softmax", {"dim": 65, "num_heads": 4}, ValueError, "dim=65, num_heads=4", "multiple of `num_heads`"),
    (14, "performer_softmax", {"num_heads": 0}, ValueError, "`num_heads`", "num_heads=0", "at least 1"),
    (14, "performer_softmax", {"heads": 4}, ValueError, f"{NO_ARGUMENT} `heads`", "heads=4", "'num_heads'"),
    (15, "performer_softmax", {"depth": 0}, ValueError, "`depth`", "depth=0", "at least 1"),
    (15, "performer_softmax", {"depth": -1}, ValueError, "`depth`", "depth=-1", "at least 1"),
    (16, "performer_softmax", {"dropout": 1.0}, ValueError, "`dropout`", "dropout=1.0", RATE),
    (16, "performer_softmax", {"dropout": -0.1}, ValueError, "`dropout`", "dropout=-0.1", RATE),
    (16, "performer_softmax", {"dropout": NAN}, ValueError, "`dropout`", "dropout=nan", RATE),
    (17, "performer_softmax", {"patch": 5, **IMAGE}, ValueError, "`patch`", "patch=(5, 5)", "1, 2, 4, 8, 16, 32", "pad=True"),
    (18, "performer_softmax", {"patch": 64, **IMAGE}, ValueError, "`patch`", "patch=(64, 64)", "image=(32, 32)", "4, 8, 16"),
    (18, "performer_softmax", {"patch_size": 64}, ValueError, f"{NO_ARGUMENT} `patch_size`", "patch_size=64", "or 'patch'"),
    (19, "performer_softmax", {"patch": 0}, ValueError, "`patch`", "patch=0", "at least 1"),
    (20, "performer_softmax", {"patch": (4, 4, 4)}, ValueError, "`patch`", "patch=(4, 4, 4)", "an integer or a pair"),
    (21, "performer_softmax", {"input_shape": (32, 32), "classes": 3}, ValueError, "input_shape=(32, 32)", "(height, width, channels)"),
    (22, "performer_softmax", {"input_shape": (32, 32, 0), "classes": 3}, ValueError, "`input_shape`", "input_shape=0", "at least 1"),
    (23, "performer_softmax", {"input_shape": (3, 32, 32), "classes": 3}, ValueError, "input_shape=(3, 32, 32)", "channels first", "(height, width, channels)"),
    (24, "linformer", {"input_shape": (None, None, 3), "classes": 3}, TypeError, "`input_shape`", "input_shape=(None, None, 3)", "fix the number of tokens"),
    (25, "performer_softmax", {"classes": 0}, ValueError, "`classes`", "classes=0", "at least 2"),
    (25, "performer_softmax", {"classes": -1}, ValueError, "`classes`", "classes=-1", "at least 2"),
    (26, "performer_softmax", {"classes": 1}, ValueError, "`classes`", "classes=1", "at least 2"),
    (26, "performer_softmax", {"classes": 1, "loss": "sigmoid"}, ValueError, "`classes`", "classes=1", "at least 2"),
    (27, "performer_softmax", {"include_top": False, "classes": 7}, ValueError, f"{NO_ARGUMENT} `include_top`", "include_top=False", "head,"),
    (28, "performer_softmax", {"pool": "foo"}, ValueError, "pool 'foo'", "mean, first, prefix, sequence, flatten, class_attention"),
    (28, "performer_softmax", {"pooling": "avg"}, ValueError, f"{NO_ARGUMENT} `pooling`", "pooling='avg'", "Did you mean 'pool'"),
    (29, "performer_softmax", {"pool": "first"}, ValueError, "pool='first'", "prefix=0", "use prefix=1"),
    # `build` starts anew; weights are the source of `load_pretrained`
    (30, "vit_ti16", {"weights": "imagenet"}, ValueError, f"{NO_ARGUMENT} `weights`", "weights='imagenet'", "Known: "),
    (31, "vit_ti16", {"weights": "cifar10", "classes": 7}, ValueError, f"{NO_ARGUMENT} `weights`", "weights='cifar10'"),
    (33, "performer_softmax", {"optimizer": "adamx"}, ValueError, "`optimizer`", "'adamx'", "adamw, adam, sgd, lion"),
    (34, "performer_softmax", {"learning_rate": -1}, ValueError, "learning_rate=-1", "1e-12 <= learning_rate < 100.0"),
    (34, "performer_softmax", {"learning_rate": NAN}, ValueError, "learning_rate=nan", "1e-12 <= learning_rate < 100.0"),
    (34, "performer_softmax", {"learning_rate": INF}, ValueError, "learning_rate=inf", "1e-12 <= learning_rate < 100.0"),
    (34, "performer_softmax", {"learning_rate": "fast"}, TypeError, "learning_rate='fast'", "a number"),
    (35, "performer_softmax", {"loss": "foo"}, ValueError, "`loss`", "loss='foo'", "softmax, sigmoid"),
    (36, "performer_softmax", {"dtype": "float8x"}, ValueError, f"{NO_ARGUMENT} `dtype`", "dtype='float8x'", "Known: "),
    (37, "performer_softmax", {"jit_compile": "yes"}, TypeError, "`jit_compile`", "'yes'", "True, False or 'auto'"),
    (38, "performer_softmax", {"seed": -1}, ValueError, "`seed`", "seed=-1", "from 0 to 4294967295"),
    (38, "performer_softmax", {"seed": 1.5}, TypeError, "`seed`", "seed=1.5", "integer"),
    (38, "performer_softmax", {"seed": 2**40}, ValueError, "`seed`", "seed=1099511627776", "from 0 to 4294967295"),
    (39, "performer_softmax", {"name": "a/b"}, ValueError, "`name`", "name='a/b'", "without a slash"),
    (40, "performer_softmax", {"kernel": "softmx"}, ValueError, "kernel 'softmx'", "Did you mean 'softmax'", "Known: softmax, "),
    # what only shows when the parts are put together
    (10, "linformer", {"m": 1000}, ValueError, "m=1000, tokens=64", "1 <= m <= tokens"),
    (15, "performer_softmax", {"steps": 0}, ValueError, "`steps`", "steps=0", "at least 1"),
    (57, "vit", {"position": "rope", "key_dim": 3}, ValueError, "width=3", "multiple of 2"),
    (61, "linformer", {"causal": True}, ValueError, "causal=True", "no chosen part", "Options here: "),
]


def build_row(number, preset, options, error, *words):
    text = named(options) or repr(preset)
    return Row(number, text.replace("/", "|"), lambda: keras_vix.build(preset, **options), error, words)


# ---- layers --------------------------------------------------------------------------------------------------------

GRID, TOKENS, DIM = (4, 4), 16, 8
SHAPE = (2, TOKENS, DIM)

MIXERS = {
    "PerformerAttention": lambda **more: layers.PerformerAttention(2, num_features=4, **more),
    "LinformerAttention": lambda **more: layers.LinformerAttention(2, proj_dim=4, **more),
    "NystromAttention": lambda **more: layers.NystromAttention(2, num_landmarks=4, **more),
    "LocalitySelfAttention": lambda **more: layers.LocalitySelfAttention(2, **more),
    "TalkingHeadsAttention": lambda **more: layers.TalkingHeadsAttention(2, **more),
    "Attention": lambda **more: layers.Attention(2, **more),
    "LeViTAttention": lambda **more: layers.LeViTAttention(2, **more),
    "LocalWindowAttention2D": lambda **more: layers.LocalWindowAttention2D(2, grid=GRID, window=2, **more),
    "LocalAttention1D": lambda **more: layers.LocalAttention1D(2, grid=GRID, window=2, **more),
    "AtrousAttention": lambda **more: layers.AtrousAttention(2, grid=GRID, window=2, rates=1, **more),
    "ConvAttention": lambda **more: layers.ConvAttention(2, grid=GRID, **more),
}


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


def built(make, shape=SHAPE):
    """A maker of a layer that has its weights."""

    def given():
        layer = make()
        layer.build(shape)
        return layer

    return given


def layer_rows():
    def made(number, text, call, error, *words, given=None):
        return Row(number, text, call, error, words, given)

    def on(number, text, given, x, error, *words, **options):
        return Row(number, text, lambda layer: layer(x, **options), error, words, given)

    local, rope = layers.LocalWindowAttention2D, layers.RotaryEmbedding
    performer, softmax = layers.PerformerAttention, layers.Softmax
    yield made(41, "key_dim=0", lambda: performer(num_heads=4, key_dim=0), ValueError, "`key_dim`", "key_dim=0", "at least 1")
    yield made(41, "num_heads=0", lambda: performer(num_heads=0), ValueError, "`num_heads`", "num_heads=0", "at least 1")
    yield made(41, "dropout,num_heads=0", lambda: performer(0, dropout=0.1), ValueError, "`num_heads`", "num_heads=0", "at least 1")
    for value in (0, -1, NAN):
        yield made(42, f"epsilon={value}", lambda value=value: performer(epsilon=value), ValueError, "`epsilon`",
                   f"epsilon={value}", "1e-12 <= epsilon < 1.0")
    yield made(42, "eps=0", lambda: performer(eps=0), ValueError, "no argument `eps`", "eps=0", "Did you mean 'epsilon'")

    for name, make in MIXERS.items():
        wanted = "(batch, tokens, channels)"
        yield on(43, f"{name}-rank-2", make, zeros(TOKENS, DIM), ValueError, name, "shape=(16, 8)", wanted)
        yield on(43, f"{name}-rank-4", make, zeros(2, 4, 4, DIM), ValueError, name, "shape=(2, 4, 4, 8)", wanted)
        yield on(44, name, make, zeros(*SHAPE, dtype="int32"), TypeError, name, "dtype=int32", "floating-point", "Rescaling")
        yield on(45, name, built(lambda make=make: make(name="mine")), zeros(2, TOKENS, 6), ValueError, f"{name} 'mine'",
                 "8 channels", "shape=(2, 16, 6)")
        for shape, word in (((2, TOKENS, 1), "(batch, 16)"), ((2, TOKENS - 1), "(batch, 16)"), ((3, TOKENS), "batch=2")):
            yield on(46, f"{name}-mask={shape}", built(make), zeros(*SHAPE), ValueError, "`mask`", f"shape {shape}", word,
                     mask=zeros(*shape, dtype=bool))
        yield on(48, name, make, zeros(2, 0, DIM), ValueError, name, "shape=(2, 0, 8)", wanted, "at least one")
    yield on(43, "PatchEmbedding", layers.PatchEmbedding, zeros(32, 32, 3), ValueError, "PatchEmbedding", "shape=(32, 32, 3)",
             "(batch, height, width, channels)")
    yield on(45, "no-channels", MIXERS["Attention"], keras.Input((TOKENS, None)), ValueError, "Attention", "channels=None", "known number")

    # one token more than at build: only Linformer and fixed positions count them
    more = zeros(2, TOKENS + 1, DIM)
    yield on(49, "LinformerAttention", built(MIXERS["LinformerAttention"]), more, ValueError, "built for 16 tokens", "tokens=17")
    yield on(49, "TokenMLP", built(layers.TokenMLP), more, ValueError, "TokenMLP", "16 tokens", "shape=(2, 17, 8)")
    yield made(50, "proj_dim=0", lambda: layers.LinformerAttention(proj_dim=0), ValueError, "`proj_dim`", "proj_dim=0", "at least 1")
    # more projected tokens, or landmarks, than tokens are refused: nothing is taken in their place
    yield on(50, "proj_dim=17", lambda: layers.LinformerAttention(2, proj_dim=17), zeros(*SHAPE), ValueError, "m=17, tokens=16", "1 <= m <= tokens")
    yield made(51, "num_landmarks=0", lambda: layers.NystromAttention(num_landmarks=0), ValueError, "`num_landmarks`", "num_landmarks=0", "at least 1")
    yield on(51, "num_landmarks=17", lambda: layers.NystromAttention(2, num_landmarks=17), zeros(*SHAPE), ValueError, "m=17, tokens=16", "1 <= m <= tokens")
    yield on(51, "window-of-4", lambda: local(2, grid=GRID, window=2, kernel=layers.Nystrom(m=5)), zeros(*SHAPE), ValueError, "m=5, tokens=4")
    yield on(51, "conv", lambda: layers.ConvAttention(2, grid=GRID, kernel=layers.Nystrom(m=17)), zeros(*SHAPE), ValueError, "m=17, tokens=16")
    for value in (0, 100):
        yield made(52, f"iterations={value}", lambda value=value: layers.NystromAttention(iterations=value), ValueError,
                   "`iterations`", f"iterations={value}", "from 1 to 50")
    yield made(53, "window=0", lambda: local(grid=GRID, window=0), ValueError, "`window`", "window=0", "at least 1")
    yield made(53, "window=(7,0)", lambda: local(grid=GRID, window=(7, 0)), ValueError, "`window`", "window=0", "at least 1")
    yield made(53, "window=7.5", lambda: local(grid=GRID, window=7.5), TypeError, "`window`", "window=7.5", "an integer or a pair")
    yield made(54, "window=5", lambda: local(grid=GRID, window=5), ValueError, "`window`", "window=(5, 5), grid=(4, 4)", "clamp=True")
    yield on(55, "window", lambda: local(2, grid=(4, 5), window=2), zeros(*SHAPE), ValueError, "tokens=16, grid=(4, 5)", "rows * columns")
    yield on(55, "conv", lambda: layers.ConvAttention(2, grid=(4, 5)), zeros(*SHAPE), ValueError, "tokens=16, grid=(4, 5)", "rows * columns")
    yield made(56, "shift=-1", lambda: layers.ShiftedWindow(GRID, 2, shift=-1), ValueError, "`shift`", "shift=-1", "at least 0")
    yield made(56, "shift=2", lambda: layers.ShiftedWindow(GRID, 2, shift=2), ValueError, "`shift`", "shift=2, window=2", "smaller than `window`")
    yield made(56, "layer-shift=2", lambda: local(grid=GRID, window=2, shift=2), ValueError, "shift=(2, 2), window=(2, 2)", "smaller than `window`")
    # the width of a head is known at the first call
    yield on(57, "width=7", rope, zeros(2, 2, TOKENS, 7), ValueError, "width=7, axes=1", "multiple of 2")
    yield on(57, "key_dim=7", lambda: layers.Attention(2, key_dim=7, rope=rope()), zeros(*SHAPE), ValueError, "width=7, axes=1", "multiple of 2")
    yield made(57, "dim=7", lambda: rope(dim=7), ValueError, "no argument `dim`", "dim=7", "Known: axes, ")
    for value in (0, 1, NAN):
        yield made(58, f"base={value}", lambda value=value: rope(base=value), ValueError, "`base`", f"base={value}", "<= base <")
    yield on(59, "width=6", lambda: rope(axes=2, grid=GRID), zeros(2, 2, TOKENS, 6), ValueError, "width=6, axes=2", "multiple of 4")
    yield made(60, "prefix=-1", lambda: rope(prefix=-1), ValueError, "`prefix`", "prefix=-1", "at least 0")
    yield on(60, "rope", built(rope, (2, 2, TOKENS, 8)), zeros(2, 2, TOKENS + 1, 8), ValueError, "16 places", "tokens=17")
    yield on(60, "rope-2d", lambda: rope(axes=2, grid=GRID), zeros(2, 2, TOKENS + 1, 8), ValueError, "tokens=17", "grid=(4, 4)", "rows * columns")
    for make in (layers.LearnedPosition, lambda: layers.SinCosPosition(GRID), layers.SinusoidPosition):
        name = type(make()).__name__
        yield on(60, name, built(make), more, ValueError, name, "16 tokens", "shape=(2, 17, 8)")
    # only exact attention has a causal form
    for make in (performer, layers.LinformerAttention, layers.NystromAttention, layers.Performer, layers.Linformer, layers.Nystrom):
        yield made(61, make.__name__, lambda make=make: make(causal=True), ValueError, make.__name__, "causal=True", "Known: ")
    yield made(61, "window", lambda: local(grid=GRID, causal=True), ValueError, "LocalWindowAttention2D", "causal=True", "Known: ")
    yield made(61, "causal='yes'", lambda: softmax(causal="yes"), TypeError, "`causal`", "causal='yes'", "True or False")
    yield made(62, "{}", lambda: layers.ShiftedWindow.from_config({}), TypeError, "ShiftedWindow", "missing", "'grid' and 'window'")
    version = f"keras_vix {keras_vix.__version__}"
    for make in (performer, layers.Performer, rope):
        # as a later version may write it, with an argument that is not known yet
        yield made(62, f"{make.__name__}-unknown-key", lambda config, make=make: make.from_config(config), ValueError,
                   f"{make.__name__} of {version}", "no argument `turns`", "turns=3", "Known: ",
                   given=lambda make=make: {**make().get_config(), "turns": 3})


def masked_rows():
    """Not wrong: where no token takes part, the attention is 0; a mask may be numbers, true where they are not 0."""
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    mask = np.array([[True] * TOKENS, [False] * TOKENS])

    def check(layer):
        out = keras.ops.convert_to_numpy(layer(x, mask=mask))
        assert np.isfinite(out).all() and (out[1] == 0).all() and (out[0] != 0).any()

    def numbers(layer):
        seen = np.arange(2 * TOKENS).reshape(2, TOKENS) % 3 > 0
        whole, fractions = (keras.ops.convert_to_numpy(layer(x, mask=seen.astype(dtype))) for dtype in (bool, "float32"))
        assert np.array_equal(whole, fractions) and not np.array_equal(whole, keras.ops.convert_to_numpy(layer(x)))

    yield Row(46, "float-mask", numbers, 0, (), built(MIXERS["Attention"]))
    for name, make in MIXERS.items():
        # the last normalisation of LeViT has factors of 0 to begin with
        if name != "LeViTAttention":
            yield Row(47, name, check, 0, (), built(make))


# ---- data ----------------------------------------------------------------------------------------------------------

BYTES, LABELS = np.full((10, 4, 4, 1), 9, "uint8"), np.arange(10) % 5
SPLIT = data.Split(BYTES, LABELS)
SIZES = "in 1..4096"


def loaded(x=BYTES, y=LABELS):
    return data.load((x, y, BYTES, LABELS))


def as_floats(value):
    x = BYTES.astype("float32")
    x[3, 1, 2, 0] = value
    return x


def doubles():
    x = BYTES.astype("float64") + 0.5
    train = data.load((x, LABELS, x, LABELS), validation=0).train
    assert train.x.dtype == "float32" and np.array_equal(train.x, x)


def archive():
    """A user's archive in which a byte is flipped."""
    np.savez("set.npz", x_train=BYTES, y_train=LABELS, x_test=BYTES, y_test=LABELS)
    path = Path("set.npz")
    content = bytearray(path.read_bytes())
    content[250] ^= 255  # among the pixels of the first array
    path.write_bytes(content)
    return path


def a_file():
    Path("file").write_text("")
    return Path("file")


def checkpoint():
    """A checkpoint of five classes."""
    np.savez("weights.npz", **timm_vit().tensors)
    return Path("weights.npz")


OTHER = "ab" * 32  # a hash


def hashed(path):
    """Both hashes must be told, and the file must stay."""
    try:
        read(path, sha256=OTHER)
    except ValueError as error:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in str(error)
        raise


def without(options, word):
    return {key: value for key, value in options.items() if key != word}


def facts():
    return data.facts_of("digits")


# number, text, call, error, words, and what is given
DATA = [
    (30, "source=imagenet", lambda: keras_vix.load_pretrained("vit_ti16", "imagenet"), FileNotFoundError, "no checkpoint", "{cwd}/imagenet"),
    (31, "head", lambda path: keras_vix.load_pretrained("vit_b16", path, **without(PLAIN, "classes")), UserWarning, "head of vit_b16 is new", "1000", "classes=", checkpoint),
    (32, "missing", lambda: keras_vix.load_pretrained("vit_ti16", "missing.weights.h5"), FileNotFoundError, "{cwd}/missing.weights.h5"),
    (32, "missing.keras", lambda: keras_vix.load("missing.keras"), FileNotFoundError, "{cwd}/missing.keras"),
    # policies are those of a benchmark's rows
    (36, "dtype_policy", lambda: suites.make([{"preset": "vit", "dtype_policy": "float8x"}], name="x"), ValueError, "`dtype_policy`", "'float8x'", "float32, mixed_bfloat16"),
    (63, "cifar-10", lambda: data.load("cifar-10"), ValueError, "source='cifar-10'", "Did you mean 'cifar10'"),
    (64, "batch_size=0", lambda: data.batches(SPLIT, 0), ValueError, "`batch_size`", "batch_size=0", "from 1 to"),
    (64, "batch_size=-1", lambda: data.batches(SPLIT, -1), ValueError, "`batch_size`", "batch_size=-1", "from 1 to"),
    (64, "batch_size=2.5", lambda: data.batches(SPLIT, 2.5), TypeError, "`batch_size`", "batch_size=2.5", "integer"),
    (64, "no-full-batch", lambda: data.batches(SPLIT, 11, drop_remainder=True), ValueError, "drop_remainder", "batch_size=11 for 10 images", "one full batch"),
    (65, "image_size=0", lambda: data.load("digits", image_size=0), ValueError, "image_size=0", SIZES),
    (65, "image_size=(32,)", lambda: data.load("digits", image_size=(32,)), ValueError, "image_size=(32,)", SIZES),
    (65, "image_size=1e5", lambda: data.load("digits", image_size=1e5), ValueError, "image_size=100000.0", SIZES),
    (65, "image_size=100000", lambda: data.load("digits", image_size=100_000), ValueError, "image_size=100000", SIZES),
    (66, "validation=1.0", lambda: data.load("digits", validation=1.0), ValueError, "validation=1.0", "0.0 <= validation < 1.0"),
    (66, "validation=-0.1", lambda: data.load("digits", validation=-0.1), ValueError, "validation=-0.1", "0.0 <= validation < 1.0"),
    (66, "validation=nan", lambda: data.load("digits", validation=NAN), ValueError, "validation=nan", "0.0 <= validation < 1.0"),
    # classes are names
    (67, "classes=[3, 99]", lambda: data.load("mnist", classes=[3, 99], download=False), ValueError, "classes=[3, 99]", "different names"),
    (67, "classes-of-digits", lambda: data.load("digits", classes=["3"]), ValueError, "classes=('3',)", "'digits'", "folders and sets of TensorFlow"),
    (68, "label=-1", lambda: loaded(y=LABELS - 1), ValueError, "y_train", "a label -1", "from 0"),
    (68, "label=5-of-test", lambda: data.load((BYTES, LABELS, BYTES, LABELS + 1)), ValueError, "y_test", "from 1 to 5", "0..4"),
    (68, "label=10-in-batches", lambda facts: data.batches(data.Split(BYTES, LABELS + 6), 4, facts=facts), ValueError, "y must", "from 6 to 10", "0..9", facts),
    (68, "label=-1-in-batches", lambda: data.batches(data.Split(BYTES, LABELS - 1), 4), ValueError, "y must", "from -1 to 3", "0..3"),
    (69, "load", lambda: loaded(y=LABELS[:9]), ValueError, "x_train and y_train", "10 images and 9 labels", "one length"),
    (69, "batches", lambda: data.batches((BYTES, LABELS[:9]), 4), ValueError, "x.shape=(10, 4, 4, 1), y.shape=(9,)", "as many labels"),
    (70, "nan", lambda: loaded(x=as_floats(NAN)), ValueError, "x_train", "NaN or infinite", "must be finite"),
    (70, "inf", lambda: loaded(x=as_floats(INF)), ValueError, "x_train", "NaN or infinite", "must be finite"),
    (71, "bytes-to-1", lambda: data.load((BYTES // 9, LABELS, BYTES // 9, LABELS)), UserWarning, "pixels up to 1", "0..255"),
    (71, "above-255", lambda: loaded(x=as_floats(256)), ValueError, "x_train", "to 256", "0..255 or the 0..1"),
    (71, "below-0", lambda: loaded(x=as_floats(-1)), ValueError, "x_train", "from -1", "0..255 or the 0..1"),
    (72, "load", lambda: loaded(y=np.eye(5)[LABELS]), ValueError, "y_train", "shape=(10, 5)", "one-hot"),
    (72, "batches", lambda: data.batches((BYTES, np.eye(5)[LABELS]), 4), ValueError, "y.shape=(10, 5)", "labels (n,)"),
    (72, "loss", lambda loss: loss(np.eye(5)[LABELS], zeros(10, 7)), ValueError, "(10, 5)", "(10, 7)", "as long as the logits", SmoothedCrossentropy),
    (73, "load", lambda: loaded(x=BYTES[:0], y=LABELS[:0]), ValueError, "x_train", "shape=(0, 4, 4, 1)", "at least one pixel"),
    (73, "labels", lambda: loaded(y=LABELS[:0]), ValueError, "y_train", "shape=(0,)", "at least one label"),
    (73, "batches", lambda: data.batches((BYTES[:0], LABELS[:0]), 4), ValueError, "x.shape=(0, 4, 4, 1)", "n >= 1"),
    # documented: fractions are float32
    (74, "float64", doubles, 0),
    (75, "file", lambda path: data.load("mnist", data_dir=path), NotADirectoryError, "data_dir='file'", "must be a folder", a_file),
    (75, "not-writable", lambda: data.load("mnist", data_dir="/proc/nothing"), PermissionError, "data_dir='/proc/nothing'", "must be writable"),
    (76, "mnist", lambda: data.load("mnist", data_dir="none", download=False), data.DatasetUnavailable, "'mnist'", "download=False", "none/mnist.npz", "np.savez"),
    # TensorFlow Datasets checks what it downloads; these are the files that users bring
    (77, "sha256", hashed, ValueError, f"sha256={OTHER}", "weights.npz", "nothing was loaded", checkpoint),
    (77, "damaged", data.load, ValueError, "x_train", "set.npz", "damaged", archive),
]


def data_row(number, text, call, error, *rest):
    given = rest[-1] if rest and callable(rest[-1]) else None
    return Row(number, text, call, error, rest[: len(rest) - (given is not None)], given)


# ---- command line --------------------------------------------------------------------------------------------------

# number, command, exit code, words; `Received: ` repeats the command where an option of its own cannot be read
COMMANDS = [
    (78, "bench --models nope", 2, "preset 'nope'", "Known: transformer_global"),
    (78, "bench --models performer_sofmax", 2, "'performer_sofmax'", "Did you mean 'performer_softmax'"),
    (79, "bench --epochs 0", 2, "'--epochs'", "--epochs 0", "1"),
    (79, "bench --epochs -3", 2, "'--epochs'", "--epochs -3", "1"),
    (79, "bench --epochs 1.5", 2, "'--epochs'", "--epochs 1.5", "integer"),
    (79, "bench --epochs x", 2, "'--epochs'", "--epochs x", "integer"),
    # a number of seeds, so that none can come twice
    (80, "bench --seeds 1,1", 2, "'--seeds'", "--seeds 1,1", "integer"),
    (80, "bench --seeds ''", 2, "'--seeds'", "--seeds ''", "integer"),
    (80, "bench --seeds -1", 2, "'--seeds'", "--seeds -1", "1"),
    (80, "bench twice-a-seed.toml", 2, "seeds=[1, 1]", "must differ"),
    (81, "bench --out /proc/x", 2, "='/proc/x", "folder that can be written"),
    (81, "bench --out file", 2, "out='file'", "folder that can be written"),
    # results are told apart by what they are of, so those of another configuration are not taken; a search has its own folder
    (82, "bench --models performer_relu:m=8 --out results --dry-run", 0, "performer_relu m=8", "parameters: to run"),
    (82, "tune vit --space m=4,8 --set kernel=nystrom --limit 100 --out search", 2, "another search: preset", "preset='other'", "preset='vit'", "directory="),
    # `--resume` is what happens in any case, and begins where there is nothing
    (83, "bench --models performer_relu:m=8 --resume --dry-run", 0, "parameters: to run"),
    (83, "report file", 2, "'file'", "results folder with `rows`"),
    (84, "bench --dataset ../secret", 2, "dataset='../secret'", "must be one of digits, "),
    (85, "bench missing.toml", 2, "'missing.toml'", "A suite is a TOML file", "No such file"),
    (85, "bench binary.toml", 2, "'binary.toml'", "A suite is a TOML file"),
    (85, "bench twice.toml", 2, "'twice.toml'", "A suite is a TOML file", "line 2"),
    (85, "bench unknown.toml", 2, "'epoch'", "'unknown.toml'", "Did you mean 'epochs'", "has the keys dataset, "),
    (85, "bench object.yaml", 2, "'object.yaml'", "A suite is a TOML file", "line 1"),
    (86, "bench --jobs 0", 2, "'--jobs'", "--jobs 0", "1"),
    (86, "bench --jobs 1000", 2, "'--jobs'", "--jobs 1000", "256"),
    (87, "bench --timeout -1", 2, "timeout=-1.0", "positive number"),
    (87, "bench --timeout nan", 2, "timeout=nan", "positive number"),
    (88, "advise --device gpu:63", 2, "`device`", "'gpu:63'", "cpu:0"),
    (88, "bench --device gpu", 2, "No such option: --device", "--device gpu", "--devices"),
    (89, "report results", 1, "no usable row in results/rows", "results/rows/foreign-0.json: not a result", "results/rows/torn-0.json"),
    (89, "report empty", 1, "no usable row in empty/rows"),
    (89, "table results", 2, "No such command 'table'", "table results"),
    (90, "report results --metric foo", 2, "No such option: --metric", "--metric foo"),
    (90, "plot --metric foo", 2, "No such command 'plot'", "plot --metric foo", "'report'"),
    (91, "report results --format xls", 2, "format='xls'", "md, csv, json, tex, html"),
    (92, "tune vit --trials 0", 2, "'--trials'", "--trials 0", "1"),
    (92, "tune vit --max-trials 0", 2, "No such option: --max-trials", "--max-trials 0", "--trials"),
    (92, "tune vit --objective nope", 2, "`objective`", "objective='nope'", "val_accuracy, val_ce, val_loss"),
]
TOML = 'dataset = "digits"\n[[rows]]\npreset = "performer_relu"\nm = 8\n'


def files():
    """What lies in the folder of every command."""
    Path("file").write_text("")
    Path("binary.toml").write_bytes(b"\x00\xff")
    Path("twice.toml").write_text("seed = 1\nseed = 2\n" + TOML)
    Path("twice-a-seed.toml").write_text("seeds = [1, 1]\n" + TOML)
    Path("unknown.toml").write_text("epoch = 1\n" + TOML)
    Path("object.yaml").write_text("a: !!python/object:os.system {}\n")
    for name in ("results", "empty", "search"):
        Path(name, "rows").mkdir(parents=True)
    Path("results/rows/torn-0.json").write_text('{"schema"')
    Path("results/rows/foreign-0.json").write_text('{"a": 1}')
    Path("search/search.json").write_text(json.dumps({"schema": 1, "preset": "other"}))
    Path("search/search.lock").write_text("")


def command_row(number, command, code, *words):
    return Row(number, command.replace("/", "|"), lambda _: cli.main(shlex.split(command)), code, words, files)


def reader_that_leaves():
    """`keras-vix list` whose standard output nobody reads; its words are those of the process."""
    script = "import sys; from keras_vix import cli; sys.stdin.readline(); sys.exit(cli.main(['list']))"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], cwd=Path(cli.__file__).parents[2], **pipes) as process:
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        told = process.stderr.read().decode()
    assert "BrokenPipe" not in told and "Traceback" not in told
    return process.returncode


ROWS = [
    *(build_row(*row) for row in BUILD),
    *layer_rows(),
    *masked_rows(),
    *(data_row(*row) for row in DATA),
    Row(90, "plot", lambda: plot_tradeoff([], x="foo"), ValueError, ("x='foo'", "x must be one of")),
    *(command_row(*row) for row in COMMANDS),
    Row(93, "stdout-closed", reader_that_leaves, 1, ()),
]
ROWS.sort(key=lambda row: row.number)
