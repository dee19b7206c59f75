"""Which operations an image meets, and how much of each: RandAugment in two readings, and AutoAugment's three policies."""

import math

from .operations import CODES, NAMES

SLOTS = 2  # operations an image, one after the other

# (from, by, signed): the amount is `from + by * m`, or, where signed, `from - by * m` for half of the images; m is the magnitude
# over 10.
TURN = math.radians(30)
COMMON = {
    "autocontrast": (0, 0, False),
    "equalize": (0, 0, False),
    "invert": (0, 0, False),
    "rotate": (0, TURN, True),
    "shear_x": (0, 0.3, True),
    "shear_y": (0, 0.3, True),
    "solarize_add": (0, 110, False),
}
ENHANCE = ("color", "contrast", "brightness", "sharpness")
SCALES = {
    # As AugReg runs it; sizes in pixels of 224. A larger magnitude makes posterize and solarize weaker.
    "augreg": COMMON
    | {name: (0.1, 1.8, False) for name in ENHANCE}
    | {
        "posterize": (0, 4, False),
        "solarize": (0, 256, False),
        "translate_x": (0, 100 / 224, True),
        "translate_y": (0, 100 / 224, True),
        "cutout": (0, 80 / 224, False),
    },
    # As DeiT runs it: everything grows with the magnitude.
    "deit": COMMON
    | {name: (1, 0.9, True) for name in ENHANCE}
    | {
        "posterize": (4, -4, False),
        "solarize": (256, -256, False),
        "translate_x": (0, 0.45, True),
        "translate_y": (0, 0.45, True),
    },
}
AUTO = (
    COMMON
    | {name: (1, 0.9, True) for name in ENHANCE}
    | {
        "posterize": (8, -4, False),
        "solarize": (256, -256, False),
        "translate_x": (0, 150 / 331, True),
        "translate_y": (0, 150 / 331, True),
    }
)
WHOLE = ("posterize", "solarize", "solarize_add")

# AutoAugment, arXiv:1805.09501, tables 7 to 9: pairs of (operation, probability in tenths, magnitude 0..9).
POLICIES = {
    "cifar": """
        invert 1 7, contrast 2 6; rotate 7 2, translate_x 3 9; sharpness 8 1, sharpness 9 3; shear_y 5 8, translate_y 7 9;
        autocontrast 5 8, equalize 9 2; shear_y 2 7, posterize 3 7; color 4 3, brightness 6 7; sharpness 3 9, brightness 7 9;
        equalize 6 5, equalize 5 1; contrast 6 7, sharpness 6 5; color 7 7, translate_x 5 8; equalize 3 7, autocontrast 4 8;
        translate_y 4 3, sharpness 2 6; brightness 9 6, color 2 8; solarize 5 2, invert 0 3; equalize 2 0, autocontrast 6 0;
        equalize 2 8, equalize 6 4; color 9 9, equalize 6 6; autocontrast 8 4, solarize 2 8; brightness 1 3, color 7 0;
        solarize 4 5, autocontrast 9 3; translate_y 9 9, translate_y 7 9; autocontrast 9 2, solarize 8 3;
        equalize 8 8, invert 1 3; translate_y 7 9, autocontrast 9 1
    """,
    "svhn": """
        shear_x 9 4, invert 2 3; shear_y 9 8, invert 7 5; equalize 6 5, solarize 6 6; invert 9 3, equalize 6 3;
        equalize 6 1, rotate 9 3; shear_x 9 4, autocontrast 8 3; shear_y 9 8, invert 4 5; shear_y 9 5, solarize 2 6;
        invert 9 6, autocontrast 8 1; equalize 6 3, rotate 9 3; shear_x 9 4, solarize 3 3; shear_y 8 8, invert 7 4;
        equalize 9 5, translate_y 6 6; invert 9 4, equalize 6 7; contrast 3 3, rotate 8 4; invert 8 5, translate_y 0 2;
        shear_y 7 6, solarize 4 8; invert 6 4, rotate 8 4; shear_y 3 7, translate_x 9 3; shear_x 1 6, invert 6 5;
        solarize 7 2, translate_y 6 7; shear_y 8 4, invert 8 8; shear_x 7 9, translate_y 8 3; shear_y 8 5, autocontrast 7 3;
        shear_x 7 2, invert 1 5
    """,
    "imagenet": """
        posterize 4 8, rotate 6 9; solarize 6 5, autocontrast 6 5; equalize 8 8, equalize 6 3; posterize 6 7, posterize 6 6;
        equalize 4 7, solarize 2 4; equalize 4 4, rotate 8 8; solarize 6 3, equalize 6 7; posterize 8 5, equalize 10 2;
        rotate 2 3, solarize 6 8; equalize 6 8, posterize 4 6; rotate 8 8, color 4 0; rotate 4 9, equalize 6 2;
        equalize 0 7, equalize 8 8; invert 6 4, equalize 10 8; color 6 4, contrast 10 8; rotate 8 8, color 10 2;
        color 8 8, solarize 8 7; sharpness 4 7, invert 6 8; shear_x 6 5, equalize 10 9; color 4 0, equalize 6 3;
        equalize 4 7, solarize 2 4; solarize 6 5, autocontrast 6 5; invert 6 4, equalize 10 8; color 6 4, contrast 10 8;
        equalize 8 8, equalize 6 3
    """,
}
SCHEMES = ("none", *SCALES, *POLICIES)


