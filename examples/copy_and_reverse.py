"""An encoder-decoder Transformer copies a sequence or reverses it: the first token says which."""

import sys

import keras
import numpy as np

import keras_vix
from keras_vix.zoo import decode

PAD, START, END, COPY, REVERSE, FIRST, VOCABULARY, LONGEST = 0, 1, 2, 3, 4, 5, 15, 8


def examples(count, rng):
    """Sources `command, words`, and targets `words, end`, of 4 to 8 words, padded."""
    source, target = np.zeros((2, count, LONGEST + 1), "int32")
    for x, y in zip(source, target):
        words = rng.integers(FIRST, VOCABULARY, rng.integers(4, LONGEST + 1))
        x[0] = rng.choice([COPY, REVERSE])
        x[1 : len(words) + 1], y[: len(words)] = words, words if x[0] == COPY else words[::-1]
        y[len(words)] = END
    return source, target


def train(epochs, seed=0):
    """Shares of tokens and of whole sequences that are right on 1,000 sequences that training has not seen."""
    keras.utils.set_random_seed(seed)
    source, target = examples(21_000, np.random.default_rng(seed))
    begun = np.pad(target, [(0, 0), (1, 0)], constant_values=START)[:, :-1]
    seen = {x.tobytes() for x in source[:20_000]}
    new = [i for i in range(20_000, 21_000) if source[i].tobytes() not in seen]
    sizes = dict(dim=64, depth=2, num_heads=4, mlp_dim=128, dropout=0.0, source_length=LONGEST + 1, target_length=LONGEST + 1)
    model = keras_vix.build("transformer_base", vocabulary=VOCABULARY, learning_rate=2e-3, warmup_steps=300, **sizes)
    model.fit([source[:20_000], begun[:20_000]], target[:20_000], batch_size=64, epochs=epochs, verbose=2)
    right = decode(model, source[new], START, END) == target[new]
    return right[target[new] > PAD].mean(), right.all(axis=1).mean()


if __name__ == "__main__":
    print("accuracy of tokens {:.4f}, of sequences {:.4f}".format(*train(int(sys.argv[1]) if len(sys.argv) > 1 else 8)))
