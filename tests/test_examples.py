"""The examples run as they stand, and the README shows the first of them to the letter."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_runs(path, tmp_path):
    script = tmp_path / path.name
    script.write_text(path.read_text().replace("epochs=10", "epochs=2"))
    done = subprocess.run([sys.executable, script, "2"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "accuracy" in done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) <= 40


def test_the_readme_shows_the_quickstart_to_the_letter():
    code = (ROOT / "examples/quickstart.py").read_text()
    assert f"```python\n{code}```" in (ROOT / "README.md").read_text()
    assert len([line for line in code.splitlines() if line]) <= 10
