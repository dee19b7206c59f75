"""Does a teacher help? A small vision transformer on few digits, with and without a convolutional teacher.

`python benchmarks/distillation.py` prints the table of docs/distillation.md. Both students of a seed start from the same weights
and see the same batches, augmented alike, for as many steps under the same recipe; only the loss differs.
"""

import argparse

import keras

import keras_vix
from keras_vix.data import batches
from keras_vix.train import distill
from keras_vix.zoo.count import trainable_parameters

STUDENT = dict(dataset="digits", patch=2, dim=48, depth=3, num_heads=4, key_dim=12, mlp_dim=96)
BATCH = 64


def main() -> None:
    """Print the table, a row as soon as its seed is done."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--images", type=int, default=360, help="training images; the test images are 360 (%(default)s)")
    options.add_argument("--epochs", type=int, default=80, help="of the students (%(default)s)")
    options.add_argument("--teacher-epochs", type=int, default=40)
    options.add_argument("--kind", default="soft", choices=("soft", "hard", "teacher"))
    options.add_argument("--alpha", type=float, default=0.9, help="weight of the teacher (%(default)s)")
    options.add_argument("--jit", action="store_true", help="compile the steps with XLA")
    chosen = options.parse_args()
    for number, seed in enumerate(chosen.seeds):
        row = run(seed, chosen)
        if not number:
            sizes = f"teacher ({row['teacher size']:,}) | labels alone ({row['student size']:,})"
            print(f"| seed | {sizes} | {chosen.kind} distillation | gain |\n|---:|---:|---:|---:|---:|", flush=True)
        teacher, alone, taught = row["teacher"], row["alone"], row["taught"]
        print(f"| {seed} | {teacher:.4f} | {alone:.4f} | {taught:.4f} | {taught - alone:+.4f} |", flush=True)


def run(seed: int, chosen: argparse.Namespace) -> dict:
    """Test accuracies of one seed, which also draws the training images, and the sizes of both models."""
    data = keras_vix.data.load("digits", validation=0.0, limit=chosen.images, seed=seed)

    def feed():
        return batches(data.train, BATCH, shuffle=True, augment="digits", seed=seed)

    keras.utils.set_random_seed(seed)
    teacher = convolutions(data.facts)
    teacher.compile(keras.optimizers.Adam(2e-3), sparse(), metrics=["accuracy"], jit_compile=chosen.jit)
    teacher.fit(feed(), epochs=chosen.teacher_epochs, verbose=0)

    def student():
        keras.utils.set_random_seed(seed)
        steps = len(feed()) * chosen.epochs
        return keras_vix.build("vit", **STUDENT, seed=seed, steps=steps, jit_compile=chosen.jit)

    alone, taught = student(), student()
    taught.set_weights(alone.get_weights())
    alone.fit(feed(), epochs=chosen.epochs, verbose=0)
    options = {} if chosen.kind == "teacher" else {"alpha": chosen.alpha}
    distill(taught, teacher, chosen.kind, **options).fit(feed(), epochs=chosen.epochs, verbose=0)
    models = {"teacher": teacher, "alone": alone, "taught": taught}
    found = {name: model.evaluate(*data.test, verbose=0, return_dict=True)["accuracy"] for name, model in models.items()}
    return found | {"teacher size": trainable_parameters(teacher), "student size": trainable_parameters(alone)}


def sparse() -> keras.losses.Loss:
    """Cross-entropy of logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def convolutions(facts) -> keras.Model:
    """The teacher: four convolutions with batch normalisation, from raw images to logits."""
    layers = keras.layers
    x = image = keras.Input(facts.input_shape)
    x = layers.Rescaling(1 / 255)(x)
    for filters, stride in ((32, 1), (32, 2), (64, 1), (64, 2)):
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(facts.classes)(x), name="convolutions")


if __name__ == "__main__":
    main()
