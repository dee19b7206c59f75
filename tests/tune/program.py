"""What a process of its own runs: a search of so many trials, which says how much memory it holds, or waits to be killed.

python -m tests.tune.program FOLDER TRIALS [--wait TRIAL] [--memory FILE] [--plain]
"""

import argparse
import time
from pathlib import Path

import keras

from keras_vix import tune
from keras_vix.bench.memory import resident
from tests.tune.small import SPACE, WORDS, digits


class Look(keras.callbacks.Callback):
    """Writes the memory of the process when a training begins; sleeps behind the first epoch of a trial."""

    def __init__(self, folder, wait, memory):
        super().__init__()
        self.folder, self.wait, self.memory = folder, wait, memory

    def on_train_begin(self, logs=None):
        if self.memory:
            with open(self.memory, "a") as file:
                file.write(f"{resident()}\n")

    def on_epoch_end(self, epoch, logs=None):
        if self.wait is not None and (self.folder / f"trial_{self.wait}").exists():
            (self.folder / "waiting").touch()
            time.sleep(3600)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("trials", type=int)
    parser.add_argument("--wait")
    parser.add_argument("--memory")
    parser.add_argument("--plain", action="store_true", help="Keras Tuner's own tuner, for comparison")
    given = parser.parse_args()
    look = Look(given.folder, given.wait, given.memory)
    if given.plain:
        plain(given, look)
        return
    tune.search("performer_softmax", digits(), SPACE, max_trials=given.trials, directory=given.folder, callbacks=[look], **WORDS)


def plain(given, look):
    """The same trials by `keras_tuner.RandomSearch` as it stands."""
    import keras_tuner

    data = digits()
    hypermodel = tune.hypermodel("performer_softmax", SPACE, dataset="digits", images=len(data.train.y), **WORDS)
    tuner = keras_tuner.RandomSearch(hypermodel, "val_accuracy", given.trials, directory=given.folder, project_name="plain")
    tuner.search(data, callbacks=[look], verbose=0)


if __name__ == "__main__":
    main()
