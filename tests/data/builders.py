"""A set of TensorFlow Datasets written here, whose images are generated, or come from a server on this machine."""

import os
import time

import numpy as np
import tensorflow_datasets as tfds

COUNT, SIDE = int(os.environ.get("PATCHES_COUNT", 40)), int(os.environ.get("PATCHES_SIDE", 8))
URL = os.environ.get("PATCHES_URL")


class Patches(tfds.core.GeneratorBasedBuilder):
    """Grey images of one level; with PATCHES_URL the levels are what a server sends."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        shape = (SIDE, SIDE, 3)
        features = {"image": tfds.features.Image(shape=shape, encoding_format="jpeg"), "label": tfds.features.ClassLabel(num_classes=4)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), description="Patches.")

    def _split_generators(self, dl_manager):
        path = dl_manager.download(URL) if URL else None
        return {"train": self._generate_examples(path, COUNT), "test": self._generate_examples(path, COUNT // 4)}

    def _generate_examples(self, path, count):
        levels = path.read_bytes() if path else bytes(k % 251 for k in range(count))
        rng = np.random.default_rng(0)
        time.sleep(float(os.environ.get("PATCHES_PAUSE", 0)))
        for k in range(count):
            noise = rng.integers(0, 5, (SIDE, SIDE, 3), np.uint8)
            yield k, {"image": np.clip(noise + levels[k % len(levels)], 0, 255).astype(np.uint8), "label": k % 4}


def main(folder, times):
    """Ask for the set in that many folders, one after the other; several processes do so at once."""
    from keras_vix.data import load

    for number in range(int(times)):
        data = load("patches", data_dir=os.path.join(folder, str(number)), validation=0)
        print("=", len(data.train.y), len(data.test.y), int(data.train.x.astype(int).sum()), flush=True)
