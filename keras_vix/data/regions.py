"""Rectangles drawn at random: what a crop keeps, what is erased, and what CutMix takes from another image."""

import math

from .operations import inside

TRIES = 10


def rectangles(kit, n, size, area, ratio: float):
    """`(heights, widths)` in pixels of `n` rectangles, float32, none larger than the image.

    Args:
        kit: an `augment.NumpyKit` or a `layer.KerasKit`.
        n: how many.
        size: height and width of the image.
        area: smallest and largest part of the image's area.
        ratio: how many times as long one side may be as the other, drawn evenly on a logarithmic scale.

    Of ten draws the first that fits is taken; if none does, the last is cut to fit.
    """
    xp, (height, width) = kit.xp, size
    area = (area[0] + (area[1] - area[0]) * kit.uniform((n, TRIES))) * (height * width)
    aspect = xp.exp(math.log(ratio) * (2 * kit.uniform((n, TRIES)) - 1))
    tall, broad = xp.sqrt(area * aspect), xp.sqrt(area / aspect)
    fits = kit.cast((tall <= height) & (broad <= width), "int32")
    first = xp.where(xp.max(fits, axis=1) > 0, kit.cast(xp.argmax(fits, axis=1), "int32"), TRIES - 1)[:, None]
    tall, broad = (xp.take_along_axis(side, first, axis=1)[:, 0] for side in (tall, broad))
    return xp.minimum(tall, 1.0 * height), xp.minimum(broad, 1.0 * width)


def crops(kit, n, size, least: float):
    """Affine maps, `(n, 2, 3)` as for `augment.warp`, that resize a random part of the image to the whole.

    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6. The sides are no whole pixels here.
    """
    xp = kit.xp
    rows = []
    for side, length, place in zip((0, 1), rectangles(kit, n, size, (least, 1.0), 4 / 3), (kit.uniform((n,)), kit.uniform((n,)))):
        scale, zero = length / size[side], xp.zeros_like(length)
        middle = (place - 0.5) * (size[side] - length)
        rows.append(xp.stack([zero, scale, middle] if side else [scale, zero, middle], axis=-1))
    return xp.stack(rows, axis=1)


def erase(kit, x, policy, mean, std):
    """A rectangle in a share `policy.erase` of the images replaced by noise, or by the mean colour.

    Args:
        kit: an `augment.NumpyKit` or a `layer.KerasKit`.
        x: images `(n, h, w, c)`, float32, 0..255.
        policy: a `Policy`.
        mean, std: of each channel of the data, or one for all, on the 0..1 scale.

    Source: Zhong et al. 2017, arXiv:1708.04896, algorithm 1. Sources erase in normalised images; here the noise has the data's
    mean and deviation and is cut to 0..255, and sides are rounded to at least a pixel.
    """
    xp = kit.xp
    n, size = xp.shape(x)[0], x.shape[1:3]
    sides = [xp.maximum(xp.round(side), 1.0) for side in rectangles(kit, n, size, (0.02, policy.erase_area), 1 / 0.3)]
    starts = [xp.floor(kit.uniform((n,)) * (whole - side + 1)) for side, whole in zip(sides, size)]
    rows, columns = (inside(kit, *each) for each in zip(starts, sides, size))

    def fill(kit, x, rows, columns):
        noise = kit.normal(xp.shape(x)) if policy.erase_noise else xp.zeros_like(x)
        return xp.where((rows[:, :, None] & columns[:, None, :])[..., None], xp.clip(255 * (mean + std * noise), 0.0, 255.0), x)

    return kit.only(kit.uniform((n,)) < policy.erase, fill, x, rows, columns)


def mix(kit, x, y, policy):
    """Images and their labels, rows of shares, mixed with the batch in reverse order, after one draw for the whole batch.

    Mixup adds two images in shares `l` and `1 - l`; CutMix puts a rectangle of the one into the other, and `l` is the area that
    stays, counted in whole pixels after the rectangle was cut at the edge. Labels are always mixed in the same shares as pixels.

    Args:
        kit: an `augment.NumpyKit` or a `layer.KerasKit`.
        x: images `(n, h, w, c)`, float32.
        y: `(n, classes)`, float32.
        policy: a `Policy` that mixes.

    Source: Zhang et al. 2017, arXiv:1710.09412, eq. 1; Yun et al. 2019, arXiv:1905.04899, eq. 1 and section 3.1.
    """
    xp = kit.xp
    height, width = x.shape[1:3]
    mixed, cut = kit.uniform(()) < policy.mix, kit.uniform(()) < 0.5 * (bool(policy.cutmix) + (not policy.mixup))
    stays = xp.ones((height, width), dtype="float32")
    if policy.mixup:
        stays = kit.beta(policy.mixup) * stays
    if policy.cutmix:
        part = xp.sqrt(1 - kit.beta(policy.cutmix))
        spans = []
        for side, place in zip((height, width), (kit.uniform(()), kit.uniform(()))):
            half, middle, pixels = xp.floor(xp.floor(part * side) / 2), xp.floor(place * side), xp.arange(side, dtype="float32")
            spans.append((pixels >= middle - half) & (pixels < middle + half))
        outside = kit.cast(~(spans[0][:, None] & spans[1][None, :]), "float32")
        stays = xp.where(cut, outside, stays)
    stays = xp.where(mixed, stays, 1.0)
    share, stays = xp.mean(stays), stays[None, :, :, None]
    images = stays * x + (1 - stays) * xp.flip(x, axis=0)
    return xp.clip(images, 0.0, 255.0), share * y + (1 - share) * xp.flip(y, axis=0)  # a sum may round to above 255


def one_hot(kit, y, classes: int):
    """Labels `(n,)` as rows `(n, classes)`, float32, of one 1 each; rows stay as they are."""
    if len(y.shape) == 2:
        return kit.cast(y, "float32")
    return kit.cast(kit.cast(y, "int32")[:, None] == kit.xp.arange(classes, dtype="int32"), "float32")
