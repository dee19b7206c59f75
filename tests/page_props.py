"""What the code on the pages finds where it is tried: small sets under the names that it loads, and a `fit` that makes two steps.

Run as `python tests/page_props.py PAGE.py` in an empty folder, it puts these there and then runs the code of a page.
"""

import os
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
SETS = {"cifar10": ((32, 32, 3), 10), "mnist": ((28, 28, 1), 10), "imagenette": ((40, 40, 3), 10)}


def lay_out(here: Path) -> None:
    """Data sets as archives, a folder of images, arrays and a model, all tiny."""
    from PIL import Image

    draw = np.random.default_rng(0)
    (here / "data").mkdir()
    for name, (shape, classes) in SETS.items():
        x, y = draw.integers(0, 256, (60, *shape), "uint8"), np.arange(60) % classes
        np.savez(here / "data" / f"{name}.npz", x=x, y=y.astype("int32"), split=np.repeat([0, 1], [40, 20]).astype("uint8"))
    for kind in ("daisy", "rose"):
        (here / "flowers" / kind).mkdir(parents=True)
        for place in range(12):
            Image.fromarray(draw.integers(0, 256, (40, 50, 3), "uint8")).save(here / "flowers" / kind / f"{place}.png")
    for kind in ("one", "two"):
        (here / "photos" / kind).mkdir(parents=True)
        for place in range(12):
            Image.fromarray(draw.integers(0, 256, (8, 8), "uint8")).save(here / "photos" / kind / f"{place}.png")
    stored = here / "runs/digits/results.json"
    stored.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "benchmarks/results/digits/results.json", stored)
    x, y = draw.integers(0, 256, (20, 16, 16, 3), "uint8"), np.arange(20) % 2
    np.savez(here / "mine.npz", x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])


def shorten() -> None:
    """Two steps are enough to see that code runs; `fit(...)` stands for a call that the reader fills in."""
    import keras

    real = keras.Model.fit

    def fit(self, x=None, *args, **settings):
        if x is Ellipsis:
            return None
        settings |= {"epochs": 1, "steps_per_epoch": 2 if isinstance(x, np.ndarray) else 1}
        return real(self, x, *args, **settings)

    keras.Model.fit = fit

    import keras_vix

    advise = keras_vix.advise
    keras_vix.advise = lambda *sizes, **settings: advise(*sizes, **settings | {"dim": 16, "num_heads": 2, "seconds": 0.0, "batch_size": 1})


if __name__ == "__main__":
    page = Path(sys.argv[1]).resolve()
    lay_out(Path.cwd())
    os.environ["TFDS_DATA_DIR"] = str(Path.cwd() / "data")
    shorten()
    runpy.run_path(str(page), run_name="__main__")
