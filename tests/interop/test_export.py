"""Exports: the same answers in every format and batch size, whole files or none, and what is refused."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_vix
from keras_vix.interop import Exported, ExportError, elsewhere, formats
from keras_vix.interop.formats import FORMATS, make
from keras_vix.interop.servable import copy, in_float32, quantized
from keras_vix.mixers import FourierMixing

pytest.importorskip("tensorflow", reason="exports are written by TensorFlow")
module = sys.modules["keras_vix.interop.export"]
ROOT = pathlib.Path(__file__).parents[2]
here = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="one test shows that other backends ask this one")
TINY = {"depth": 1, "dim": 32, "num_heads": 2, "mlp_dim": 48, "filters": (8,), "strides": (2, 1), "pool": "mean"}


def missing(name):
    """Packages that a format needs and that are not installed."""
    return [package for package in FORMATS[name].packages if not importlib.util.find_spec(package)]


def each_format():
    return [
        pytest.param(name, marks=pytest.mark.skipif(bool(missing(name)), reason=f"{', '.join(missing(name))} not installed"))
        for name in FORMATS
    ]


every_format = pytest.mark.parametrize("format", each_format())


def tiny(**more):
    return keras_vix.build("performer_softmax", dataset="digits", compile=False, **TINY | more)


def place(folder, format):
    return folder / f"model{FORMATS[format].suffix}"


def images(count=10):
    return np.random.default_rng(1).integers(0, 256, (count, 8, 8, 1), "uint8")


def left(folder):
    """Names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


@every_format
def test_a_file_answers_as_its_model(format, tmp_path):
    model, path = tiny(), place(tmp_path / "new folder", format)
    report = keras_vix.export(model, path, images=images())
    assert report.format == format and report.quantize is None and report.path == str(path)
    assert report.difference <= 1e-5 < report.largest and report.agreement == 1.0 and report.images == 18
    assert report.notes == () and left(path.parent) == [path.name]
    assert report.bytes == sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()) > 40_000
    opened = FORMATS[format].open(path)
    for size in (2, 5):
        expected = keras.ops.convert_to_numpy(model(images(size), training=False))
        assert np.abs(opened.run(images(size).astype("float32")) - expected).max() <= 1e-5
    lines = str(report).splitlines()
    assert lines[0] == f"{path}: {format}, float32" and opened.runtime in lines[-1] and f"{report.bytes:,} bytes" in lines[1]


@pytest.mark.long
@here
@every_format
def test_int8_is_in_the_file_and_not_in_the_model(format, tmp_path):
    model, path = tiny(mlp_dim=512), place(tmp_path, format)
    before = model.get_weights()
    plain = keras_vix.export(model, path)
    report = keras_vix.export(model, path, quantize="int8", images=images(40))
    assert report.quantize == "int8" and report.bytes < plain.bytes and report.agreement >= 0.9
    assert 10 * plain.difference < report.difference <= 0.1 * report.largest
    assert bytes_of_8_bits(format, path) >= 2 * 32 * 512  # both halves of the MLP
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def bytes_of_8_bits(format, path):
    """How many weights of 8 bits are in a file."""
    if format == "saved_model":
        import tensorflow as tf

        return sum(int(np.prod(v.shape)) for v in tf.saved_model.load(str(path)).variables if v.dtype == tf.int8)
    if format == "onnx":
        import onnx

        return sum(int(np.prod(x.dims)) for x in onnx.load(str(path)).graph.initializer if x.data_type == onnx.TensorProto.INT8)
    from tensorflow.lite.python.schema_py_generated import Model, TensorType

    graph = Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    return sum(int(np.prod(t.ShapeAsNumpy())) for t in tensors if t.Type() == TensorType.INT8 and t.Buffer())


def inner(model):
    """The layers of a model without the model."""
    return [layer for layer in model._flatten_layers() if layer is not model]


@pytest.mark.long
@here
def test_layers_of_16_bits_are_exported_in_32(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny()
    wide = in_float32(model)
    assert {layer.compute_dtype for layer in inner(model)} == {"float16", "float32"}
    assert wide is not model and {layer.compute_dtype for layer in inner(wide)} == {"float32"}
    assert keras.config.dtype_policy().name == "mixed_float16"  # as before
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), wide.get_weights(), strict=True))
    report = keras_vix.export(model, tmp_path / "model.tflite")
    assert report.difference <= 1e-5 and report.notes == ("layers of 16 bits as float32",)
    assert in_float32(wide) is wide


