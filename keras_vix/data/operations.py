"""Changes of single images, each with its own amount: the operations that RandAugment and AutoAugment choose among.

Every function takes a kit (`augment.NumpyKit` or `layer.KerasKit`), images `(n, h, w, c)` float32 from 0 to 255, and an amount
for each, `(n,)`.
Source: Cubuk et al. 2018, arXiv:1805.09501, table 6. Pixels here are no whole numbers, but for `posterize` and `equalize`.
"""

GREY = 128.0  # what is seen outside the image


def wide(amount):
    """`(n,)` as `(n, 1, 1, 1)`."""
    return amount[:, None, None, None]


def autocontrast(kit, x, amount):
    """Each channel stretched to 0..255."""
    low, high = kit.xp.min(x, axis=(1, 2), keepdims=True), kit.xp.max(x, axis=(1, 2), keepdims=True)
    flat = high <= low
    return kit.xp.where(flat, x, (x - low) * (255 / kit.xp.where(flat, 1.0, high - low)))


def equalize(kit, x, amount):
    """Each channel's grey levels spread so that they occur equally often."""
    xp = kit.xp
    _, height, width, channels = x.shape
    n = xp.shape(x)[0]
    tables = n * channels
    first = xp.reshape(xp.arange(tables, dtype="int32") * 256, (n, 1, 1, channels))
    places = first + kit.cast(xp.round(x), "int32")
    counts = xp.reshape(kit.count(xp.reshape(places, (-1,)), tables * 256), (tables, 256))
    below = xp.cumsum(counts, axis=1) - counts
    # A 255th of all pixels that are darker than the brightest level.
    step = xp.floor(xp.max(xp.where(below < height * width, below, 0.0), axis=1, keepdims=True) / 255)
    spread = xp.floor((xp.floor(step / 2) + below) / xp.maximum(step, 1.0))
    spread = xp.where(step > 0, xp.minimum(spread, 255.0), xp.arange(256, dtype="float32"))
    return xp.take(xp.reshape(spread, (-1,)), places)


def invert(kit, x, amount):
    """The negative."""
    return 255 - x


def posterize(kit, x, amount):
    """So many bits a channel, rounded, from 1 to 8, which keep all."""
    step = 2 ** (8 - kit.xp.clip(kit.xp.round(wide(amount)), 1.0, 8.0))
    return kit.xp.floor(kit.xp.round(x) / step) * step


def solarize(kit, x, amount):
    """Pixels from the amount on inverted."""
    return kit.xp.where(x < wide(amount), x, 255 - x)


def solarize_add(kit, x, amount):
    """The amount added to pixels below 128."""
    return kit.xp.where(x < 128, x + wide(amount), x)


def brightness(kit, x, amount):
    """Blend with black; 1 changes nothing."""
    return x * wide(amount)


def grey(kit, x):
    """Brightness as the eye sees it, `(n, h, w, 1)`; the mean of channels that are not three."""
    if x.shape[-1] == 3:
        return 0.299 * x[..., :1] + 0.587 * x[..., 1:2] + 0.114 * x[..., 2:]
    return kit.xp.mean(x, axis=-1, keepdims=True)


def contrast(kit, x, amount):
    """Blend with the image's mean brightness; 1 changes nothing."""
    mean = kit.xp.mean(grey(kit, x), axis=(1, 2, 3), keepdims=True)
    return mean + wide(amount) * (x - mean)


def colour(kit, x, amount):
    """Blend with the grey image; 1 changes nothing, nor does any amount where there is one channel."""
    dull = grey(kit, x)
    return dull + wide(amount) * (x - dull)


def sharpness(kit, x, amount):
    """Blend with a smoothed image; 1 changes nothing, and the outermost pixels never change."""
    _, height, width, _ = x.shape
    if min(height, width) < 3:
        return x
    total = sum(x[:, i : i + height - 2, j : j + width - 2] for i in range(3) for j in range(3))
    inner = x[:, 1:-1, 1:-1]
    smooth = (total + 4 * inner) / 13
    return x + kit.xp.pad((wide(amount) - 1) * (inner - smooth), ((0, 0), (1, 1), (1, 1), (0, 0)))


POINTS = {
    "autocontrast": autocontrast,
    "equalize": equalize,
    "invert": invert,
    "posterize": posterize,
    "solarize": solarize,
    "solarize_add": solarize_add,
    "brightness": brightness,
    "contrast": contrast,
    "color": colour,
    "sharpness": sharpness,
}
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
NAMES = ("identity", *MOVES, "cutout", *POINTS)
CODES = {name: code for code, name in enumerate(NAMES)}


def operate(kit, x, codes, amounts, fill=GREY):
    """One operation on each image: `codes` (n,) as in `CODES`, `amounts` (n,) in the operation's own unit; 0..255 out.

    Turns are in radians, translations and shears in fractions of the side, and a cut-out square is of that side.
    What moves in from outside is of the colour `fill`, a number or one a channel.
    """

    def move(kit, x, codes, amounts):
        return framed(kit, x, moves(kit, codes, amounts, x.shape[1:3]), fill)

    x = kit.only((codes >= CODES["rotate"]) & (codes <= CODES["translate_y"]), move, x, codes, amounts)
    x = kit.only(codes == CODES["cutout"], cutout, x, amounts)
    for name, change in POINTS.items():
        x = kit.only(codes == CODES[name], change, x, amounts)
    return kit.xp.clip(x, 0.0, 255.0)


def moves(kit, codes, amounts, size):
    """The affine map of each of `MOVES`, `(n, 2, 3)`: see `augment.warp`. Shears leave the upper left corner where it is."""
    xp, (height, width) = kit.xp, size

    def of(name, value):
        return xp.where(codes == CODES[name], value, 0.0)

    turn, across, along = of("rotate", amounts), of("shear_x", amounts), of("shear_y", amounts)
    down = of("translate_y", amounts) * height + along * (width / 2)
    right = of("translate_x", amounts) * width + across * (height / 2)
    rows = xp.stack([xp.cos(turn), along - xp.sin(turn), down], axis=-1)
    columns = xp.stack([across + xp.sin(turn), xp.cos(turn), right], axis=-1)
    return xp.stack([rows, columns], axis=1)


def framed(kit, x, maps, fill):
    """A warp in which everything outside the image is of the colour `fill`."""
    wall = ((0, 0), (1, 1), (1, 1), (0, 0))
    return kit.warp(kit.xp.pad(x - fill, wall), maps)[:, 1:-1, 1:-1] + fill


def cutout(kit, x, amount):
    """A grey square, its side this fraction of the image's, anywhere with its middle in the image."""
    _, height, width, _ = x.shape
    middle = kit.uniform((kit.xp.shape(x)[0], 2))
    hidden = inside(kit, (middle[:, 0] - amount / 2) * height, amount * height, height)[:, :, None, None]
    hidden = hidden & inside(kit, (middle[:, 1] - amount / 2) * width, amount * width, width)[:, None, :, None]
    return kit.xp.where(hidden, GREY, x)


def inside(kit, start, length, side):
    """Which of `side` pixels lie from `start`, rounded, on for `length`, rounded: `(n, side)`."""
    start, pixels = kit.xp.round(start)[:, None], kit.xp.arange(side, dtype="float32")
    return (pixels >= start) & (pixels < start + kit.xp.round(length)[:, None])
