"""What a model file may hold and may name: looked at before Keras makes anything of it."""

import io
import json
import math
import pathlib
import stat
import struct
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from ..checks import plain

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = 1000  # of an archive; Keras writes three, and the files that layers bring
LARGEST = 2**36  # bytes that an archive may unpack to
RATIO = 100  # times its own size that a file may unpack to; weights hardly shrink
SLACK = 2**20  # bytes that are no bomb, whatever their ratio
TEXT = 2**24  # bytes of a config; the largest of this package has 140 thousand
DEPTH = 64  # levels of a config; those of this package have 11
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
KINDS = (
    keras.layers.Layer, keras.Operation, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule, keras.initializers.Initializer, keras.regularizers.Regularizer,
    keras.constraints.Constraint, keras.dtype_policies.DTypePolicy, keras.dtype_policies.DTypePolicyMap,
    keras.quantizers.Quantizer, keras.quantizers.QuantizationConfig, keras.random.SeedGenerator,
)  # fmt: skip
# Layers that hold code, or open files that their config names.
CARRIERS = (
    keras.layers.Lambda, keras.layers.TFSMLayer, keras.layers.TorchModuleWrapper, keras.layers.JaxLayer, keras.layers.FlaxLayer,
    keras.layers.StringLookup, keras.layers.IntegerLookup, keras.layers.TextVectorization, keras.utils.FeatureSpace,
)  # fmt: skip
FUNCTIONS = ("keras.activations", "keras.losses", "keras.metrics")
HELPERS = ("get", "serialize", "deserialize")
# No classes, though written like them.
VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")


def check(path: pathlib.Path, given: Mapping[str, Any]) -> None:
    """Refuse a `.keras` file, its members being sound, whose config or weights are not to be trusted with Keras.

    Args:
        path: of the file.
        given: what its config may name beside Keras and this package, by name.

    Raises:
        ValueError: the message says what it names, or holds, and what is allowed.
    """
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        try:
            check_config(config_of(archive), given)
            with opened(file, archive) as weights:
                check_arrays(weights)
        except ValueError as error:
            raise ValueError(
                "A model file may hold plain arrays, and name layers, losses, metrics, optimizers and the like of keras and "
                f"keras_vix. Received: path={str(path)!r}: {error}."
            ) from None


# ---- members -------------------------------------------------------------------------------------------------------


def check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse members that would lie elsewhere, stand in each other's place, or unpack to far more than the file has.

    Raises:
        ValueError: the message names the member.
    """
    members = archive.infolist()
    if len(members) > MEMBERS:
        raise ValueError(f"it has {len(members):,} members, and {MEMBERS:,} are enough")
    seen = set()
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        name = member.orig_filename  # as it is written; zipfile cuts it at a NUL byte
        if not all(plain(part) for part in name.removesuffix("/").split("/")):
            raise ValueError(f"member {name[:100]!r} would lie elsewhere")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"member {name[:100]!r} is no plain file")
        if name.casefold() in seen:
            raise ValueError(f"member {name[:100]!r} is there twice")
        if member.compress_type not in METHODS:
            raise ValueError(f"member {name[:100]!r} is neither stored nor deflated")
        seen.add(name.casefold())
    total = sum(member.file_size for member in members)
    if total > LARGEST or total > max(SLACK, RATIO * size):
        raise ValueError(f"it would unpack to {total:,} bytes")


# ---- config --------------------------------------------------------------------------------------------------------


def config_of(archive: zipfile.ZipFile) -> Any:
    """The config of the model as plain data.

    Raises:
        ValueError: it is too large, too deep, or no JSON.
    """
    size = archive.getinfo(CONFIG).file_size
    if size > TEXT:
        raise ValueError(f"{CONFIG} has {size:,} bytes, and {TEXT:,} are enough")
    try:
        return json.loads(archive.read(CONFIG))
    except RecursionError:
        raise ValueError(f"{CONFIG} has more than {DEPTH} levels") from None
    except ValueError as error:
        raise ValueError(f"{CONFIG} is no JSON ({str(error)[:100]})") from None


def check_config(config: Any, given: Mapping[str, Any]) -> None:
    """Refuse a config that names, anywhere in it, a class or a function which is not allowed.

    Raises:
        ValueError: the message has its name and module.
    """
    for item in walk(config):
        if isinstance(item, str):
            thing = keras.saving.get_registered_object(item, given)  # a function may stand there by its name alone
            if thing is not None and not trusted(thing, given):
                raise refusal(item, getattr(thing, "__module__", None), item)
        elif "class_name" in item:
            check_entry(item, given)


def walk(config: Any) -> Iterator[str | dict]:
    """Every text and every record of a config."""
    waiting = [(config, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH:
            raise ValueError(f"{CONFIG} has more than {DEPTH} levels")
        if isinstance(item, (str, dict)):
            yield item
        if isinstance(item, (list, dict)):
            waiting += [(value, depth + 1) for value in (item.values() if isinstance(item, dict) else item)]


def check_entry(entry: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse the record of a class or function, unless what Keras makes of it is allowed."""
    name, module = entry["class_name"], entry.get("module")
    if isinstance(name, str) and name in VALUES:
        return
    function = name == "function"
    name = entry.get("config") if function else name
    key = name if function else entry.get("registered_name", name)  # Keras looks among registered things first
    thing = keras.saving.get_registered_object(key, given) if isinstance(key, str) else None
    if thing is None:
        thing = (function_of if function else class_of)(module, name)
    if thing is None or not trusted(thing, given):
        raise refusal(name, module, key)