@here
@every_format
def test_fourier_transforms_become_products_where_there_are_none(format, tmp_path):
    model = keras_vix.build("fnet", dataset="digits", compile=False, depth=1, dim=16, mlp_dim=16)
    report = keras_vix.export(model, place(tmp_path, format))
    assert report.difference <= 1e-4
    assert report.notes == (() if format == "saved_model" else ("the Fourier transform as products of matrices",))
    mixers = [layer for layer in model._flatten_layers() if isinstance(layer, FourierMixing)]
    assert [layer.transform for layer in mixers] == ["fft"]  # as before


@here
def test_operations_of_tensorflow_are_refused(tmp_path):
    """A layer of one's own whose operation LiteRT lacks."""
    x = keras.Input((4, 4, 1), name="image")
    real, _ = keras.ops.fft2((x[..., 0], keras.ops.zeros_like(x[..., 0])))
    model = keras.Model(x, keras.layers.Flatten()(real))
    with pytest.raises(ExportError, match="FlexFFT2D.*Flex delegate"):
        keras_vix.export(model, tmp_path / "model.tflite")
    assert left(tmp_path) == []
    assert keras_vix.export(model, tmp_path / "model").difference <= 1e-3


def test_outputs_of_another_shape_are_refused():
    wanted = [np.zeros((size, 10)) for size in module.BATCHES]
    assert module.compare(wanted, wanted) == {"difference": 0.0, "largest": 0.0, "agreement": 1.0}
    with pytest.raises(ExportError, match=r"must answer as the model does. Received: shape \(3, 9\), not \(3, 10\)"):
        module.compare([wanted[0], wanted[1][:, :9], wanted[2]], wanted)


@pytest.mark.long
@here
def test_a_process_of_its_own_writes_the_same(tmp_path):
    """What JAX and torch do: the outputs are those of an export made here."""
    model = tiny()
    batches = [images(size).astype("float32") for size in (1, 5)]
    paths = tmp_path / "one.tflite", tmp_path / "two.tflite"
    inside, outside = make(model, paths[0], "litert", None, batches), elsewhere.make(model, paths[1], "litert", None, batches)
    assert [out.shape for out in outside["outputs"]] == [(1, 10), (5, 10)]
    for one, two in zip(inside.pop("outputs"), outside.pop("outputs"), strict=True):
        assert np.array_equal(one, two)
    assert inside == outside


@pytest.mark.parametrize(
    "script, words",
    [
        ("echo first >&2\necho it fails >&2\nexit 3", "ended with 3. It said: it fails"),
        ("exit 4", "ended with 4. It said: nothing"),
        ("echo warned >&2", "ended with 0. It said: warned"),  # and left no answer
    ],
)
def test_what_a_process_said_that_failed(script, words, tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(elsewhere.sys, "executable", str(program))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ExportError, match=f"exports on the TensorFlow backend {words}"):
        elsewhere.make(model, tmp_path / "one.tflite", "litert", None, [np.zeros((1, 2), "float32")])
    assert left(tmp_path) == ["python"]


@here
def test_float32_is_float32_on_every_device(tmp_path, monkeypatch):
    """While the outputs are made no factor may be rounded to TF32; afterwards that is as it was."""
    import tensorflow as tf

    enabled, seen, answers = tf.config.experimental.tensor_float_32_execution_enabled, [], module.answers
    monkeypatch.setattr(module, "answers", lambda *given: seen.append(enabled()) or answers(*given))
    assert enabled()
    keras_vix.export(tiny(), tmp_path / "model")
    assert set(seen) == {False} and enabled()


# ---- whole or not at all -------------------------------------------------------------------------------------------


def wrong(model, path, quantize):
    """Write a model with other weights."""
    other = copy(model)
    other.set_weights([weight + 0.1 for weight in model.get_weights()])
    other.export(path, format="litert", verbose=False)
    return ()


def broken(model, path, quantize):
    """Write half a file and fail."""
    path.write_bytes(b"half")
    raise RuntimeError("the converter stopped")


