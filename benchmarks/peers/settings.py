"""What a run is told, and the environment its workers get from it."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from .case import Case

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# No waiting thread may burn the core that another contender is measured on.
ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
    "NPROC",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How everything is measured.

    Args:
        threads: of each worker; None leaves frameworks and cores as they are.
        core: the core that workers are pinned to with one thread.
        rounds: how often each contender runs a block.
        limit: seconds; a contender whose first timed step takes longer is stopped.
        block: seconds that a block lasts at least, within 1 to `most_steps` steps.
        batch: samples in the input.
        budget: seconds that the rounds of one set may take before their number falls, to no fewer than 3.
        here: one interpreter, this one, for every contender.
        backend: what Keras runs on with one interpreter for all; the reference is Keras' own attention on it.
        environments: the folder of the environments otherwise.
    """

    threads: int | None = 1
    core: int = 0
    rounds: int = 5
    limit: float = 12.0
    block: float = 0.2
    most_steps: int = 50
    batch: int = 8
    budget: float = 100.0
    here: bool = False
    backend: str = "tensorflow"
    environments: Path = ROOT / ".peers"

    @property
    def kind(self) -> dict[str, Any]:
        """What two runs must share for one folder to hold both."""
        return {"threads": self.threads, "batch": self.batch, "here": self.here, "backend": self.backend}

    @property
    def method(self) -> dict[str, Any]:
        """What the report tells of the method."""
        return {name: getattr(self, name) for name in ("rounds", "limit", "block", "most_steps", "budget")}

    @property
    def pinned(self) -> int | None:
        """The core of the workers, or None if they are not pinned."""
        return self.core if self.threads == 1 else None

    def interpreter(self, case: Case) -> str:
        """The Python that runs a case."""
        return sys.executable if self.here else str(self.environments / case.environment / "bin" / "python")

    def surroundings(self, case: Case) -> dict[str, str]:
        """The environment variables of a worker."""
        own = {
            "PYTHONPATH": f"{HERE.parent}{os.pathsep}{ROOT}", "KERAS_BACKEND": case.environment, "PYTHONHASHSEED": "0",
            "TF_CPP_MIN_LOG_LEVEL": "2", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }
        if self.threads is not None:
            own |= ASLEEP | dict.fromkeys(THREADS, str(self.threads))
        if self.threads == 1:
            own["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
        return {**os.environ, **own}

    def runs_here(self, case: Case) -> bool:
        """With one interpreter for all, a Keras case runs only on the backend that Keras has there."""
        return not self.here or not case.keras or case.environment == self.backend
