"""The machine and its background load. No user names and no paths."""

import datetime
import platform
from typing import Any


def load() -> dict[str, float | None]:
    """The load average of the last minute, and the share of all cores in use while the workers sleep."""
    from keras_vix.bench.environment import load_average, others_percent

    return {"load_average": load_average(), "busy_percent": others_percent()}


def machine() -> dict[str, Any]:
    """Processor, GPU, cores, system, time, commit, and the load before anything runs."""
    from keras_vix.bench import environment

    return {
        "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": environment.cpu_model(),
        "gpu": environment.ask("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "cores": environment.cores(),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
        "commit": environment.git_commit(),
        **load(),
    }


def clean(text: str) -> str:
    """An error message without folders: the checkout is `.`, the home folder `~`."""
    from keras_vix.bench.environment import without_home

    from .settings import ROOT

    return without_home(str(text).replace(str(ROOT), "."))
