"""How much training images may change, as data: policies by name."""

from dataclasses import asdict, dataclass, replace

from .. import checks
from ..base import register
from ..facts import RESIZED, Facts
from .schemes import SCHEMES


@register
@dataclass(frozen=True)
class Policy:
    """How much a training image may change, in this order; moves are drawn evenly from both sides of no change.

    >>> policy = keras_vix.data.Policy(flip=True, crop=0.2, mixup=0.2)
    >>> policy.mixes, policy.warps
    (True, False)

    Args:
        flip: Mirror left and right in half of the images.
        rotate: Largest turn, as a fraction of a whole turn (as Keras' RandomRotation counts).
        zoom: Largest change of scale, the same in height and width.
        shift: Largest move in each direction, as a fraction of the side, interpolated between pixels.
        jump: The same in whole pixels without interpolation: padding and cropping, in one step.
        black: Whether what `jump` moves in is black.
        crop: Smallest part of the area that a random crop, resized to the whole image, keeps; 0 crops nothing. Its sides are
            as 3 to 4 up to 4 to 3.
        operations: How two operations an image are chosen: `none`, RandAugment as in `augreg` or `deit`, or AutoAugment for
            `cifar`, `svhn` or `imagenet`.
        magnitude: Of RandAugment; 10 is the full scale, and `deit` goes no further.
        erase: Share of the images in which a rectangle is erased.
        erase_area: Its largest part of the area; the smallest is 0.02. Its sides are as 0.3 up to 1 / 0.3.
        erase_noise: Whether it is filled with noise of the data's mean and deviation, pixel by pixel, or else with their mean.
        mixup, cutmix: The share of one image in a mixture is drawn from Beta(a, a) of this `a`; 0 never mixes so. Where both
            are given, each serves half of the mixed batches.
        mix: Share of the batches that are mixed.

    But for `black` and `operations`, pixels moved in from outside repeat the nearest edge pixel.
    """

    flip: bool = False
    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    jump: float = 0.0
    black: bool = False
    crop: float = 0.0
    operations: str = "none"
    magnitude: float = 0.0
    erase: float = 0.0
    erase_area: float = 0.33
    erase_noise: bool = True
    mixup: float = 0.0
    cutmix: float = 0.0
    mix: float = 1.0

    def __post_init__(self) -> None:
        for name in ("flip", "black", "erase_noise"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False. Received: {name}={getattr(self, name)!r}; give a bool.")
        for name in ("rotate", "zoom", "shift", "jump"):
            checks.rate(name, getattr(self, name))
        for name, low, high in (("crop", 0, 1), ("erase", 0, 1), ("erase_area", 0.02, 1), ("mix", 0, 1)):
            checks.number(name, getattr(self, name), low, high, include_high=True)
        for name, high in (("magnitude", 30), ("mixup", 100), ("cutmix", 100)):
            checks.number(name, getattr(self, name), 0, high, include_high=True)
        checks.choice("operations", self.operations, SCHEMES)

    def get_config(self) -> dict:
        """The fields, for a file that holds a policy."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> "Policy":
        """A policy from its fields."""
        return cls(**config)

    @property
    def mixes(self) -> bool:
        """Whether labels become shares of classes."""
        return bool(self.mix and (self.mixup or self.cutmix))

    @property
    def warps(self) -> bool:
        """Whether any change needs interpolation."""
        return bool(self.rotate or self.zoom or self.shift)

    @property
    def moves(self) -> bool:
        """Whether any change rearranges whole pixels."""
        return bool(self.flip or self.jump)


DEIT = Policy(flip=True, crop=0.08, operations="deit", magnitude=9.0, erase=0.25, mixup=0.8, cutmix=1.0)
SMALL = Policy(
    flip=True, jump=1 / 8, black=True, operations="cifar", erase=0.25, erase_area=0.4, erase_noise=False, mixup=1.0, cutmix=1.0,
    mix=0.5,
)  # fmt: skip


def augreg(mixup: float, magnitude: float) -> Policy:
    """A level of AugReg: crop, flip, RandAugment and Mixup."""
    return Policy(flip=True, crop=0.05, operations="augreg", magnitude=magnitude, mixup=mixup)


POLICIES: dict[str, Policy] = {
    "none": Policy(),
    "digits": Policy(rotate=0.02, zoom=0.1, shift=1 / 16),  # half a pixel of 8
    "flip": Policy(flip=True),
    "mnist": Policy(rotate=0.02, zoom=0.1),
    "fashion": Policy(flip=True, jump=1 / 14),  # 2 pixels of 28
    "cifar": Policy(flip=True, jump=1 / 8),  # 4 pixels of 32
    "reference_cifar": Policy(flip=True, rotate=0.02, zoom=0.2),
    # Steiner et al. 2021, arXiv:2106.10270; their level "none" is "inception", and "none" here is no change at all.
    "inception": Policy(flip=True, crop=0.05),
    "light1": augreg(0.0, 0.0),
    "light2": augreg(0.2, 10.0),
    "medium1": augreg(0.2, 15.0),
    "medium2": augreg(0.5, 15.0),
    "strong1": augreg(0.5, 20.0),
    "strong2": augreg(0.8, 20.0),
    # Touvron et al. 2020, arXiv:2012.12877, table 9; CaiT and Swin too.
    "deit": DEIT,
    # BinaryViT: crop and flip only.
    "crop": Policy(flip=True, crop=0.08),
    # Lee et al. 2021, arXiv:2112.13492, by data set.
    "small": SMALL,
    "small_svhn": replace(SMALL, operations="svhn"),
    "small_imagenet": replace(SMALL, operations="imagenet"),
}

BY_DATASET: dict[str, str] = {
    "digits": "digits",
    "mnist": "mnist",
    "fashion_mnist": "fashion",
    "cifar10": "cifar",
    "cifar100": "cifar",
    **dict.fromkeys(RESIZED, "crop"),
}


def policy_for(facts: Facts) -> str:
    """The name of the policy that suits a data set; an unlisted one is flipped only where its facts allow.

    >>> keras_vix.data.policy_for(keras_vix.data.facts_of("cifar10"))
    'cifar'
    """
    return BY_DATASET.get(facts.name, "cifar" if facts.flip else "mnist")


def find_policy(policy: str | Policy) -> Policy:
    """A policy by name, or itself.

    Raises:
        TypeError: Neither a name nor a Policy.
        ValueError: An unknown name.
    """
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str):
        raise TypeError(f"augment must be a policy name or a Policy. Received: augment={policy!r}; use 'none'.")
    if policy not in POLICIES:
        raise ValueError(
            f"augment must name a policy. Received: augment={policy!r}.{checks.near(policy, POLICIES)}"
        )
    return POLICIES[policy]