def pairs(policy: str) -> list:
    """The pairs of an AutoAugment policy as data: `[((name, probability, magnitude), (...)), ...]`."""
    read = [[entry.split() for entry in pair.split(",")] for pair in POLICIES[policy].split(";")]
    return [tuple((name, int(tenths) / 10, int(level)) for name, tenths, level in pair) for pair in read]


def draw(kit, scheme: str, magnitude: float, n):
    """`(codes, amounts)` of `n` images, each `(n, SLOTS)`, for `operations.operate`."""
    if scheme in POLICIES:
        return draw_auto(kit, scheme, n)
    xp, scale = kit.xp, SCALES[scheme]
    known = [CODES[name] for name in scale]
    which = xp.minimum(kit.cast(kit.uniform((n, SLOTS)) * len(known), "int32"), len(known) - 1)
    codes = xp.take(xp.array(known, dtype="int32"), which)
    level = magnitude * xp.ones((n, SLOTS), dtype="float32")
    if scheme == "deit":
        level = xp.clip(magnitude + 0.5 * kit.normal((n, SLOTS)), 0.0, 10.0)
    amounts = amount(kit, scale, codes, level / 10, kit.uniform((n, SLOTS)) < 0.5, whole=True)
    if scheme == "deit":
        amounts = xp.where(enhances(kit, codes), xp.maximum(amounts, 0.1), amounts)
        codes = xp.where(kit.uniform((n, SLOTS)) < 0.5, codes, 0)
    return codes, amounts


def draw_auto(kit, policy: str, n):
    """One pair an image; each of its operations is met with its own probability."""
    xp, table = kit.xp, pairs(policy)
    which = xp.minimum(kit.cast(kit.uniform((n,)) * len(table), "int32"), len(table) - 1)

    def entries(place, dtype, value=lambda entry: entry):
        return xp.take(xp.array([[value(entry[place]) for entry in pair] for pair in table], dtype=dtype), which, axis=0)

    codes = entries(0, "int32", CODES.get)
    amounts = amount(kit, AUTO, codes, entries(2, "float32") / 9, kit.uniform((n, SLOTS)) < 0.5)
    return xp.where(kit.uniform((n, SLOTS)) < entries(1, "float32"), codes, 0), amounts


def amount(kit, scale: dict, codes, level, negative, whole: bool = False):
    """How much of each operation at a level from 0 to 1, or beyond; in whole steps where RandAugment has them."""
    xp = kit.xp

    def entries(read):
        return xp.take(xp.array([read(name) for name in NAMES], dtype="float32"), codes)

    step = entries(lambda name: scale.get(name, (0, 0, False))[1]) * level
    if whole:
        # From zero towards zero: -4 m keeps 4 - floor(4 m) bits.
        cut = xp.where(step < 0, -xp.floor(-step), xp.floor(step))
        step = xp.where(entries(lambda name: name in WHOLE) > 0, cut, step)
    signed = entries(lambda name: scale.get(name, (0, 0, False))[2]) > 0
    return entries(lambda name: scale.get(name, (0, 0, False))[0]) + xp.where(signed & negative, -step, step)


def enhances(kit, codes):
    """Which of the codes are blends with a duller image."""
    return sum(kit.cast(codes == CODES[name], "int32") for name in ENHANCE) > 0
