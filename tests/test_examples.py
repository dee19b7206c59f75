"""The examples run as they stand, and the README shows the first of them to the letter."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

from .presets import sampled

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", sampled(EXAMPLES, sample=[]), ids=lambda p: p.stem)
def test_an_example_runs(path, tmp_path):
    script = tmp_path / path.name
    script.write_text(path.read_text().replace("epochs=10", "epochs=2"))
    done = subprocess.run([sys.executable, script, "2"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "accuracy" in done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) <= 40


@pytest.mark.long
@pytest.mark.alone
def test_copying_and_reversing_are_learnt():
    """On sequences that training has not seen, by greedy decoding."""
    spec = importlib.util.spec_from_file_location("copy_and_reverse", ROOT / "examples/copy_and_reverse.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tokens, sequences = module.train(epochs=8)
    assert tokens > 0.99 and sequences > 0.95


def test_the_readme_shows_the_quickstart_to_the_letter():
    code = (ROOT / "examples/quickstart.py").read_text()
    assert f"```python\n{code}```" in (ROOT / "README.md").read_text()
    assert len([line for line in code.splitlines() if line]) <= 10
