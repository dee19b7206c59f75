"""The columns of all tables: which figure of a row, what it is called, how it is written, and where it belongs."""

from collections.abc import Callable
from typing import Any, NamedTuple


def short(value: Any) -> str:
    """A value as it is written in a label."""
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class Column(NamedTuple):
    """One column: the key in a row, the heading, how a value is written for people, and the group it belongs to."""

    key: str
    title: str
    write: Callable[[Any], str] = str
    group: str = ""


def fraction(value: float) -> str:
    """Four decimals, as accuracies and losses are printed."""
    return f"{value:.4f}"


def seconds(value: float) -> str:
    """Seconds with about three digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def milliseconds(value: float) -> str:
    """Seconds written as milliseconds with about three digits."""
    return seconds(1000 * value)


def mebibytes(value: float) -> str:
    """Bytes written as MiB (2^20) with about three digits."""
    return seconds(value / 2**20)


def count(value: float) -> str:
    """A whole number with thousands apart: 21,666,762."""
    return f"{round(value):,}"


def yes_no(value: Any) -> str:
    """A switch in words."""
    return "yes" if value else "no"


# The first six after the name are the columns of the reference tables, in their order.
COLUMNS = (
    Column("label", "Model"),
    Column("train_accuracy", "Train accuracy", fraction, "accuracy"),
    Column("val_accuracy", "Validation accuracy", fraction, "accuracy"),
    Column("val_loss", "Validation loss", fraction, "accuracy"),
    Column("epochs", "Epochs", count),
    Column("epoch_seconds", "Time/epoch (s)", seconds, "time"),
    Column("step_seconds", "Time/step (ms)", milliseconds, "time"),
    Column("test_accuracy", "Test accuracy", fraction, "accuracy"),
    Column("best_epoch", "Best epoch", count, "accuracy"),
    Column("best_val_accuracy", "Best val. accuracy", fraction, "accuracy"),
    Column("val_ce", "Validation CE", fraction, "accuracy"),
    Column("test_ce", "Test CE", fraction, "accuracy"),
    Column("trainable_parameters", "Parameters", count, "cost"),
    Column("tokens", "Tokens", count, "cost"),
    Column("multiply_adds", "Multiply-adds", count, "cost"),
    Column("images_per_second", "Images/s", count, "time"),
    Column("backend", "Backend", str, "machine"),
    Column("device", "Device", str, "machine"),
)
# Figures that not every row has: columns where some row has one, and where the published count is not the plain one.
SOMETIMES = (
    Column("swap_accuracy", "After the swap", fraction, "accuracy"),
    Column("distilled_accuracy", "After distillation", fraction, "accuracy"),
    Column("val_top5", "Validation top-5", fraction, "accuracy"),
    Column("test_top5", "Test top-5", fraction, "accuracy"),
    Column("kernel_error", "Kernel error", fraction, "accuracy"),
    Column("distill_seconds", "Distillation (s)", seconds, "time"),
    Column("test_seconds", "Test pass (s)", seconds, "time"),
    Column("latency_1_seconds", "Latency, 1 image (ms)", milliseconds, "time"),
    Column("latency_64_seconds", "Latency, 64 images (ms)", milliseconds, "time"),
    Column("throughput", "Throughput (images/s)", count, "time"),
    Column("train_memory_bytes", "Training memory (MiB)", mebibytes, "memory"),
    Column("inference_memory_bytes", "Inference memory (MiB)", mebibytes, "memory"),
    Column("constant_parameters", "Constant parameters", count, "cost"),
    Column("published_parameters", "Published count", count, "cost"),
    Column("published_megabytes", "Published size (MB)", "{:.2f}".format, "cost"),
)
# A model that is not trained: what it costs.
_KNOWN = {column.key: column for column in (*COLUMNS, *SOMETIMES)}
COST = (
    _KNOWN["label"],
    Column("tokens", "Tokens", count),  # beside the name, and in no group that can be hidden
    Column("input_shape", "Input", short),
    Column("cost_batch_size", "Images/step", count),
    *(_KNOWN[key] for key in ("multiply_adds", "trainable_parameters", "constant_parameters")),
    Column("train_step_seconds", "Training step (ms)", milliseconds, "time"),
    *(_KNOWN[key] for key in ("latency_1_seconds", "latency_64_seconds", "throughput")),
    *(_KNOWN[key] for key in ("train_memory_bytes", "inference_memory_bytes", "backend", "device")),
)
# Settings get a column of their own only where rows differ in them; a caption names those that all rows share.
SETTINGS = (
    Column("folder", "Folder"),
    Column("dataset", "Dataset"),
    Column("train_images", "Training images", count),
    Column("batch_size", "Batch size", count),
    Column("profile", "Profile"),
    Column("init", "Start"),
    Column("distill_epochs", "Distillation epochs", count),
    Column("devices", "Devices", count),
    Column("deterministic", "Deterministic", yes_no),
    Column("seed", "Seed"),
)
# What a CSV adds for whoever computes with it.
EXTRA = (
    "m", "status", "message", "dataset", "profile", "seed", "batch_size", "train_images", "validation_images",
    "test_images", "median_step_seconds", "first_step_seconds", "steady_epochs",
    "peak_memory_bytes", "cpu", "cores", "fingerprint",
)
OPTIONAL = ("folder", "task", "init", "devices", "deterministic", "retried", "step_spread", "memory_source", "latency_runs")
TERMINAL = (
    "label", "train_accuracy", "val_accuracy", "val_loss", "epochs", "epoch_seconds", "step_seconds", "test_accuracy",
    "best_epoch", "trainable_parameters",
)
TERMINAL_COST = (
    "label", "tokens", "input_shape", "multiply_adds", "train_step_seconds", "latency_1_seconds", "train_memory_bytes",
)
TIMED = ("epoch_seconds", "step_seconds", "images_per_second")
