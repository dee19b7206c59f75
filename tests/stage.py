"""What tests of faults share: the stand-in for the measuring child, and the command line run with it in a process."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import keras_vix
from keras_vix.bench.unit import Unit

STAND_IN = Path(__file__).with_name("stand_in.py")
# Ctrl-C is heeded, whatever the shell that started the tests has said; the suite is the stand-in's.
MAIN = """
import json, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_vix import cli
from keras_vix.bench import preflight, report, runner, suites
import keras_vix
from keras_vix.bench.unit import Unit
out, command, units, words, pages = json.loads(sys.argv[1])
runner.run.__kwdefaults__["command"] = command
suite = suites.Suite("faults", "Faults", tuple(Unit(**unit) for unit in units))
if pages:
    import seaborn
else:
    report.write = lambda *_: []
cli.bench.choose = lambda *_, **__: suite
preflight.check = lambda units: [None] * len(units)
print("ready", flush=True)
sys.exit(cli.main(["bench", "--out", out, *words]))
"""


class Stage:
    """A results folder, the stand-in, and what it has logged."""

    def __init__(self, folder: Path):
        self.folder, self.out, self.log = folder, folder / "out", folder / "log"
        self.command = [sys.executable, str(STAND_IN)]

    def units(self, count: int, preset: str = "fine", **options) -> list[Unit]:
        """Units of one preset at so many seeds."""
        return [Unit(preset, seed=seed, overrides=options) for seed in range(count)]

    def words(self, kind: str) -> Counter:
        """How often the stand-in began, or ended, each unit."""
        lines = self.log.read_text().split("\n") if self.log.exists() else []
        return Counter(line.split()[1] for line in lines if line.startswith(f"{kind} "))

    def bench(self, units, *words: str, pages: bool = False, out: Path | None = None, **options) -> subprocess.Popen:
        """`keras-vix bench` with the stand-in, in a process of its own that leads a group."""
        given = json.dumps([str(out or self.out), self.command, [unit.to_dict() for unit in units], words, pages])
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, **options,
        )


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A fresh stage; JAX, where it is there, starts in half the time of TensorFlow."""
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PYTHONPATH", str(Path(keras_vix.__file__).parents[1]))
    if importlib.util.find_spec("jax"):
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    return Stage(tmp_path)


def leftovers(out: Path) -> list[str]:
    """Temporary files, marks and results on their way in a results folder."""
    return sorted(
        str(path.relative_to(out)) for path in out.rglob("*")
        if path.name.endswith((".tmp", ".started")) or (path.name.startswith("result-") and path.suffix == ".json")
    )


def kill(process: subprocess.Popen) -> None:
    """End a process at once, as the kernel does when memory runs out: the process, not its children."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
