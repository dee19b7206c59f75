"""Files that every later release must load: `python -m tests.golden` writes those of this one that are not there yet.

A part's file is a model of that part alone, as `model.save` writes it, packed: HDF5's tables are mostly zeros. Beside it are its inputs,
its outputs, and the version that wrote both. A released file is never written again; `--again` is for one that no release has.
"""

import argparse
import pathlib
import zipfile

import keras
import numpy as np

import keras_vix
from keras_vix.zoo import configure

from . import laws
from .presets import shallow
from .rows import DROPOUT, ROWS

FOLDER = pathlib.Path(__file__).parent / "data" / "golden"
LIMIT = 60_000
# One of each family that fits, narrow as they are here
MODELS = (
    "transformer_local", "performer_softmax", "linformer", "nystromformer", "vit", "cvt", "pin", "vit_ti16", "r_ti16", "sl_vit",
    "deit_ti_distilled", "cait_xxs24", "binary_deit_s",
)  # fmt: skip


def write(name: str, make, arrays, folder: pathlib.Path) -> None:
    """One model off its start, in a file, and what it makes of `arrays`."""
    keras.utils.set_random_seed(7)
    model = make()
    unsettle(model)
    path = folder / f"{name}.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    pack(path)
    outputs = keras.tree.flatten(model(laws.feed(arrays), training=False))
    values = {f"in_{place}": x for place, x in enumerate(arrays)}
    values |= {f"out_{place}": keras.ops.convert_to_numpy(x) for place, x in enumerate(outputs)}
    np.savez_compressed(path.with_suffix(".npz"), version=keras_vix.__version__, keras=keras.__version__, **values)


def unsettle(model) -> None:
    """Move every weight off its start: those that train, and the running means and variances."""
    laws.disturb(model)
    rng = np.random.default_rng(4)
    for weight in model.non_trainable_weights:
        if "moving_" in weight.path:
            weight.assign(keras.ops.convert_to_numpy(weight) + rng.uniform(0.1, 0.3, weight.shape).astype("float32"))


def pack(path: pathlib.Path) -> None:
    """Deflate the members of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for info, content in members:
            archive.writestr(zipfile.ZipInfo(info.filename, info.date_time), content, zipfile.ZIP_DEFLATED)


def recipes() -> dict:
    """How each file of this release is made, by its name: a function that gives the model, and its inputs."""
    found = {row.id.replace(":", ".").replace("/", "-"): (row, laws.inputs(row)) for row in (*ROWS, *DROPOUT)}
    parts = {name: (lambda row=row, arrays=arrays: laws.as_model(row.make(), arrays), arrays) for name, (row, arrays) in found.items()}
    images = [np.random.default_rng(0).uniform(0, 255, (laws.BATCH, 8, 8, 1)).astype("float32")]
    models = {f"model.{name}": (lambda name=name: whole(name), images) for name in MODELS}
    return parts | models


def whole(name: str) -> keras.Model:
    """A preset of one block, eight channels wide where it begins."""
    config = configure(name, dataset="digits")
    dim = tuple(8 * 2**stage for stage in range(len(config.dim)))
    wide = {"mlp_dim": tuple(2 * width for width in dim)} if config.mlp_dim else {}
    return keras_vix.build(name, dataset="digits", seed=1, depth=shallow(name, "digits"), dim=dim, num_heads=(2,) * len(dim), **wide)


def main(words=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", nargs="*", default=[], metavar="NAME", help="files to write though they are there")
    again = parser.parse_args(words).again
    folder = FOLDER / keras_vix.__version__
    for name, (make, arrays) in recipes().items():
        if name in again or not any(FOLDER.glob(f"*/{name}.keras")):
            write(name, make, arrays, folder)
            print(folder / f"{name}.keras", (folder / f"{name}.keras").stat().st_size)


if __name__ == "__main__":
    main()