@here
@pytest.mark.parametrize(("write", "words"), [(wrong, "tolerance=0.000.*nothing of it was kept"), (broken, "to litert: RuntimeError: the converter")])
def test_a_failed_export_leaves_what_was_there(write, words, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    monkeypatch.setitem(FORMATS, "litert", formats.dataclasses.replace(FORMATS["litert"], write=write))
    with pytest.raises(ExportError, match=words):
        keras_vix.export(tiny(), path)
    assert left(tmp_path) == []
    path.write_bytes(b"the earlier export")
    with pytest.raises(ExportError, match=words):
        keras_vix.export(tiny(), path)
    assert left(tmp_path) == ["model.tflite"] and path.read_bytes() == b"the earlier export"


@pytest.mark.long
@here
def test_what_is_no_number_is_never_kept(tmp_path):
    model = tiny()
    model.layers[-1].logits.bias.assign(np.full(10, np.nan, "float32"))
    with pytest.raises(ExportError, match="difference of nan"):
        keras_vix.export(model, tmp_path / "model.tflite", quantize="int8", tolerance=1e9)
    assert left(tmp_path) == []


@pytest.mark.long
@here
def test_tolerance(tmp_path):
    model, path = tiny(), tmp_path / "model.tflite"
    difference = keras_vix.export(model, path, quantize="int8").difference
    with pytest.raises(ExportError, match=f"tolerance={difference / 2:.3g}"):
        keras_vix.export(model, path, quantize="int8", tolerance=difference / 2)
    assert keras_vix.export(model, path, quantize="int8", tolerance=2 * difference).difference == difference


@pytest.mark.long
@here
def test_a_folder_takes_the_place_of_an_earlier_export_only(tmp_path, monkeypatch):
    model, path = tiny(), tmp_path / "model"
    dead = tmp_path / ".model.4194305-00000000.tmp"  # a process number that Linux never gives
    dead.mkdir()
    path.mkdir()
    (path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="free, empty, or a SavedModel"):
        keras_vix.export(model, path)
    (path / "thesis.txt").unlink()
    keras_vix.export(model, path)
    first = (path / "saved_model.pb").read_bytes()
    assert left(tmp_path) == ["model"]
    (path / "assets" / "note.txt").write_text("of the first export")

    def full(old, new):
        if pathlib.Path(new) == path and pathlib.Path(old).name == "model":
            raise OSError(28, "No space left on device")
        return rename(old, new)

    rename = os.rename
    monkeypatch.setattr(module.os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        keras_vix.export(model, path)
    assert left(tmp_path) == ["model"] and (path / "saved_model.pb").read_bytes() == first
    monkeypatch.undo()
    keras_vix.export(model, path)
    assert left(tmp_path) == ["model"] and not (path / "assets" / "note.txt").exists()


# ---- calls that make no sense --------------------------------------------------------------------------------------


def several_outputs():
    model = tiny()
    return keras.Model(model.input, [model.output, model.layers[-2].output])


class Own(keras.Model):
    """A subclass without a graph."""

    def call(self, x):
        return x


def open_size():
    x = keras.Input((None, None, 1))
    return keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))


def sequence():
    return keras_vix.build("transformer_base", vocabulary=8, source_length=4, target_length=4, dim=8, depth=1, num_heads=2, mlp_dim=8)


def distiller():
    return keras_vix.train.distill(keras_vix.build("performer_softmax", dataset="digits", **TINY), tiny(), "soft")


