"""Whatever the README and the pages tell a reader to type is typed here: code runs, commands are understood.

A page may hold, unseen by its readers, `<!-- before` + code + `-->`, which is run in front of the next block, and `<!-- not run: why -->`
over a block that needs what no test has; `<!-- needs: package -->` over one that is run where the package is installed.
"""

import configparser
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import keras_vix
from keras_vix import cli
from keras_vix.bench.store import to_json
from keras_vix.bench.unit import Unit, identity

from .page_props import lay_out
from .presets import sampled

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md", ROOT / "CONTRIBUTING.md"]
PIECE = re.compile(
    r"^<!-- before\n(?P<before>.*?)^-->$|^(?P<not_run><!-- not run: .+? -->)\n+```\w+\n.*?^```$"
    r"|^(?:<!-- needs: (?P<needs>\w+) -->\n+)?```python\n(?P<code>.*?)^```$", re.M | re.S,
)  # fmt: skip
BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.M | re.S)
NOT_RUN = {"README.md": 1, "pretrained.md": 2, "distillation.md": 1}  # blocks that need a public checkpoint
CODE = [page for page in PAGES if "```python" in page.read_text()]


def name(page: Path) -> str:
    """A page's path in the checkout."""
    return str(page.relative_to(ROOT))


def code_of(page: Path) -> tuple[str, int]:
    """All that is run of a page, in its order, and how many blocks are not."""
    parts, left = [], 0
    for found in PIECE.finditer(page.read_text()):
        left += bool(found["not_run"])
        if found["needs"] is None or importlib.util.find_spec(found["needs"]):
            parts.append(found["before"] or found["code"] or "")
    return "\n".join(parts), left


@pytest.mark.parametrize("page", sampled(CODE, name, []), ids=name)
def test_the_code_of_a_page_runs(page, tmp_path):
    code, left = code_of(page)
    assert left == NOT_RUN.get(page.name, 0)
    script, here = tmp_path / "page.py", tmp_path / "here"
    script.write_text("import keras_vix\n" + code.replace("/path/to/flowers", str(here / "flowers")))
    here.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    call = [sys.executable, str(ROOT / "tests/page_props.py"), str(script)]
    done = subprocess.run(call, cwd=here, env=environment, capture_output=True, text=True, timeout=230)
    assert done.returncode == 0, done.stderr[-3000:]


def commands() -> list[tuple[str, str]]:
    """`(page, command)` of every line that a reader types into a shell."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            lines = block.splitlines()
            typed = [line for line in lines if re.match(r"(\w+)?\$ ", line)] or lines
            found += [(name(page), re.sub(r"^(\w+)?\$ ", "", line)) for line in typed if line.strip()]
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what commands of the pages name: stored results, an experiment, a folder of images, the package."""
    for folder in ("digits", "mnist", "cpu", "gpu"):
        unit = Unit("linformer", overrides={"m": len(folder)}, seed=len(folder))
        path = tmp_path / "runs" / folder / "rows" / f"x-{unit.fingerprint}.json"
        path.parent.mkdir(parents=True)
        path.write_text(to_json(identity(unit) | {"status": "error", "message": "stopped"}))
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "benchmarks/README.md").read_text(), re.M | re.S)
    (tmp_path / "my_own.toml").write_text(toml)
    lay_out(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "keras_vix").symlink_to(ROOT / "keras_vix")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda word: word[:60])
def test_a_command_is_understood(page, command, place, capsys):
    words = shlex.split(command.replace("/path/to/flowers", str(place / "flowers")), comments=True)
    words = [word for at, word in enumerate(words) if not re.fullmatch(r"[A-Z_]+=.*", word) or any("=" not in one for one in words[:at])]
    match words:
        case ["keras-vix", "bench", *_]:
            assert cli.main([*words[1:], "--dry-run"]) == 0, capsys.readouterr().err
            assert " rows into " in capsys.readouterr().out
        case ["keras-vix", "report", *_]:
            assert cli.main(words[1:]) == 0, capsys.readouterr().err
        case ["keras-vix", "tune", *_]:
            short = ["1" if before in ("--trials", "--epochs") else word for before, word in zip(words, words[1:])]
            assert cli.main(short) == 0, capsys.readouterr().err
        case ["keras-vix", "export", model, to, *_]:
            keras_vix.build("transformer_global", dataset="digits", dim=8, depth=1, num_heads=1, mlp_dim=8).save(model)
            if to.endswith(".onnx"):
                pytest.importorskip("onnxruntime")
            assert cli.main(words[1:]) == 0, capsys.readouterr().err
        case ["keras-vix", "advise", *_]:
            assert cli.main([*words[1:], "--seconds", "0", "--dim", "16", "--num-heads", "2", "--batch-size", "1"]) == 0
        case ["keras-vix", "doctor", "--data", _]:  # which reads the whole set
            assert cli.main(["doctor", "--help"]) == 0 and "--data" in capsys.readouterr().out
        case ["keras-vix", *_]:
            assert cli.main(words[1:]) == 0, capsys.readouterr().err
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
        case ["python", script, *_] if script != "search.py":
            assert (ROOT / script).is_file()
        case ["pip", "install", what]:
            setup = configparser.ConfigParser()
            setup.read(ROOT / "setup.cfg")
            wanted = re.search(r"\[(.+)\]", what)
            assert all(extra in setup["options.extras_require"] for extra in (wanted[1].split(",") if wanted else ()))
        case ["ray", "start", *_] | ["export", *_] | ["python", "search.py"]:
            pass  # another package's, the shell's, the reader's own; tests/slow has a cluster and a chief with workers
        case _:
            pytest.fail(f"{page} says to type {command!r}, which no case here knows")


def test_the_harness_sees_what_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- before\nx = 1\n-->\n\n```python\nassert x == 2\n```\n\n<!-- not run: no y -->\n```python\ny\n```\n")
    assert code_of(page) == ("x = 1\n\nassert x == 2\n\n", 1)
