"""A model as a file that other runtimes serve, compared there with the model itself before it takes its place."""

import contextlib
import math
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator

import keras
import numpy as np

from .. import checks
from ..train.checkpoint import alive, flush
from . import elsewhere, formats
from .exported import Exported, ExportError
from .formats import FORMATS
from .servable import in_float32, narrow

BATCHES = (1, 3, 8)  # a size that is fixed somewhere in a file shows in one of them
CLOSE = 1e-4  # of the largest output, or of 1 if that is less: what float32 in another order of sums stays far below
QUANTIZE = ("int8",)


def export(
    model: keras.Model,
    path,
    format: str | None = None,
    quantize: str | None = None,
    *,
    images=None,
    tolerance: float | None = None,
    seed: int = 0,
) -> Exported:
    """A model as a SavedModel, LiteRT or ONNX file, compared with the model in that format's own runtime.

    >>> model = keras_vix.build("vit", dataset="digits", dim=16, depth=1, num_heads=2)
    >>> data = keras_vix.data.load("digits")
    >>> report = keras_vix.export(model, "digits.tflite", quantize="int8", images=data.validation.x)
    >>> report.format, report.quantize, report.agreement > 0.9
    ('litert', 'int8', True)

    The file takes raw images as the model does, pixels from 0 to 255 in float32, in batches of any size. It is written beside
    `path`, run there on batches of 1, 3 and 8, and takes its place only if the outputs are those of the model; otherwise nothing
    of it is kept, and what was at `path` is as it was. A folder takes the place of another in two renames, a file in one.

    On JAX and torch a process of its own writes the file on the TensorFlow backend, out of the saved model; TensorFlow must be
    installed there too. A model that computes in 16 bits is exported, and compared, in float32.

    Args:
        model: of one image `(height, width, channels)` of fixed size to one output, such as any of `build`.
        path: of the file, or for a SavedModel the folder; folders above it are made. An earlier export there is replaced.
        format: `saved_model`, `litert` or `onnx`; default by the ending of `path`: none, `.tflite` or `.onnx`.
        quantize: `int8` for dense layers with weights of 8 bits, and what they are multiplied with rounded to 8 bits as it comes,
            without calibration; in LiteRT convolutions as well, and of both only those of 1,024 weights and more. Feature maps,
            softmax, normalisations and products of two activations stay in float32. Default float32 throughout.
        images: raw images `(n, height, width, channels)` to be compared besides the eight random ones; `agreement` is then
            theirs. What quantisation costs is told by images of the task only.
        tolerance: the largest absolute difference of outputs that is allowed; default 1e-4 of the largest output, of 1 if that is
            less, and with `quantize` any finite one.
        seed: of the random images.

    Returns:
        A printable `Exported`: size, largest difference, share of equal predictions, runtime, and what was changed.

    Raises:
        TypeError, ValueError: an argument makes no sense; nothing was written.
        ImportError: a package is missing; it says what to install.
        ExportError: the model could not be written or run in the format, or its outputs are too far off; a RuntimeError.
        OSError: nothing can be written there.
    """
    shape = image_shape(model)
    path = pathlib.Path(path)
    format = kind(path, format)
    if quantize is not None:
        checks.choice("quantize", quantize, QUANTIZE)
    if tolerance is not None and tolerance != math.inf:
        tolerance = checks.number("tolerance", tolerance, 0.0, math.inf)
    given = None if images is None else pixels(images, shape)
    noise = np.random.default_rng(checks.seed("seed", seed)).uniform(0.0, 255.0, (max(BATCHES), *shape)).astype("float32")
    check_place(path, format)
    formats.check_packages(format)
    notes = ("layers of 16 bits as float32",) if narrow(model) else ()
    served = in_float32(model)
    batches = [noise[:size] for size in BATCHES] + chunks(given)
    with exact(), staged(path, FORMATS[format].suffix) as place:
        expected = [answers(served, batch) for batch in (noise, *chunks(given))]
        made = attempt(served, place, format, quantize, batches)
        wanted = [expected[0][:size] for size in BATCHES] + expected[1:]
        report = Exported(
            path=str(path), format=format, quantize=quantize, bytes=size_of(place), **compare(made["outputs"], wanted),
            images=len(noise) + (0 if given is None else len(given)), batches=BATCHES, runtime=made["runtime"],
            notes=(*notes, *made["notes"]),
        )  # fmt: skip
        judge(report, tolerance)
        put(place, path)
    return report


