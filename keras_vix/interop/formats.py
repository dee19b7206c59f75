"""The formats of exports: how a model is written in each, by Keras' own `model.export`, and how the file is run."""

import dataclasses
import importlib.metadata
import importlib.util
import pathlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from .. import checks
from ..loggers import quiet
from .exported import ExportError
from .onnx_operations import teach
from .servable import PRODUCTS, quantized, without_transforms

Run = Callable[[np.ndarray], np.ndarray]


class Opened(NamedTuple):
    """An exported file in its runtime: images to outputs, and the runtime's name and version."""

    run: Run
    runtime: str


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of export.

    Args:
        suffix: which a path ends in; empty for a folder.
        packages: which must be there, besides TensorFlow.
        extra: of this package, which installs them.
        write: a model, a path and `quantize` to a file there, with what was changed on the way.
        open: the path in the format's runtime.
    """

    suffix: str
    packages: tuple[str, ...]
    extra: str
    write: Callable[[keras.Model, pathlib.Path, str | None], tuple[str, ...]]
    open: Callable[[pathlib.Path], Opened]


# ---- SavedModel ----------------------------------------------------------------------------------------------------


def write_saved_model(model: keras.Model, path: pathlib.Path, quantize: str | None) -> tuple[str, ...]:
    """A folder that TensorFlow serves; with `int8` of a copy that Keras has quantised."""
    model = quantized(model) if quantize else model
    with quiet("tensorflow"):  # where it wrote its assets
        model.export(path, format="tf_saved_model", verbose=False)
    return ()


def open_saved_model(path: pathlib.Path) -> Opened:
    """A folder in TensorFlow, without Keras."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # it must live as long as its function

    def run(images: np.ndarray) -> np.ndarray:
        return loaded.serve(tf.constant(images)).numpy()

    return Opened(run, f"tensorflow {tf.__version__}")


# ---- LiteRT --------------------------------------------------------------------------------------------------------


def write_litert(model: keras.Model, path: pathlib.Path, quantize: str | None) -> tuple[str, ...]:
    """A `.tflite` file; with `int8` weights in 8 bits, and products of them with what is rounded to 8 bits on the way."""
    import tensorflow as tf

    served = without_transforms(model)
    settings = {"optimizations": [tf.lite.Optimize.DEFAULT]} if quantize else {}
    with quiet("tensorflow"):
        served.export(path, format="litert", verbose=False, **settings)
    if lacking := select_ops(path):
        raise ExportError(
            f"LiteRT must have every operation of the model. Received: {', '.join(lacking)}, which only TensorFlow Lite with its "
            "Flex delegate has; nothing of the file was kept."
        )
    return () if served is model else (PRODUCTS,)


def open_litert(path: pathlib.Path) -> Opened:
    """A `.tflite` file in LiteRT, or in TensorFlow Lite where that is missing."""
    if importlib.util.find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter

        runtime = f"ai_edge_litert {importlib.metadata.version('ai-edge-litert')}"
    else:
        import tensorflow as tf

        Interpreter, runtime = tf.lite.Interpreter, f"tf.lite {tf.__version__}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    (name,), (output,) = runner.get_input_details(), runner.get_output_details()
    return Opened(lambda images: runner(**{name: images})[output], runtime)


def select_ops(path: pathlib.Path) -> tuple[str, ...]:
    """Names of the operations in a `.tflite` file that are TensorFlow's, not LiteRT's."""
    from tensorflow.lite.python.schema_py_generated import Model

    model = Model.GetRootAs(path.read_bytes(), 0)
    codes = (model.OperatorCodes(place).CustomCode() for place in range(model.OperatorCodesLength()))
    return tuple(sorted({code.decode() for code in codes if code}))


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def write_onnx(model: keras.Model, path: pathlib.Path, quantize: str | None) -> tuple[str, ...]:
    """An `.onnx` file; with `int8` of a copy that Keras has quantised."""
    plain = without_transforms(model)
    served = quantized(plain) if quantize else plain
    served(np.zeros((1, *served.input_shape[1:]), "float32"))  # Keras writes only what was called once
    with quiet("tf2onnx"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*np.object", FutureWarning)  # of Keras' patch of tf2onnx
        teach()
        served.export(path, format="onnx", verbose=False)
    return () if plain is model else (PRODUCTS,)


def open_onnx(path: pathlib.Path) -> Opened:
    """An `.onnx` file in ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    return Opened(lambda images: session.run(None, {image.name: images})[0], f"onnxruntime {onnxruntime.__version__}")


FORMATS = {
    "saved_model": Format("", (), "", write_saved_model, open_saved_model),
    "litert": Format(".tflite", (), "litert", write_litert, open_litert),
    "onnx": Format(".onnx", ("onnx", "tf2onnx", "onnxruntime"), "onnx", write_onnx, open_onnx),
}


def check_packages(name: str) -> None:
    """Find the packages that a format needs.

    Raises:
        ImportError: one is missing; it says what to install.
    """
    checks.package("tensorflow", f"An export to {name}, on every backend,")
    for package in FORMATS[name].packages:
        checks.package(package, f"An export to {name}", f"'keras-vix[{FORMATS[name].extra}]'")


def make(model: keras.Model, path: pathlib.Path, name: str, quantize: str | None, batches: list[np.ndarray]) -> dict[str, Any]:
    """Write a model and run the file on each of `batches`: `outputs`, `runtime` and `notes`."""
    notes = FORMATS[name].write(model, path, quantize)
    opened = FORMATS[name].open(path)
    outputs = [np.asarray(opened.run(batch), "float32") for batch in batches]
    return {"outputs": outputs, "runtime": opened.runtime, "notes": notes}
