"""Trains a small vision transformer and its Performer, Linformer and Nyströmformer, and draws what `docs/maps.md` shows.

`python docs/make_maps.py` takes the bundled digits; `--dataset mnist` MNIST from where TensorFlow Datasets keeps it. The trained
models stay in `runs/maps`; `--reuse` draws them again without training.
"""

import argparse
import pathlib

import keras
import numpy as np

import keras_vix
from keras_vix.data import batches
from keras_vix.interop import transfer
from keras_vix.interpret import attention_maps, on_grid, plot_attention, plot_maps, rollout
from keras_vix.zoo.count import trainable_parameters

IMAGES = pathlib.Path(__file__).parent / "images"
MODELS = {
    "exact": ("transformer_global", {}),
    "Performer": ("performer_softmax", {"m": 64}),
    "Linformer": ("linformer", {"m": 16}),
    "Nyströmformer": ("nystromformer", {"m": 16}),
}
# Kernels in the place of exact attention, with its weights.
UNTRAINED = {
    "Performer 16": ("performer_softmax", {"m": 16}),
    "Performer 256": ("performer_softmax", {"m": 256}),
    "Nyström 8": ("nystromformer", {"m": 8}),
    "Nyström 32": ("nystromformer", {"m": 32}),
    "Linformer 32": ("linformer", {"m": 32, "start": "pool"}),
}
SIZES = dict(prefix=1, pool="first", dim=48, depth=3, num_heads=4, mlp_dim=96, dropout=0.0)
# What the data sets ask for: options of the models, epochs, images of a batch, training images.
SETS = {
    "digits": (dict(), 16, 64, None),
    "mnist": (dict(patch=2, position_std=0.02), 4, 64, 12_000),
}
SHOWN = (0, 2, 4, 7, 8, 9)  # classes
UNIT = "attention, as a multiple of the mean"


def main() -> None:
    """Train what is not there, print a table of accuracies, write the pictures."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--dataset", default="digits", choices=SETS)
    options.add_argument("--epochs", type=int, help="default 16 for digits, 4 for mnist")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--models", type=pathlib.Path, default=pathlib.Path("runs/maps"))
    options.add_argument("--reuse", action="store_true", help="draw the models that are there")
    asked = options.parse_args()
    data = keras_vix.data.load(asked.dataset, validation=0.0, limit=SETS[asked.dataset][3], seed=asked.seed)
    print("| kernel | accuracy on the test images | trained parameters |\n|:---|---:|---:|", flush=True)
    models = {}
    for name in MODELS:
        models[name] = model = trained(name, data, asked)
        accuracy = model.evaluate(*data.test, batch_size=256, verbose=0, return_dict=True)["accuracy"]
        print(f"| {name} | {accuracy:.4f} | {trainable_parameters(model):,} |", flush=True)
    draw(asked.dataset, models, *examples(models, data.test))


def trained(name: str, data, asked) -> keras.Model:
    """One model, trained now or from its file."""
    path = asked.models / f"{asked.dataset}-{name.replace('ö', 'o').lower()}-{asked.seed}.keras"
    if asked.reuse:
        return keras_vix.load(path)
    preset, own = MODELS[name]
    more, epochs, batch, _ = SETS[asked.dataset]
    epochs = asked.epochs or epochs
    feed = batches(data.train, batch, shuffle=True, augment="digits", seed=asked.seed)
    keras.utils.set_random_seed(asked.seed)
    model = keras_vix.build(
        preset, dataset=asked.dataset, **SIZES, **more, **own, seed=asked.seed, steps=len(feed) * epochs, jit_compile=False
    )
    model.fit(feed, epochs=epochs, verbose=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def examples(models, test):
    """Of each class in `SHOWN` the first test image that every model tells right, and what it is."""
    x, y = np.asarray(test.x), np.asarray(test.y)
    right = np.all([model.predict(x, batch_size=256, verbose=0).argmax(1) == y for model in models.values()], axis=0)
    chosen = [int(np.flatnonzero(right & (y == label))[0]) for label in SHOWN]
    return x[chosen], [str(label) for label in y[chosen]]


def draw(dataset: str, models, images, labels) -> None:
    """Write the pictures."""
    rows, reached = {}, {}
    for name, model in models.items():
        rows[name] = multiples(on_grid(model, attention_maps(model, images).mean(1)))
        reached[name] = multiples(on_grid(model, rollout(model, images)))
    save("maps_same_weights", plot_maps(images, same_weights(models["exact"], dataset, images), labels, unit=UNIT))
    save("maps_kernels", plot_maps(images, rows, labels, unit=UNIT))
    save("maps_rollout", plot_maps(images, reached, labels, unit=UNIT))
    save("maps_heads", plot_attention(models["exact"], images[:4], labels=labels))
    save("maps_blocks", plot_attention(models["Performer"], images[:4], columns="blocks", labels=labels))


def same_weights(exact, dataset: str, images) -> dict:
    """Rows of the class token in the first block of the exact model, and of others that took its weights and learned nothing."""
    rows = {"exact": multiples(on_grid(exact, attention_maps(exact, images, 0).mean(1)))}
    for words, (preset, own) in UNTRAINED.items():
        model = keras_vix.build(preset, dataset=dataset, **SIZES, **SETS[dataset][0], **own, seed=0)
        transfer(exact, model)
        rows[words] = multiples(on_grid(model, attention_maps(model, images, 0).mean(1)))
    return rows


def multiples(maps):
    """Of the mean over the tokens of the grid, where attention is even."""
    return maps * (maps.shape[-2] * maps.shape[-1])


def save(name: str, figure) -> None:
    """As a PNG for the page."""
    figure.savefig(IMAGES / f"{name}.png", dpi=160)


if __name__ == "__main__":
    main()
