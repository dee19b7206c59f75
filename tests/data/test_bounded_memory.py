"""How much a process grows while it goes through images that are decoded a batch at a time, measured in a process of its own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.data.test_preparing import ROOT, environment

MEMORY = """
import json, sys
import numpy as np
from keras_vix.data import batches, load

source, folder, size, stream, cache = json.loads(sys.argv[1])
if source == "patches":
    from tests.data import builders  # registers the set
data = load(source, data_dir=folder, image_size=size, validation=0, stream=stream, cache=cache or False)
fed = batches(data.train, 64, shuffle=True, facts=data.facts)
fed[0]


def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before, total = status("VmRSS:"), 0
for index in range(len(fed)):
    x, y = fed[index]
    total += len(y)
fed.on_epoch_end()
print(json.dumps({"grown": status("VmHWM:") - before, "decoded": int(np.prod(data.train.x.shape, dtype=np.int64)), "images": total,
                  "shape": data.train.x.shape, "private": status("RssAnon:")}))
"""


def grown(source, folder, size=None, stream=True, cache=None, **changes):
    """How much a process grows while it goes through all batches, and what all images take decoded."""
    command = [sys.executable, "-c", MEMORY, json.dumps([str(source), str(folder), size, stream, cache and str(cache)])]
    done = subprocess.run(command, env=environment(**changes), cwd=ROOT, capture_output=True, text=True, timeout=230)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    return found


BOUND = 64 * 2**20  # bytes; a batch of 64 images of 128 x 128 in float32 has 12.6 MB, and three are there at once


NO_PEAK = pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the system keeps no peak that can begin anew")


@pytest.mark.long
@NO_PEAK
def test_memory_is_that_of_some_batches(tmp_path):
    """2,400 of 3,000 images of 128 x 128 take 118 MB decoded."""
    rng = np.random.default_rng(0)
    for number in range(3000):
        place = tmp_path / "pets" / "train" / f"class{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((140, 128)).save(place / f"{number}.jpg")
    found = grown(tmp_path / "pets", tmp_path, 128)
    assert found["images"] == 2400 and found["shape"] == [2400, 128, 128, 3]
    assert found["grown"] < BOUND < found["decoded"]
