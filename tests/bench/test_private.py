"""What a benchmark writes tells no secret of whom ran it, and where the data is there it asks nobody for anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_vix
from keras_vix.bench import child, process, report, store
from keras_vix.bench.environment import discreet
from keras_vix.bench.unit import Unit

ROOT = Path(keras_vix.__file__).parents[1]
TOKENS = {"HF_TOKEN": "hf_0123456789abcdef", "KAGGLE_KEY": "89abcdef01234567", "WANDB_API_KEY": "fedcba9876543210"}
# Runs at the start of each Python process: what would reach another machine is noted, and refused.
WITNESS = '''
import os, socket

def note(what):
    with open(os.environ["WITNESS"], "a") as file:
        file.write(what + "\\n")

def refuse(name):
    def ask(*words, **options):
        address = words[1] if name.startswith("connect") else words[0]
        if isinstance(address, tuple) or not name.startswith("connect"):
            note(f"asked {name} {address!r}")
            raise OSError("no network here")
        return kept[name](*words, **options)
    return ask

kept = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
for name in kept:
    setattr(socket.socket, name, refuse(name))
for name in ("getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse(name))
note(f"began {os.getpid()}")
'''
SUITE = """
epochs = 1
limit = 60
[set]
depth = 1
dim = 16
num_heads = 2
[[rows]]
preset = "transformer_global"
dataset = "digits"
[[rows]]
preset = "transformer_global"
dataset = "{mine}"
input_shape = [8, 8, 1]
"""


def texts(folder):
    """Every file below a folder that a run has written, as bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A real run of two small rows, in a home of its own, with secrets around it: its process, its folder, its witness."""
    home = tmp_path_factory.mktemp("home_of_somebody")
    work = home / "work"
    (work / "start").mkdir(parents=True)
    (work / "start" / "sitecustomize.py").write_text(WITNESS)
    digits = keras_vix.data.load("digits", limit=60)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8, 1), np.uint8), np.arange(60) % 3
    np.savez(work / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (work / "suite.toml").write_text(SUITE.format(mine=work / "mine.npz"))
    assert digits.train.x.shape[1:] == (8, 8, 1)
    own = {
        "HOME": str(home), "WITNESS": str(home / "witness"), "PYTHONPATH": os.pathsep.join([str(work / "start"), str(ROOT)]),
        "TFDS_DATA_DIR": str(home / "data"),
    }
    words = [sys.executable, "-m", "keras_vix", "bench", str(work / "suite.toml"), "--out", str(work / "out")]
    finished = subprocess.run(words, env=os.environ | TOKENS | own, capture_output=True, text=True, cwd=work, timeout=500)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished, work / "out", (home / "witness").read_text().splitlines()


@pytest.mark.long
def test_a_run_asks_nobody_not_even_in_its_children(done):
    _, _, witness = done
    assert sum(line.startswith("began") for line in witness) >= 3  # the runner and a child for each row
    assert [line for line in witness if not line.startswith("began")] == []


@pytest.mark.long
def test_what_a_run_writes_has_neither_secrets_nor_the_home_folder(done):
    finished, out, _ = done
    found = texts(out)
    home = str(out.parents[1])
    assert len(found) > 10 and {path.suffix for path in found} >= {".json", ".csv", ".md", ".tex", ".html", ".png", ".svg"}
    for secret in TOKENS.values():
        assert not [path for path, content in found.items() if secret.encode() in content]
        assert secret not in finished.stdout + finished.stderr
    assert not [path for path, content in found.items() if home.encode() in content]
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert sorted(row["dataset"] for row in rows) == ["digits", "~/work/mine.npz"]
    assert all(row["unit"]["dataset"] == row["dataset"] for row in rows)


# ---- rows that fail ------------------------------------------------------------------------------------------------

TELLING = """
import json, os, sys
json.load(sys.stdin)
print("x" * 3000, *(f"{name}={value}" for name, value in os.environ.items()), sep="\\n", file=sys.stderr)
print("padding" * 200 + os.environ["HF_TOKEN"] + "y" * 100, *(os.environ[name] for name in ("KAGGLE_KEY", "HOME")), file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def secrets(monkeypatch, tmp_path):
    """Secrets in the environment, and a home folder that is known by its name."""
    for name, value in TOKENS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home_of_somebody"))
    return [*TOKENS.values(), str(tmp_path / "home_of_somebody")]


def test_a_child_that_prints_its_environment_leaves_no_secret_in_a_report(secrets, tmp_path):
    (tmp_path / "child.py").write_text(TELLING)
    row = process.attempt(Unit("vit"), command=[sys.executable, str(tmp_path / "child.py")])
    assert row["status"] == "error" and "***" in row["log"] and "~" in row["log"]
    stored(row, secrets, tmp_path / "out")


def test_an_exception_that_tells_a_secret_leaves_none_in_a_report(secrets, tmp_path, monkeypatch):
    def fail(*_):
        raise PermissionError(f"no entry for {' '.join(secrets)}")

    monkeypatch.setattr(child, "measure", fail)
    row = child.row_of(Unit("vit", dataset=f"{secrets[-1]}/images", overrides={"note": secrets[0]}), lambda event: None)
    assert row["message"] == "PermissionError: no entry for *** *** *** ~" and row["dataset"] == "~/images"
    stored(row | {"note": {"deep": [secrets[1], (secrets[2],)]}}, secrets, tmp_path / "out")


def stored(row, secrets, out):
    """A row is stored, and its report has none of the secrets in any form."""
    store.write(store.path_of(out, "vit", row["fingerprint"]), row)
    assert report.write(out)
    found = texts(out)
    assert {path.suffix for path in found} >= {".json", ".csv", ".md", ".tex", ".html"}
    for secret in secrets:
        assert not [path for path, content in found.items() if secret.encode() in content]


@pytest.mark.parametrize(
    "name, value, hidden",
    [
        ("MY_SECRET", "0123456789", True), ("DB_PASSWORD", "0123456789", True), ("AWS_ACCESS_KEY_ID", "0123456789", True),
        ("hf_token", "0123456789", True), ("HTTP_AUTH", "0123456789", True), ("GIT_AUTHOR_NAME", "0123456789", False),
        ("TOKENIZERS_PARALLELISM", "false", False), ("EDITOR", "0123456789", False),
    ],
)
def test_a_variable_that_is_named_like_a_secret_is_one(name, value, hidden, monkeypatch):
    monkeypatch.setenv(name, value)
    assert discreet(f"it is {value}.") == ("it is ***." if hidden else f"it is {value}.")
