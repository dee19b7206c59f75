"""timm imports torchvision for its images, which nothing here touches: names for the import where torchvision cannot be had.

There is no torchvision without CUDA on the default package index, and one with CUDA does not import beside a torch without.
"""

import contextlib
import enum
import sys
import types


MODULES = (
    "torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops", "torchvision.ops.misc",
    "torchvision.datasets",
)  # fmt: skip


class InterpolationMode(enum.Enum):
    """The names that timm makes tables of."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


class Names(types.ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextlib.contextmanager
def torchvision_for_the_import():
    """The real one where it imports; otherwise names, which are gone afterwards."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        modules = {name: Names(name) for name in MODULES}
        for name, module in modules.items():
            above, _, own = name.rpartition(".")
            if above:
                setattr(modules[above], own, module)
        for name in ("torchvision.transforms", "torchvision.transforms.functional"):
            modules[name].InterpolationMode = InterpolationMode
        sys.modules.update(modules)
        try:
            yield
        finally:
            for name in MODULES:
                sys.modules.pop(name, None)
    else:
        yield
