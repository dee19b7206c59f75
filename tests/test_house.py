"""The rules of the house, read off the source itself."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

import keras_vix
from keras_vix.base import Layer, arguments
from keras_vix.zoo.config import AXES, OFFERED, fields

ROOT = pathlib.Path(keras_vix.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FLOORS = {
    "_version": 0, "base": 0, "checks": 0, "loggers": 0, "facts": 0, "ops": 0, "primitives": 1, "kernels": 1, "mixers": 2, "parts": 3, "layers": 4,
    "zoo": 4, "train": 5, "data": 5, "interop": 5, "interpret": 5, "callbacks": 6, "bench": 6, "tune": 6, "cli": 7,
    "__main__": 8, "__init__": 8,
}  # fmt: skip
LAZY = {
    "tensorflow", "tensorflow_datasets", "keras_tuner", "pandas", "seaborn", "matplotlib", "sklearn", "rich", "typer", "filelock",
    "psutil", "jax", "torch", "PIL", "ray", "safetensors", "huggingface_hub", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert",
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "commands", "pty"}
FORBIDDEN_WORDS = (
    "os.system", "os.popen", "__import__", "safe_mode=False", "shell=True", "allow_pickle=True", "yaml.load(", "enable_unsafe_deserialization", "Lambda(",
)  # fmt: skip


def floor(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return FLOORS[parts[0]]


def imports(tree, path):
    """`(module, line, inside a function)` of every import; relative ones as `.floor`."""
    package = path.relative_to(ROOT).parent.parts
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno, id(node) in inner
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield node.module.split(".")[0], node.lineno, id(node) in inner
                continue
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module.split(".") if node.module else [])]
            for name in [target[0]] if target else [alias.name for alias in node.names]:
                yield "." + name, node.lineno, id(node) in inner


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_downwards_only_and_nothing_heavy(path):
    tree = ast.parse(path.read_text())
    own = path.relative_to(ROOT).with_suffix("").parts[0]
    for module, line, inside in imports(tree, path):
        where = f"{path.relative_to(ROOT)}:{line}"
        if module.startswith("."):
            name = module[1:]
            below = FLOORS.get(name, 5)  # a public name of the package itself: the front door
            assert name == own or below <= floor(path), f"{where} imports upwards: {name}"
            assert not {own, name} <= {"train", "data"} or own == name, f"{where}: train and data do not know each other"
        elif module in LAZY:
            assert inside or own == "cli", f"{where}: {module} belongs inside the function that needs it"
            assert module != "tensorflow" or own in ("data", "bench", "train", "interop"), where


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_runs_what_a_file_says(path):
    text = path.read_text()
    for word in FORBIDDEN_WORDS:
        assert word not in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"
    assert not {module for module, _, _ in imports(ast.parse(text), path)} & FORBIDDEN_MODULES


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_public_names_are_those_of_all():
    for module in (keras_vix, keras_vix.layers, keras_vix.callbacks, keras_vix.data, keras_vix.interop, keras_vix.interpret, keras_vix.train):
        for name in module.__all__:
            thing = getattr(module, name)
            assert inspect.ismodule(thing) or isinstance(thing, (str, dict)) or inspect.getdoc(thing), f"{module.__name__}.{name}"
    assert {"build", "load", "describe", "list_models", "layers", "callbacks", "data"} <= set(keras_vix.__all__)


def test_public_layers_are_registered_and_documented():
    for name in keras_vix.layers.__all__:
        layer = getattr(keras_vix.layers, name)
        assert issubclass(layer, Layer)
        doc = inspect.getdoc(layer)
        assert "->" in doc.split("\n\n")[0] or "memory O(" in doc.split("\n\n")[0], f"{name}: the first lines state the shape or cost"
        asked = set(arguments(layer))
        missing = {word for word in asked if word not in doc}
        assert not missing or "as in" in doc, f"{name} does not explain {missing}"


def test_every_option_has_one_owner_and_no_field_is_shadowed():
    owners = {}
    for axis, table in AXES.items():
        for part in table.values():
            for option in arguments(part) if part else ():
                if option not in OFFERED:
                    owners.setdefault(option, set()).add(axis)
    assert {name: axes for name, axes in owners.items() if len(axes) > 1} == {}
    assert not set(owners) & set(fields())


def test_no_argument_is_nearly_an_offered_name():
    import difflib

    for table in AXES.values():
        for part in table.values():
            for argument in arguments(part) if part else ():
                if argument not in OFFERED:
                    assert not difflib.get_close_matches(argument, OFFERED, cutoff=0.85), f"{part.__name__}({argument})"


SNIPPET = """
import sys, time, socket
def refuse(*a, **k):
    raise AssertionError("network")
socket.socket.connect = refuse
import keras
before = set(sys.modules)
start = time.perf_counter()
import keras_vix
print(time.perf_counter() - start)
print(sorted(({heavy!r} & set(sys.modules)) - before))
"""


@pytest.mark.alone
def test_importing_is_quick_quiet_and_light():
    """At most 0.3 s over `import keras`, best of three; no heavy package, no network."""
    runs = []
    for _ in range(3):
        out = subprocess.run([sys.executable, "-c", SNIPPET.format(heavy=LAZY)], capture_output=True, text=True, check=True)
        seconds, heavy = out.stdout.strip().splitlines()
        runs.append(float(seconds))
        assert heavy == "[]"
        if runs[-1] <= 0.3:
            break
    assert min(runs) <= 0.3
