"""Trained weights that units leave for others of the same folder, and the starts that are made of them.

The runner names the folder to its children in `KERAS_VIX_WEIGHTS`; without it nothing is kept.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from . import store
from .unit import Unit

FOLDER = "KERAS_VIX_WEIGHTS"
KEEP = "KERAS_VIX_KEEP"  # 0: nobody starts from this unit
UNIT = "keras_vix_unit"  # the attribute of a file that says whose weights it holds


def path_of(folder: Path, fingerprint: str) -> Path:
    """Where the weights of a unit lie: a file that `load_weights` of a model of its kind reads."""
    return folder / f"{fingerprint}.weights.h5"


def keep(unit: Unit, model: Any) -> None:
    """Leave the weights of a trained model in the folder that the environment names, if it names one.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = os.environ.get(FOLDER)
    if not folder or os.environ.get(KEEP) == "0":
        return
    import h5py

    with tempfile.TemporaryDirectory(prefix="keras_vix-") as place:
        path = path_of(Path(place), unit.fingerprint)
        model.save_weights(path)
        with h5py.File(path, "a") as file:
            file.attrs[UNIT] = json.dumps(unit.to_dict())
        store.write_bytes(path_of(Path(folder), unit.fingerprint), path.read_bytes())


def begin(unit: Unit, model: Any, facts: Any) -> dict[str, Any]:
    """Give a new model the weights that its unit starts from; both are for images of these facts.

    Returns:
        For the row: `transfer`, how many weights were copied, are new and were skipped; empty for a unit of its own start.

    Raises:
        ValueError: there are no such weights, or none of them fits.
    """
    if unit.start is None:
        return {}
    from ..interop import transfer

    return {"transfer": transfer(source(unit.start, facts), model).counts()}


def source(fingerprint: str, facts: Any) -> Any:
    """The trained model, for images of these facts, of a unit that left its weights.

    Raises:
        ValueError: its file is missing, or is none of these.
    """
    folder = os.environ.get(FOLDER)
    path = path_of(Path(folder or "."), fingerprint)
    if not folder or not path.is_file():
        raise ValueError(
            f"A start needs the trained weights of another unit. Received: start={fingerprint!r}, and no such file in "
            f"{FOLDER}={folder!r}; run that unit first."
        )
    import h5py

    from .. import build

    try:
        with h5py.File(path) as file:
            unit = Unit(**json.loads(file.attrs[UNIT]))
        model = build(unit.preset, dataset=facts, profile=unit.profile, compile=False, **unit.of_model)
        model.load_weights(path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"A start needs a file of trained weights. Received: {str(path)!r}: {error}.") from None
    return model
