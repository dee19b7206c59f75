"""What a fresh process makes of deterministic units: for each its digest of the weights and its figures without times."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from keras_vix.bench import child, measure, unit

measure.inference_figures = lambda model, recipe: {}  # minutes of repeated passes that move no weight
for words in json.load(sys.stdin):
    row = child.measure(unit.Unit(**words))
    figures = {key: row[key] for key in ("weights_sha256", "history", "test_ce", "confusion", "kernel_error", "deterministic")}
    print("ROW", json.dumps(figures), flush=True)
"""


def rows(units, environment=None):
    """One list of figures for each unit, from a process of its own."""
    words = json.dumps([one.to_dict() for one in units])
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=words, capture_output=True, text=True, env=environment, timeout=220
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return [json.loads(line[4:]) for line in run.stdout.splitlines() if line.startswith("ROW ")]
