"""Rows for tests of the report: everything that a row may hold, and texts that try to become something else."""

from pathlib import Path
from typing import Any

import samples

from keras_vix.bench import report, store
from keras_vix.bench.unit import Unit

MEASURED = {
    "task": "train", "init": "scratch", "devices": 1, "deterministic": False, "val_top5": 0.99, "test_top5": 0.995,
    "test_seconds": 1.25, "latency_1_seconds": 0.0042, "latency_64_seconds": 0.081, "throughput": 790.1, "latency_runs": 50,
    "train_memory_bytes": 412_000_000, "inference_memory_bytes": 98_500_000, "memory_source": "process", "kernel_error": 0.1342,
    "constant_parameters": 2048, "step_spread": 0.05, "config": {"input_shape": [8, 8, 1], "classes": 10},
    "recipe": {"optimizer": "adamw", "learning_rate": 0.003},
}  # fmt: skip

# Texts that mean something to HTML, Markdown, LaTeX, a spreadsheet, a shell or a terminal.
HOSTILE = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</script><script>document.title='x'</script>", "javascript:alert(1)",
    "a|b\n\n# Heading", "![x](http://evil.example/x.png)", "`code` **bold** [link](http://evil.example)", "www.evil.example",
    "\\input{/etc/passwd} $x$ 50% #1 a_b ~ ^ {", "\\end{tabular}\\end{table}", "=HYPERLINK(\"http://evil.example\")", "+1+cmd|' /C calc'!A0",
    "@SUM(A1)", "-1+1", "\tx", "$(touch hacked); `touch hacked` && 'quoted' \"twice\"", "\x1b[31mred\x07", "\u202eright to left",
    "emoji 😀 é ß 中文", "&lt;b&gt; &amp;", "a\x00b", "x" * 5000,
)  # fmt: skip


def done(preset: str = "performer_relu", seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A finished row of a seed, with every figure there may be."""
    m = changes.pop("m", None)
    unit = Unit(preset, seed=seed, backend="tensorflow", overrides={} if m is None else {"m": m})
    own = {"label": unit.label, "fingerprint": unit.fingerprint, "unit": unit.to_dict(), "seed": seed, "m": m}
    return samples.done(preset) | MEASURED | own | changes


def cost(mixer: str = "softmax", side: int = 224, **changes: Any) -> dict[str, Any]:
    """A row of a model that is measured and not trained."""
    unit = Unit("vit_ti16", dataset="digits", task="cost", overrides={"kernel": mixer, "input_shape": [side, side, 3]})
    kept = ("schema", "status", "message", "preset", "backend", "device", "cpu", "cores", "gpu", "environment", "busy_at_start")
    return {key: value for key, value in samples.done("vit_ti16").items() if key in kept} | {
        "label": unit.label, "fingerprint": unit.fingerprint, "unit": unit.to_dict(), "dataset": "digits", "profile": "default",
        "seed": 0, "task": "cost", "tokens": (side // 16) ** 2 + 1, "config": {"input_shape": [side, side, 3]}, "cost_batch_size": 2,
        "multiply_adds": 10**6 * side, "trainable_parameters": 5_000_000, "train_step_seconds": side / 1000, "latency_1_seconds": side / 9000,
        "throughput": 12.5, "train_memory_bytes": side * 10**6, "inference_memory_bytes": side * 10**5, "step_spread": 0.02,
    } | changes  # fmt: skip


def mixed() -> list[dict[str, Any]]:
    """Two presets at three seeds, one with a mate that failed and one that ran with half its batch, and two that cost."""
    rows = [done("performer_relu", seed, m=16, test_accuracy=0.9 + 0.01 * seed, epoch_seconds=0.5 + 0.1 * seed) for seed in range(3)]
    rows += [done("linformer", seed, test_accuracy=0.8 + 0.02 * seed, epoch_seconds=10.0) for seed in range(2)]
    rows.append(done("linformer", 2, retried=True, batch_size=32, test_accuracy=0.5,
                     first_failure={"status": "oom", "message": "no memory", "batch_size": 64}))
    rows.append(samples.broken("nystromformer", "error", "ValueError: no") | {"log": "first line\nlast line <b>"})
    rows.append(done("performer_exp", step_spread=0.6, busy_at_start=True))
    return [*rows, cost("softmax", 224), cost("performer", 224)]


def hostile() -> list[dict[str, Any]]:
    """A finished row and a failed one for each hostile text, which stands wherever a text may stand."""
    found = []
    for number, text in enumerate(HOSTILE):
        environment = samples.SURROUNDINGS | {"cpu": text, text: text, "packages": {"keras": text, text: text}}
        unit = Unit(text, dataset=text, overrides={"augment": text}).to_dict()
        own = {"label": text, "preset": text, "dataset": text, "profile": text, "cpu": text, "device": text, "backend": text, "unit": unit,
               "source": text, "environment": environment, "recipe": {text: text}}
        found.append(done(**own) | {"fingerprint": f"{number:010x}"})
        found.append(samples.broken() | own | {"status": text or "error", "message": text, "log": f"{text}\n{text}",
                                               "fingerprint": f"{number + 1000:010x}"})
    return found


def folder(out: Path, rows: list[dict[str, Any]], title: str = "A title", description: str = "", command: str = "keras-vix bench",
           study: str = "") -> Path:
    """A results folder with these rows."""
    for row in rows:
        store.write(store.path_of(out, row["label"], row["fingerprint"]), row)
    report.describe_suite(out, title, description, command, [row["fingerprint"] for row in rows], study)
    return out
