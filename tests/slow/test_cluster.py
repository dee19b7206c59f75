"""Workers and nodes of a Ray cluster that die, a request to stop, and a real unit."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "bench" / "cluster_program.py"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", ["two_nodes:worker", "two_nodes:node", "always", "stopped", "real"])
def test_on_a_cluster_of_this_machine(case, tmp_path):
    command = [sys.executable, str(PROGRAM), case, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=390)
    assert done.returncode == 0 and done.stdout.strip().endswith("fine"), done.stderr[-4000:]
