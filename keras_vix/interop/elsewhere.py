"""An export made by a process of its own on the TensorFlow backend, for models of the other backends."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import keras
import numpy as np

from .exported import ExportError

MODEL, BATCHES, REQUEST, OUTPUTS, ANSWER = "model.keras", "batches.npz", "request.json", "outputs.npz", "answer.json"
ROOT = str(pathlib.Path(__file__).resolve().parents[2])


def make(model: keras.Model, path: pathlib.Path, name: str, quantize: str | None, batches: list[np.ndarray]) -> dict[str, Any]:
    """As `formats.make`, in a process that has the TensorFlow backend and no accelerator.

    Raises:
        ExportError: it failed; with the last line that it said.
    """
    with tempfile.TemporaryDirectory(prefix="keras-vix-") as made:
        folder = pathlib.Path(made)
        model.save(folder / MODEL)
        np.savez(folder / BATCHES, *batches)
        request = {"path": str(path.absolute()), "name": name, "quantize": quantize}
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        paths = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
        own = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": paths}
        call = f"import sys, pathlib; from {__name__} import work; work(pathlib.Path(sys.argv[1]))"
        words = [sys.executable, "-P", "-c", call, str(folder)]
        done = subprocess.run(words, env=os.environ | own, capture_output=True, text=True, errors="replace")
        if done.returncode or not (folder / ANSWER).exists():
            said = (done.stderr.strip() or "nothing").splitlines()[-1]
            raise ExportError(f"The process that exports on the TensorFlow backend ended with {done.returncode}. It said: {said}")
        answer = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        with np.load(folder / OUTPUTS, allow_pickle=False) as outputs:
            answer["outputs"] = [outputs[key] for key in outputs.files]
    return answer | {"notes": tuple(answer["notes"])}


def work(folder: pathlib.Path) -> None:
    """Answer the request of `make` in a folder."""
    from ..train import load
    from . import formats

    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    with np.load(folder / BATCHES, allow_pickle=False) as stored:
        batches = [stored[key] for key in stored.files]
    model = load(folder / MODEL, compile=False)
    answer = formats.make(model, pathlib.Path(request["path"]), request["name"], request["quantize"], batches)
    np.savez(folder / OUTPUTS, *answer.pop("outputs"))
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
