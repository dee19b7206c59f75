"""What a result was measured on: packages, machine, backend and switches. No user names, no home folders."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|KEY|AUTH(?!OR)", re.IGNORECASE)  # in the name of a variable
SHORTEST = 8  # characters of a secret; shorter values are words that stand elsewhere too
PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch", "tensorflow-datasets")


def versions() -> dict[str, str]:
    """This package's version, and the installed version of each other that can change a result."""
    from .. import __version__

    found = {"keras_vix": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ask(*command: str) -> str | None:
    """The first line that a program prints; None if it is missing, fails, or takes longer than five seconds."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.strip().splitlines()[0] if answer.strip() else None


def git_commit() -> str | None:
    """The commit of the checkout that holds the package, with `+` if it has changes; None for an installed copy."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    commit = ask("git", "-C", str(root), "rev-parse", "--short=12", "HEAD")
    changed = ask("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}{'+' if changed else ''}" if commit else None


def load_average() -> float | None:
    """How many processes wanted a core, over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def others_percent() -> float | None:
    """How much of all cores is in use while this process waits a quarter of a second; None without psutil.

    The load average remembers the unit before; this does not, so it tells whether something else is running.
    """
    try:
        import psutil
    except ImportError:
        return None
    return psutil.cpu_percent(interval=0.25)


def device() -> str:
    """The first device that Keras will use: `cpu`, `gpu` or `tpu`."""
    import keras

    if keras.config.backend() == "torch":  # Keras has no list of its devices
        import torch

        return "gpu" if torch.cuda.is_available() else "cpu"
    return keras.distribution.list_devices()[0].split(":")[0].lower()


def gpu_name() -> str | None:
    """The first GPU's name and driver; None if there is none that training would use."""
    return ask("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") if device() != "cpu" else None


def threads() -> dict[str, str]:
    """The environment's thread and arithmetic switches, as set; unset ones are left out."""
    names = (
        "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS",
    )
    return {name: os.environ[name] for name in names if name in os.environ}


def discreet(text: str) -> str:
    """The text with the home folder written `~`, and `***` for the value of every variable that is named like a secret."""
    for name, value in os.environ.items():
        if len(value) >= SHORTEST and SECRET.search(name):
            text = text.replace(value, "***")
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def environment() -> dict[str, Any]:
    """The whole record. Call it before the measurement: load and use by others are those of this moment."""
    import keras

    return {
        "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "load_average": load_average(),
        "others_percent": others_percent(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": cores(),
        "switches": threads(),
        "backend": keras.config.backend(),
        "device": device(),
        "gpu": gpu_name(),
        "policy": keras.config.dtype_policy().name,
        "packages": versions(),
        "commit": git_commit(),
    }