# ---- what is asked for ---------------------------------------------------------------------------------------------


def image_shape(model) -> tuple[int, int, int]:
    """`(height, width, channels)` of the images of a model that can be exported.

    Raises:
        TypeError, ValueError: it is none.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: model={type(model).__name__}.")
    if not model.built or not hasattr(model, "inputs") or not model.inputs:
        hint = "export its `student`" if hasattr(model, "student") else "make one with keras.Model(inputs, outputs)"
        raise ValueError(f"`model` must be functional, or a built keras.Sequential. Received: a {type(model).__name__}; {hint}.")
    shapes = [tuple(x.shape) for x in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(f"`model` must take one image; models of sequences are not exported. Received: inputs {shapes}.")
    if len(model.outputs) != 1:
        raise ValueError(
            f"`model` must give one output. Received: {len(model.outputs)}; keras.Model(model.input, model.outputs[0]) has one."
        )
    if None in shapes[0][1:]:
        raise ValueError(f"`model` must be of images of one size. Received: input shape {shapes[0]}; build it with that size.")
    return shapes[0][1:]


def kind(path: pathlib.Path, format: str | None) -> str:
    """The format, by its name or by the ending of the path.

    Raises:
        ValueError: it is none, or path and format do not agree.
    """
    endings = {entry.suffix: name for name, entry in FORMATS.items()}
    if format is None:
        if path.suffix not in endings:
            known = ", ".join(f"{suffix or 'no ending'} for {name}" for suffix, name in endings.items())
            raise ValueError(f"`path` must end as its format does, or name a `format`. Received: path={str(path)!r}; {known}.")
        return endings[path.suffix]
    checks.choice("format", format, FORMATS)
    suffix = FORMATS[format].suffix
    if suffix and path.suffix != suffix or not suffix and path.suffix in endings and path.suffix:
        wanted = f"end in {suffix}" if suffix else "be a folder"
        raise ValueError(f"`path` of format {format!r} must {wanted}. Received: path={str(path)!r}.")
    return format


def pixels(images, shape: tuple[int, int, int]) -> np.ndarray:
    """Images as float32.

    Raises:
        ValueError: they are not of the model's shape, or none.
    """
    found = np.asarray(images)
    if found.ndim != 4 or found.shape[1:] != shape or not len(found) or found.dtype.kind not in "uif":
        raise ValueError(
            f"`images` must be numbers of shape (n, {', '.join(map(str, shape))}), n at least 1. "
            f"Received: {found.dtype} of shape {found.shape}."
        )
    return found.astype("float32")


def check_place(path: pathlib.Path, format: str) -> None:
    """See that an export would replace nothing but an export.

    Raises:
        ValueError: something else is there.
    """
    if FORMATS[format].suffix:
        if path.is_dir():
            raise ValueError(f"`path` must be a file. Received: path={str(path)!r}, which is a folder.")
    elif path.exists() and not (path / "saved_model.pb").is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"`path` must be free, empty, or a SavedModel to replace. Received: path={str(path)!r}, something else.")


# ---- what comes out ------------------------------------------------------------------------------------------------


def chunks(images: np.ndarray | None) -> list[np.ndarray]:
    """Images in batches of the largest size, the last one smaller."""
    return [] if images is None else [images[first : first + max(BATCHES)] for first in range(0, len(images), max(BATCHES))]


def answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's own outputs."""
    if keras.config.backend() == "jax":  # which otherwise compiles every operation for itself
        return np.asarray(model.predict_on_batch(images), "float32")
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)), "float32")


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Inside, TensorFlow and JAX multiply float32 as such, where a GPU would round both factors to eleven bits (TF32)."""
    if keras.config.backend() == "jax":
        import jax

        with jax.default_matmul_precision("float32"):
            yield
    elif keras.config.backend() == "tensorflow":
        import tensorflow as tf

        switches = tf.config.experimental
        before = switches.tensor_float_32_execution_enabled()
        switches.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            switches.enable_tensor_float_32_execution(before)
    else:
        yield


def attempt(model, place: pathlib.Path, format: str, quantize: str | None, batches) -> dict:
    """Write and run an export, here or in a process of the TensorFlow backend.

    Raises:
        ExportError: that failed.
    """
    make = formats.make if keras.config.backend() == "tensorflow" else elsewhere.make
    try:
        return make(model, place, format, quantize, batches)
    except (ExportError, OSError):
        raise
    except Exception as error:  # of a converter or a runtime, which raise anything
        words = " ".join(str(error).split())
        raise ExportError(f"The model could not be exported to {format}: {type(error).__name__}: {words[:500]}") from error


def compare(outputs: list[np.ndarray], wanted: list[np.ndarray]) -> dict[str, float]:
    """`difference`, `largest` and `agreement` of outputs and those wanted, batch by batch; agreement of the last kind of images.

    Raises:
        ExportError: they differ in shape.
    """
    for there, here in zip(outputs, wanted, strict=True):
        if there.shape != here.shape:
            raise ExportError(f"The export must answer as the model does. Received: shape {there.shape}, not {here.shape}.")
    last = slice(len(BATCHES), None) if len(wanted) > len(BATCHES) else slice(len(BATCHES) - 1, None)
    same = [there.argmax(-1) == here.argmax(-1) for there, here in zip(outputs[last], wanted[last], strict=True)]
    return {
        "difference": float(np.max([np.abs(there - here).max() for there, here in zip(outputs, wanted, strict=True)])),
        "largest": float(max(np.abs(here).max() for here in wanted)),
        "agreement": float(np.mean(np.concatenate([part.ravel() for part in same]))),
    }


def judge(report: Exported, tolerance: float | None) -> None:
    """Refuse an export that is too far off.

    Raises:
        ExportError: the difference is larger than the tolerance, or no number.
    """
    if tolerance is None:
        tolerance = math.inf if report.quantize else CLOSE * max(report.largest, 1.0)
    if not math.isfinite(report.difference) or report.difference > tolerance:
        raise ExportError(
            f"The export must be within tolerance={tolerance:.3g} of the model. Received: a difference of "
            f"{report.difference:.3g}, of outputs up to {report.largest:.3g}, in {report.runtime}; nothing of it was kept."
        )


def size_of(path: pathlib.Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


# ---- where it goes -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def staged(path: pathlib.Path, suffix: str) -> Iterator[pathlib.Path]:
    """A place beside `path` to write to, of which nothing is left in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name[:60]}."
    for left in path.parent.iterdir():  # of a process that died on the way
        owner = left.name.removeprefix(start).split("-")[0]
        if left.name.startswith(start) and left.name.endswith(".tmp") and owner.isdecimal() and not alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    folder = path.with_name(f"{start}{os.getpid()}-{secrets.token_hex(4)}.tmp")
    folder.mkdir()
    try:
        yield folder / f"model{suffix}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(place: pathlib.Path, path: pathlib.Path) -> None:
    """Move a whole export to its path, in the place of an earlier one; if that fails, the earlier one stays."""
    for file in (place, *place.rglob("*")):
        flush(file)
    if place.is_dir() and path.exists():
        earlier = place.with_name("earlier")
        os.rename(path, earlier)
        try:
            os.rename(place, path)
        except BaseException:
            os.rename(earlier, path)
            raise
    else:
        os.replace(place, path)
    flush(path.parent)