def class_of(module: Any, name: Any) -> Any:
    """What a loaded module of Keras has under a name, if that is a class."""
    if not isinstance(module, str) or module.split(".")[0] != "keras" or not isinstance(name, str):
        return None
    thing = getattr(sys.modules.get(module), "__dict__", {}).get(name)
    return thing if isinstance(thing, type) else None


def function_of(module: Any, name: Any) -> Any:
    """A function of that name among those of Keras that compute numbers from numbers."""
    if not isinstance(name, str) or name in HELPERS:
        return None
    found = [vars(sys.modules[place]).get(name) for place in FUNCTIONS if module in (place, "builtins")]
    return next((thing for thing in found if isinstance(thing, types.FunctionType)), None)


def trusted(thing: Any, given: Mapping[str, Any]) -> bool:
    """Whether a file may name it: what was given or this package registered, and of Keras functions and some classes."""
    home = str(getattr(thing, "__module__", "")).split(".")[0]
    if home == "keras_vix" or any(thing is own for own in given.values()):
        return True
    if isinstance(thing, type):
        return home == "keras" and issubclass(thing, KINDS) and not issubclass(thing, CARRIERS)
    return home == "keras" and isinstance(thing, types.FunctionType)


def refusal(name: Any, module: Any, key: Any) -> ValueError:
    """The error about what is not allowed."""
    key = key if isinstance(key, str) else name
    words = f"it names {str(name)[:100]!r} of module {str(module)[:100]!r}, which is unsafe"
    return ValueError(f"{words}; if you trust that, give custom_objects={{{str(key)[:100]!r}: ...}}")


# ---- weights -------------------------------------------------------------------------------------------------------


class Window(io.RawIOBase):
    """A stored member of an archive as a file of its own, without a copy of it."""

    def __init__(self, file: io.BufferedReader, member: zipfile.ZipInfo):
        file.seek(member.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
        self.file, self.start, self.size, self.place = file, file.tell() + name + extra, member.file_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence])
        return self.place

    def readinto(self, buffer) -> int:
        room = memoryview(buffer).cast("B")[: max(0, self.size - self.place)]
        self.file.seek(self.start + self.place)
        read = self.file.readinto(room)
        self.place += read
        return read


def opened(file: io.BufferedReader, archive: zipfile.ZipFile):
    """The weights of an archive as an HDF5 file, open.

    Raises:
        ValueError: there are none of that form.
    """
    import h5py

    if WEIGHTS not in archive.namelist():
        raise ValueError(f"it has no {WEIGHTS}")
    member = archive.getinfo(WEIGHTS)
    stored = member.compress_type == zipfile.ZIP_STORED
    try:
        return h5py.File(Window(file, member) if stored else io.BytesIO(archive.read(member)), "r")
    except OSError as error:
        raise ValueError(f"{WEIGHTS} is no HDF5 file ({str(error)[:100]})") from None


def check_arrays(file) -> None:
    """Refuse an open HDF5 file whose arrays lie in other files, or claim far more numbers than there are.

    Raises:
        ValueError: the message names the array.
    """
    import h5py

    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            where = f"{group.name.rstrip('/')}/{name}"[:100]
            if group.get(name, getlink=True, getclass=True) is not h5py.HardLink:
                raise ValueError(f"array {where!r} is a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                address = h5py.h5o.get_info(item.id).addr  # a group may hold itself
                waiting += [] if address in seen else [item]
                seen.add(address)
            elif isinstance(item, h5py.Dataset):
                check_array(where, item)


def check_array(where: str, item) -> None:
    """One array of `check_arrays`."""
    if item.external or item.is_virtual:
        raise ValueError(f"array {where!r} lies in another file")
    claimed, stored = math.prod(item.shape or (0,)) * item.dtype.itemsize, item.id.get_storage_size()
    if claimed > max(SLACK, RATIO * stored):
        raise ValueError(f"array {where!r} claims shape {item.shape} and has {stored:,} bytes")
