"""Attention rollout: what reaches a token through all blocks."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from .. import checks
from .maps import LIMIT, check_size, query_of, row, weigh, whole
from .places import Place, check_images, place_of, places, values

HEADS = ("mean", "max", "min")


def rollout(
    model: keras.Model,
    images: Any,
    blocks: Sequence[int | str] | None = None,
    query: int | str | None = None,
    heads: str = "mean",
    residual: float = 0.5,
    limit: int = LIMIT,
    batch_size: int = 16,
) -> np.ndarray:
    """How much of each token that enters the first block is in one token that leaves the last: `(images, tokens)`, float32.

    The row of one token of `A_last ... A_2 A_1`, where `A = residual I + (1 - residual) W` stands for a block and `W` is its map,
    heads averaged. The row is multiplied through the factors from the top, so the cost stays linear in the tokens for linear
    kernels, and no product of two maps is ever made. Where rows of a map do not sum to 1 (Linformer, Nyströmformer), those of
    the result do not either.

    Blocks of class attention come last: there a class token reads the tokens, and these stay as they are. The result is then of
    the tokens alone, without what the class token keeps of itself.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=2, num_heads=2)
    >>> keras_vix.interpret.rollout(model, keras_vix.data.load("digits").test.x[:3]).shape
    (3, 65)

    Args:
        model, images, limit, batch_size: as for `attention_maps`.
        blocks: numbers or names, from the first to the last; default all. They must have the same tokens: of a pyramid, those of
            one stage.
        query: the token that leaves the last block, as for `attention_maps`.
        heads: how the heads of a block are joined: their `mean`, or for each pair of tokens their `max` or `min`, each row then
            divided by its sum. These two need the whole map of a block, up to `limit` numbers a batch.
        residual: the share of the shortcut round the attention, from 0 to 1.

    Raises:
        TypeError, ValueError: as `attention_maps`; blocks of different tokens, or whose keys are not the tokens.

    Source: Abnar and Zuidema 2020, arXiv:2005.00928, section 3, eq. 1 (0.5, heads averaged).
    """
    checks.choice("heads", heads, HEADS)
    residual = checks.number("residual", residual, 0.0, 1.0, include_high=True)
    checks.integer("limit", limit)
    chosen = [place_of(model, block) for block in (range(len(places(model))) if blocks is None else blocks)]
    check_blocks(chosen)
    images = check_images(model, images, batch_size)
    last = chosen[-1]
    number = query_of(last, query)
    found = []
    for given in values(model, [place.inputs for place in chosen], images, batch_size):
        batch = len(given[-1][0])
        reader = np.ones((batch, 1), "float32")  # how much of the class token that reads is left to be told
        share = np.zeros((batch, last.tokens), "float32")
        if last.block is None:
            share[:, slice(None) if number is None else number] = 1 / last.tokens if number is None else 1.0
        for place, inputs in zip(reversed(chosen), reversed(given)):
            parts = place.parts(*inputs)
            if place.block is None:
                share = through(parts, share, heads, residual, limit)
                continue
            seen = joined(row(parts, batch, 0), heads)
            own = seen[:, : seen.shape[1] - last.tokens].sum(1, keepdims=True)  # its own key, if it sees itself
            share = share + (1 - residual) * reader * seen[:, seen.shape[1] - last.tokens :]
            reader = reader * (residual + (1 - residual) * own)
        found.append(share)
    return np.concatenate(found)


def check_blocks(chosen: list[Place]) -> None:
    """The blocks share their tokens, and see them as keys; class attention comes last."""
    if not chosen:
        raise ValueError("`blocks` must name one block at least. Received: none.")
    sizes = {place.name: (place.tokens, place.grid) for place in chosen}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {tokens}" for name, (tokens, _) in sizes.items())
        raise ValueError(f"Blocks of the same tokens are needed: give `blocks` of one stage. Received: tokens {told}.")
    for place in chosen:
        if place.key_grid != place.grid:
            keys = f"{place.name}, keys on a grid of {place.key_grid}"
            raise ValueError(f"Blocks whose keys are the tokens are needed. Received: {keys}.")
    kinds = [place.block is not None for place in chosen]
    if kinds != sorted(kinds):
        raise ValueError(f"Blocks of class attention come last. Received: {', '.join(place.name for place in chosen)}.")


def through(parts, share: np.ndarray, heads: str, residual: float, limit: int) -> np.ndarray:
    """The shares of the tokens in front of a block, from those behind it: `(batch, tokens)`."""
    if heads == "mean":
        return residual * share + (1 - residual) * weigh(parts, share[:, None]).mean(1)
    check_size(parts, "full", len(share), limit)
    maps = joined(whole(parts), heads)
    return residual * share + (1 - residual) * (share[:, None] @ maps)[:, 0]


def joined(maps: np.ndarray, heads: str) -> np.ndarray:
    """One map of all heads: `(batch, heads, ..., keys) -> (batch, ..., keys)`."""
    if heads == "mean":
        return maps.mean(1)
    maps = getattr(maps, heads)(1)
    sums = maps.sum(-1, keepdims=True)
    return maps / np.where(np.abs(sums) > 1e-12, sums, 1.0)
