"""Rows for tests of figures: like real ones, of several seeds, of several sizes, of a checkpoint, with images."""

import base64
import io
import math
import random

import samples

MIXERS = {
    "": lambda n: 0.9 * n + 0.0018 * n * n,
    "kernel=performer features=positive m=64": lambda n: 2.1 * n,
    "kernel=performer features=relu m=64": lambda n: 1.75 * n,
    "kernel=linformer m=64": lambda n: 1.25 * n,
    "kernel=nystrom m=64": lambda n: 2.6 * n + 40,
    "mixer=window window=7": lambda n: 1.1 * n,
    "mixer=window_1d": lambda n: 1.3 * n + 90,
    "mixer=fourier": lambda n: 0.6 * n * math.log2(n) / 8,
    "mixer=token_mlp": lambda n: 0.7 * n + 0.0021 * n * n,
    "mixer=atrous": lambda n: 9.5 * n,
}
SIDES = (224, 288, 384, 448, 512, 1024)


def cost(words: str, side: int, milliseconds: float | None = None, **changes):
    """A row of a model that was measured and not trained."""
    tokens = (side // 16) ** 2
    time = MIXERS[words](tokens) if milliseconds is None else milliseconds
    label = " ".join(filter(None, ("vit_ti16", words and words.split(" ")[0], f"input_shape={side}x{side}x3",
                                   " ".join(words.split(" ")[1:]))))
    overrides = {"input_shape": [side, side, 3]} | dict(word.split("=") for word in words.split())
    row = samples.done("vit_ti16")
    keep = ("schema", "status", "message", "profile", "seed", "backend", "device", "cpu", "cores", "environment")
    return {key: row[key] for key in keep} | {
        "task": "cost", "label": label, "preset": "vit_ti16", "dataset": "cifar10", "fingerprint": f"{abs(hash(label)):010x}"[:10],
        "unit": {"preset": "vit_ti16", "task": "cost", "seed": 0, "overrides": overrides},
        "tokens": tokens, "train_step_seconds": time / 1e3, "latency_1_seconds": time / 3.3e3,
        "train_memory_bytes": int(3e8 + 2e5 * time), "inference_memory_bytes": int(2e8 + 5e4 * time),
        "multiply_adds": int(1e6 * (2 * time)), "cost_batch_size": 1,
    } | changes


def resolution():
    """Ten mixers at six sizes."""
    return [cost(words, side) for words in MIXERS for side in SIDES]


def swaps(number: int = 3):
    """A teacher, three models that started from its weights, one without distillation, and the same ones from scratch."""
    found = []
    for seed in range(number):
        teacher = samples.done("vit", seed=seed, test_accuracy=0.98 + 0.002 * seed, fingerprint=f"teacher{seed}", init="scratch")
        found.append(teacher | {"unit": {"preset": "vit", "seed": seed}})
        for place, kernel in enumerate(("linformer", "nystrom", "lsa")):
            own = {"preset": "vit", "seed": seed, "overrides": {"kernel": kernel}}
            figures = {"swap_accuracy": 0.3 + 0.2 * place + 0.01 * seed, "distilled_accuracy": 0.7 + 0.1 * place}
            if kernel == "lsa":
                figures.pop("distilled_accuracy")
            way = own | {"epochs": 2, "start": f"teacher{seed}"} | ({} if kernel == "lsa" else {"distill_epochs": 1})
            label = f"vit kernel={kernel}"
            found.append(samples.done("vit", label=f"{label} init=checkpoint", seed=seed, init="checkpoint", unit=way, epochs=2,
                                      test_accuracy=0.9 + 0.02 * place, history=samples.history(2), **figures))
            plain = own | {"epochs": 2 if kernel == "lsa" else 3}
            found.append(samples.done("vit", label=label, seed=seed, init="scratch", unit=plain, test_accuracy=0.4 + 0.01 * seed,
                                      epochs=3, history=samples.history(3)))
    return found


def epoch_times(epochs: int, seconds: float, first: float = 4.0, seed: int = 0):
    """Times of epochs that vary a little; the first takes longer."""
    draw = random.Random(seed)
    times = [seconds * (first if epoch == 1 else 1 + 0.06 * draw.random()) for epoch in range(1, epochs + 1)]
    return [{"epoch": epoch, "total_seconds": time, "train_seconds": 0.9 * time, "validation_seconds": 0.1 * time}
            for epoch, time in enumerate(times, 1)]


def seeds(number: int = 3):
    """The ten rows of the suite at several seeds."""
    found = []
    for seed in range(number):
        draw = random.Random(seed)
        for row in samples.suite():
            unit = row["unit"] | {"seed": seed}
            accuracy = row["test_accuracy"] + 0.006 * (draw.random() - 0.5)
            found.append(row | {
                "seed": seed, "unit": unit, "fingerprint": f"{row['fingerprint'][:8]}{seed:02d}", "test_accuracy": accuracy,
                "epoch_seconds": row["epoch_seconds"] * (1 + 0.03 * draw.random()), "test_seconds": 0.1 + row["epoch_seconds"] / 5,
                "history": samples.history(top=accuracy, speed=0.1 + 0.03 * draw.random()),
                "epoch_times": epoch_times(30, row["epoch_seconds"], seed=seed),
            })
    return found


def ranks():
    """Three kernels at four ranks, and exact attention."""
    exact = samples.done("transformer_global", test_accuracy=0.771, test_images=10000, config={"mixer": "attention", "kernel": "softmax"})
    table = {"performer_relu": (0.721, 0.739, 0.752, 0.757), "performer_softmax": (0.702, 0.737, 0.759, 0.768),
             "linformer": (0.69, 0.72, 0.748, 0.75)}
    return [exact] + [
        samples.done(preset, m=m, test_accuracy=accuracy, test_images=10000, config={"mixer": "attention", "kernel": "performer"})
        for preset, accuracies in table.items() for m, accuracy in zip((16, 32, 64, 128), accuracies)
    ]


def checkpoint_pairs():
    """Two models from scratch and from a checkpoint, and the run whose weights they start from."""
    found = [samples.done("vit", init="scratch", history=samples.history(10, 0.8, 0.3))]
    for preset in ("vil", "vip"):
        for init, top, speed in (("scratch", 0.7, 0.2), ("checkpoint", 0.82, 0.6)):
            row = samples.done(preset, init=init, history=samples.history(10, top, speed), epoch_times=epoch_times(10, 2.0),
                               test_seconds=1.5)
            if init == "checkpoint":
                row |= {"unit": row["unit"] | {"start": found[0]["fingerprint"]}, "fingerprint": row["fingerprint"][::-1]}
            found.append(row)
    return found


def picture(seed: int = 0, side: int = 32, colour: bool = True) -> str:
    """A small smooth picture as base64 of a PNG."""
    from PIL import Image

    draw = random.Random(seed)
    a, b, c = (draw.uniform(0.05, 0.3) for _ in range(3))
    image = Image.new("RGB" if colour else "L", (side, side))
    wave = lambda x: int(127 + 127 * math.sin(x))
    image.putdata([(wave(a * x + y * b), wave(c * y), wave(b * x)) if colour else wave(a * x) for y in range(side) for x in range(side)])
    content = io.BytesIO()
    image.save(content, format="png")
    return base64.b64encode(content.getvalue()).decode()


PLACES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def classified(classes: int = 10, side: int = 32, **changes):
    """A row with ten test images and a confusion matrix."""
    draw = random.Random(classes)
    table = [[int(80 * draw.random() ** 6) for _ in range(classes)] for _ in range(classes)]
    for place in range(classes):
        table[place][place] += 300 + draw.randrange(300)
    named = PLACES if classes == 10 else [f"class {place}" for place in range(classes)]
    shown = [{"label": place % classes, "predicted": (place + (place % 4 == 3)) % classes, "confidence": 0.4 + 0.06 * place,
              "png": picture(place, side)} for place in range(10)]
    return samples.done("vip", samples=shown, confusion=table, class_names=named) | changes
