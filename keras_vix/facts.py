"""What is known of each image data set before a single file is opened: plain data."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Facts:
    """One data set: image shape (height, width, channels), classes, pixel statistics.

    Args:
        name: The name `keras_vix.data.load` knows it by.
        input_shape: (height, width, channels) in pixels.
        classes: Number of classes; labels are 0..classes-1.
        mean: Mean of each channel over the training images, pixels on the 0..1 scale.
        std: Standard deviation of each channel, on the same scale.
        flip: Whether a horizontal flip leaves the class as it was.
        class_names: One name a class, in label order; empty when unknown.
        source: Where the images come from.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    class_names: tuple[str, ...]
    source: str


NUMERALS = tuple("0123456789")

GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# The hundred fine labels; their numbers follow the alphabet.
CIFAR100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()
)

DATASETS: dict[str, Facts] = {
    "digits": Facts(
        name="digits",
        input_shape=(8, 8, 1),
        classes=10,
        mean=(0.3056,),
        std=(0.3758,),
        flip=False,
        class_names=NUMERALS,
        source="UCI, Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998, CC BY 4.0",
    ),
    "mnist": Facts(
        name="mnist",
        input_shape=(28, 28, 1),
        classes=10,
        mean=(0.1307,),
        std=(0.3081,),
        flip=False,
        class_names=NUMERALS,
        source="MNIST, LeCun, Bottou, Bengio and Haffner 1998",
    ),
    "fashion_mnist": Facts(
        name="fashion_mnist",
        input_shape=(28, 28, 1),
        classes=10,
        mean=(0.2860,),
        std=(0.3530,),
        flip=True,
        class_names=GARMENTS,
        source="Fashion-MNIST, Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747, MIT licence",
    ),
    "cifar10": Facts(
        name="cifar10",
        input_shape=(32, 32, 3),
        classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        flip=True,
        class_names=CIFAR10,
        source="CIFAR-10, Krizhevsky 2009",
    ),
    "cifar100": Facts(
        name="cifar100",
        input_shape=(32, 32, 3),
        classes=100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        flip=True,
        class_names=CIFAR100,
        source="CIFAR-100 with its fine labels, Krizhevsky 2009",
    ),
    "tiny_imagenet": Facts(
        name="tiny_imagenet",
        input_shape=(64, 64, 3),
        classes=200,
        mean=(0.4803, 0.4481, 0.3976),
        std=(0.2764, 0.2689, 0.2816),
        flip=True,
        class_names=(),  # they come with the images
        source="Tiny ImageNet, Stanford CS231n, 2015",
    ),
}

# What most models of photographs are published for, and the statistics they are published with.
IMAGENET = Facts(
    name="imagenet",
    input_shape=(224, 224, 3),
    classes=1000,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    flip=True,
    class_names=(),  # they come with the images
    source="ImageNet-1k, Russakovsky et al. 2015",
)

# Photographs of many sizes, cut and resized; statistics are those of ImageNet, as models for them are usually given.
DATASETS |= {
    "imagenet": IMAGENET,
    "imagenet100": replace(IMAGENET, name="imagenet100", classes=100, source="100 classes of ImageNet-1k, listed by the user"),
    "imagenette": replace(IMAGENET, name="imagenette", classes=10, source="Imagenette, ten classes of ImageNet, fast.ai 2019"),
    "places365_small": replace(
        IMAGENET, name="places365_small", classes=365, source="Places365-Standard at 256 x 256, Zhou et al. 2017"
    ),
}
RESIZED = ("imagenet", "imagenet100", "imagenette", "places365_small")
