"""A program that stands in for the measuring child: it does what the preset's name says, without Keras."""

import json
import sys
from pathlib import Path

import pytest

from keras_vix.bench.unit import Unit, identity
from tests.stage import stage  # noqa: F401

SCRIPT = '''
import json, os, signal, sys, time

unit = json.load(sys.stdin)
path, folder = sys.argv[-1], os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "calls"), "a") as calls:
    calls.write(unit["preset"] + "\\n")

def say(**event):
    print(json.dumps(event), flush=True)

what = unit["preset"]
print("a library says hello")
say(event="started", epochs=2, steps=3)
if what == "crash":
    print("segments everywhere", file=sys.stderr)
    os._exit(3)
if what == "shot":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "slow":
    time.sleep(60)
if what == "interrupt":
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(60)
if what == "silent":
    sys.exit(0)
rows = json.load(open(os.path.join(folder, "rows.json")))
say(event="epoch", epoch=1, epochs=2, val_accuracy=None if what == "diverge" else 0.5, epoch_seconds=0.1, elapsed=0.1)
with open(path, "w") as file:
    json.dump(rows[what], file)
say(event="done", status=rows[what]["status"])
if what == "late":
    os._exit(9)
'''


class Fake:
    """The stand-in: the command that the runner is to start, and which units it was started for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.script = folder / "fake.py"
        self.script.write_text(SCRIPT)
        self.rows: dict[str, dict] = {}

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.script)]

    @property
    def calls(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().split() if calls.exists() else []

    def unit(self, preset: str, status: str = "done", **fields: object) -> Unit:
        """A unit that the stand-in knows a row for."""
        unit = Unit(preset)
        self.rows[preset] = identity(unit) | {"status": status, "message": ""} | fields
        (self.folder / "rows.json").write_text(json.dumps(self.rows))
        return unit


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A fresh stand-in."""
    folder = tmp_path / "fake"
    folder.mkdir()
    return Fake(folder)
