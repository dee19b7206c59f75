"""The encoder-decoder Transformer: records, their rows, and the assembler that makes a model of one."""

import dataclasses
import math

import keras

from .. import checks
from ..kernels import Softmax
from ..mixers import Attention
from ..parts import MLP, Residual, SinusoidPosition


@dataclasses.dataclass(frozen=True)
class SequenceConfig:
    """One encoder-decoder Transformer, from token numbers to logits of the next token.

    Args:
        vocabulary: number of tokens, of source and target together; they share one embedding.
        source_length, target_length: tokens of a source and of a target, padding included.
        dim, depth, num_heads: width, number of encoder layers, heads.
        decoder_depth: number of decoder layers; default `depth`.
        mlp_dim: hidden width of the feed-forward layers; default `4 * dim`.
        dropout: rate on the sums of embeddings and positions and on the output of every sub-layer.
        attention_dropout: rate on the attention weights; hidden_dropout: after the first of two feed-forward layers.
        mask_zero: whether token 0 is padding: as a key it takes no part.
        norm: where the normalisations stand, `post` or `pre` (see `Residual`); `pre` ends in one more on each side.
        norm_epsilon: of the normalisations, > 0.
    """

    vocabulary: int = 37_000
    source_length: int = 128
    target_length: int = 128
    dim: int = 512
    depth: int = 6
    num_heads: int = 8
    decoder_depth: int | None = None
    mlp_dim: int | None = None
    dropout: float = 0.1
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    mask_zero: bool = True
    norm: str = "post"
    norm_epsilon: float = 1e-6

    def __post_init__(self):
        checks.integer("vocabulary", self.vocabulary, 2)
        for name in ("source_length", "target_length", "dim", "depth", "num_heads"):
            checks.integer(name, getattr(self, name))
        for name in ("decoder_depth", "mlp_dim"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name))
        if self.dim % self.num_heads or self.dim % 2:
            raise ValueError(
                f"`dim` must be even and a multiple of `num_heads`. Received: dim={self.dim}, num_heads={self.num_heads}."
            )
        for name in ("dropout", "attention_dropout", "hidden_dropout"):
            checks.rate(name, getattr(self, name))
        if not isinstance(self.mask_zero, bool):
            raise TypeError(f"`mask_zero` must be True or False. Received: mask_zero={self.mask_zero!r}.")
        checks.choice("norm", self.norm, ("post", "pre"))
        checks.number("norm_epsilon", self.norm_epsilon, 1e-12, 1.0)


@dataclasses.dataclass(frozen=True)
class SequenceRow:
    """One sequence model of the zoo: its own sizes, a title, its source and what differs from it."""

    choices: dict
    title: str
    source: str
    differs: str = ""


PAPER = "Vaswani et al. 2017, arXiv:1706.03762, table 3"
DIFFERS = (
    "the paper's 65 and 213 million parameters do not follow from its vocabulary of about 37,000; weights are not averaged over "
    "checkpoints; sequences have one length, the rest being padding"
)
SEQUENCES = {
    "transformer_base": SequenceRow({}, "encoder and decoder of six layers, width 512", PAPER, DIFFERS),
    "transformer_big": SequenceRow(
        dict(dim=1024, num_heads=16, dropout=0.3), "encoder and decoder of six layers, width 1,024", PAPER, DIFFERS
    ),
}
FIELDS = tuple(field.name for field in dataclasses.fields(SequenceConfig))


def configure_sequence(preset: str, **overrides) -> SequenceConfig:
    """The record of a row of `SEQUENCES` with the caller's overrides.

    Raises:
        TypeError, ValueError: for an unknown field, or a value out of range; no tensor exists yet.
    """
    for name in overrides:
        if name not in FIELDS:
            raise checks.unknown(f"The preset {preset!r}", name, overrides[name], FIELDS)
    return SequenceConfig(**{**SEQUENCES[preset].choices, **overrides})


def assemble_sequence(config: SequenceConfig, name: str) -> keras.Model:
    """The functional model of `config`, not compiled.

    `[source, target]`, integers `(batch, source_length)` and `(batch, target_length)`, give logits `(batch, target_length,
    vocabulary)`: row `i` is of the token that follows `target[: i + 1]`, so the target begins with a token of its own and is
    shifted by one against what is to be predicted.

    Source: Vaswani et al. 2017, arXiv:1706.03762, sections 3 and 5.4.
    """
    source = keras.Input((config.source_length,), dtype="int32", name="source")
    target = keras.Input((config.target_length,), dtype="int32", name="target")
    # One weight for both sides and the logits. Its mask of the tokens that are no padding travels with the tensors.
    embedding = keras.layers.ReversibleEmbedding(
        config.vocabulary,
        config.dim,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=config.dim**-0.5),
        mask_zero=config.mask_zero,
        dtype="float32",
        name="embedding",
    )
    x = embed(config, embedding, source, "encoder")
    for layer in range(config.depth):
        x = residual(config, attention(config), f"encoder{layer}_attention")(x)
        x = residual(config, feed_forward(config), f"encoder{layer}_ffn")(x)
    memory = finish(config, x, "encoder")
    x = embed(config, embedding, target, "decoder")
    for layer in range(config.decoder_depth or config.depth):
        x = residual(config, attention(config, causal=True), f"decoder{layer}_attention")(x)
        x = residual(config, attention(config), f"decoder{layer}_memory")(x, memory)
        x = residual(config, feed_forward(config), f"decoder{layer}_ffn")(x)
    return keras.Model([source, target], embedding(finish(config, x, "decoder"), reverse=True), name=name)


def embed(config: SequenceConfig, embedding, numbers, side: str):
    """Token numbers to vectors: the embedding times `sqrt(dim)`, positions added, some dropped."""
    x = keras.layers.Rescaling(config.dim**0.5, name=f"{side}_scale")(embedding(numbers))
    x = SinusoidPosition(name=f"{side}_position")(x)
    return keras.layers.Dropout(config.dropout, name=f"{side}_dropout")(x)


def attention(config: SequenceConfig, causal: bool = False) -> Attention:
    """Attention without biases."""
    kernel = Softmax(dropout=config.attention_dropout, causal=causal, name="kernel")
    return Attention(config.num_heads, kernel=kernel, use_bias=False, out_dropout=config.dropout, name="attention")


def feed_forward(config: SequenceConfig) -> MLP:
    """Two dense layers with ReLU between them."""
    width = config.mlp_dim or 4 * config.dim
    return MLP(width, "relu", dropout=config.dropout, hidden_dropout=config.hidden_dropout, name="ffn")


def residual(config: SequenceConfig, inner, name: str) -> Residual:
    """`inner` in a residual branch of the record's kind."""
    return Residual(inner, config.norm, config.norm_epsilon, name=name)


def finish(config: SequenceConfig, x, side: str):
    """The end of a stack: nothing after `post`, whose last layer is a normalisation."""
    if config.norm == "post":
        return x
    return keras.layers.LayerNormalization(epsilon=config.norm_epsilon, name=f"{side}_norm")(x)


def sequence_multiply_adds(model: keras.Model) -> int:
    """Multiply-add operations of one pair of sequences through a model of `assemble_sequence`, the logits included."""
    blocks = [layer for layer in model.layers if isinstance(layer, Residual)]
    inputs = [[tuple(x.shape[1:]) for x in keras.tree.flatten(block.input)] for block in blocks]
    logits = math.prod(model.output.shape[1:]) * inputs[-1][0][-1]
    return logits + sum(block.multiply_adds(*shapes) for block, shapes in zip(blocks, inputs))