@pytest.mark.parametrize(
    ("made", "path", "options", "error", "words"),
    [
        (tiny, "m.tflite", {"format": "litter"}, ValueError, "format='litter'.*Did you mean 'litert'"),
        (tiny, "m.tflite", {"format": "tflite"}, ValueError, "format='tflite'"),
        (tiny, "m.pb", {}, ValueError, "m.pb.*no ending for saved_model, .tflite for litert, .onnx for onnx"),
        (tiny, "m", {"format": "litert"}, ValueError, "must end in .tflite"),
        (tiny, "m.onnx", {"format": "saved_model"}, ValueError, "must be a folder"),
        (tiny, "m.tflite", {"quantize": "int4"}, ValueError, "quantize='int4'.*Did you mean 'int8'"),
        (tiny, "m.tflite", {"tolerance": -1}, ValueError, "tolerance=-1"),
        (tiny, "m.tflite", {"tolerance": "high"}, TypeError, "tolerance='high'"),
        (tiny, "m.tflite", {"seed": -1}, ValueError, "seed=-1"),
        (tiny, "m.tflite", {"images": np.zeros((4, 8, 8))}, ValueError, r"\(n, 8, 8, 1\).*\(4, 8, 8\)"),
        (tiny, "m.tflite", {"images": np.zeros((0, 8, 8, 1))}, ValueError, "n at least 1"),
        (tiny, "m.tflite", {"images": np.full((1, 8, 8, 1), "a")}, ValueError, "must be numbers"),
        (lambda: "digits.keras", "m.tflite", {}, TypeError, "model=str"),
        (Own, "m.tflite", {}, ValueError, "functional.*a Own; make one"),
        (distiller, "m.tflite", {}, ValueError, "a Distiller; export its `student`"),
        (sequence, "m.tflite", {}, ValueError, "models of sequences are not exported"),
        (several_outputs, "m.tflite", {}, ValueError, "one output. Received: 2"),
        (open_size, "m.tflite", {}, ValueError, r"images of one size. Received: input shape \(None, None, None, 1\)"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, (str, dict)) else getattr(value, "__name__", None),
)  # fmt: skip
def test_wrong_calls_write_nothing(made, path, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        keras_vix.export(made(), tmp_path / path, **options)
    assert left(tmp_path) == []


def test_a_folder_at_the_path_of_a_file(tmp_path):
    (tmp_path / "m.tflite").mkdir()
    with pytest.raises(ValueError, match="must be a file"):
        keras_vix.export(tiny(), tmp_path / "m.tflite")


@pytest.mark.parametrize(("package", "path"), [("tf2onnx", "m.onnx"), ("onnxruntime", "m.onnx"), ("tensorflow", "m.tflite")])
def test_a_missing_package_is_named(package, path, tmp_path, monkeypatch):
    model = tiny()
    for name in ("onnx", "tf2onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, formats)  # any module: the next line takes one away
    monkeypatch.setitem(sys.modules, package, None)
    install = package if package == "tensorflow" else r"'keras-vix\[onnx\]'"
    with pytest.raises(ImportError, match=f"needs {package}.*pip install {install}"):
        keras_vix.export(model, tmp_path / path)
    assert left(tmp_path) == []


# ---- the command and the page --------------------------------------------------------------------------------------


def command():
    """`keras-vix export` as an application of its own."""
    import typer

    spec = importlib.util.spec_from_file_location("keras_vix.cli.export", ROOT / "keras_vix/cli/export.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    app = typer.Typer()
    app.command("export")(made.export_command)
    return app


@pytest.mark.long
@here
def test_the_command(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    tiny().save("model.keras")

    def call(*words):
        return CliRunner().invoke(command(), ["model.keras", *words])

    done = call("model.tflite", "--quantize", "int8", "--dataset", "digits", "--limit", "20", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0 and (tmp_path / "model.tflite").stat().st_size == found["bytes"]
    assert (found["images"], found["quantize"], found["format"]) == (28, "int8", "litert")
    done = call("other.tflite", "--quantize", "int8", "--tolerance", "1e-9")
    assert done.exit_code == 1 and "tolerance=1e-09" in done.stderr and not (tmp_path / "other.tflite").exists()
    for words, said in (
        (("model.pb",), "must end as its format does"),
        (("model.onnx", "--images", "nowhere"), "--images nowhere"),
        (("model.onnx", "--images", ".", "--dataset", "digits"), "one of --images and --dataset"),
    ):
        done = call(*words)
        assert isinstance(done.exception, ValueError) and said in str(done.exception)


@pytest.mark.long
@here
def test_the_page_runs_as_it_stands(tmp_path):
    """Every block of the page, one after the other; without the last where ONNX is not installed."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    if missing("onnx"):
        blocks = [blocks[0], *blocks[2:4]]
    if not importlib.util.find_spec("ai_edge_litert"):
        blocks[-1 if missing("onnx") else -2] = blocks[-1 if missing("onnx") else -2].replace("from ai_edge_litert.interpreter import Interpreter", "Interpreter = tf.lite.Interpreter")
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=200, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    printed = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(printed) == (2 if missing("onnx") else 3) and len(set(printed)) == 1  # the same digits from each


@pytest.mark.long
def test_a_copy_has_the_weights_and_no_more():
    model = keras_vix.build("performer_softmax", dataset="digits", **TINY)
    made = copy(model)
    assert made is not model and not made.compiled and made.name == model.name
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), made.get_weights(), strict=True))
    assert model.compiled and isinstance(Exported("a", "litert", None, 1, 0.0, 1.0, 1.0, 8, (1,), "x 1").notes, tuple)
    kinds = {weight.dtype for weight in model.weights}
    assert {weight.dtype for weight in quantized(model).weights} == kinds | {"int8"} != kinds
