"""Sequences out of a sequence model: greedy decoding and beam search over NumPy arrays."""

import keras
import numpy as np

from .. import checks


def decode(
    model: keras.Model,
    source,
    start: int,
    end: int | None = None,
    beams: int = 1,
    penalty: float = 0.6,
    batch_size: int = 128,
) -> np.ndarray:
    """The targets that `model` gives `source`: token numbers `(batch, target_length)`, without the start.

    The whole model runs once for each target token.

    Args:
        model: from `[source, target]` to the logits of the next tokens, as `build("transformer_base")` makes them.
        source: token numbers `(batch, source_length)`.
        start: the token that every target begins with.
        end: the token that ends a target, 0 from there on; without one all are of full length.
        beams: unfinished targets that are kept for each source; 1 takes the likeliest token each time.
        penalty: exponent of `(5 + length) / 6`, by which a beam's logarithm is divided before the best is taken.
        batch_size: of the model's runs.

    Raises:
        TypeError, ValueError: for sources of another length, numbers out of the vocabulary, or beams beyond it.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 6.1; Wu et al. 2016, arXiv:1609.08144, eq. 14. Differs: beams are cut
    by their probability alone, finished or not.
    """
    source_length, length = (x.shape[1] for x in model.inputs)
    vocabulary = model.output.shape[-1]
    source = np.asarray(source)
    if source.ndim != 2 or source.shape[1] != source_length or not len(source):
        raise ValueError(f"`source` must be (batch, {source_length}). Received: shape {source.shape}.")
    checks.integer("start", start, 0, vocabulary - 1)
    if end is not None:
        checks.integer("end", end, 0, vocabulary - 1)
    checks.integer("beams", beams, 1, vocabulary)
    checks.number("penalty", penalty, 0.0, 100.0)
    count = len(source)
    sources = np.repeat(source, beams, axis=0)
    targets = np.zeros((count, beams, length + 1), "int32")
    targets[..., 0] = start
    scores = np.where(np.arange(beams), -np.inf, np.zeros((count, 1)))  # at the start all beams of a source are one
    done = np.zeros((count, beams), bool)
    for place in range(length):
        begun = targets[..., :length].reshape(-1, length)
        logits = model.predict([sources, begun], batch_size=batch_size, verbose=0)[:, place].astype("float64")
        steps = _log_softmax(logits).reshape(count, beams, vocabulary)
        steps[done] = np.where(np.arange(vocabulary), -np.inf, 0.0)  # a finished one goes on as padding
        totals = (scores[..., None] + steps).reshape(count, -1)
        best = np.argsort(-totals, axis=-1, kind="stable")[:, :beams]
        scores = np.take_along_axis(totals, best, axis=-1)
        beam, token = np.divmod(best, vocabulary)
        targets = np.take_along_axis(targets, beam[..., None], axis=1)
        done = np.take_along_axis(done, beam, axis=1)
        targets[..., place + 1] = token
        if end is not None:
            done |= token == end
            if done.all():
                break
    lengths = np.full(done.shape, length) if end is None else _lengths(targets[..., 1:], end)
    best = np.argmax(scores / ((5 + lengths) / 6) ** penalty, axis=-1)
    return targets[np.arange(count), best, 1:]


def _log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _lengths(targets, end):
    """Tokens up to the first `end`, which counts."""
    ends = targets == end
    return np.where(ends.any(axis=-1), ends.argmax(axis=-1) + 1, targets.shape[-1])
