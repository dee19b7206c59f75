"""Measure attention layers and whole models of several packages side by side, and write a report.

`python benchmarks/peers/run.py --help` tells the options, README.md the method.
"""

import argparse
import importlib.util
import os
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])  # `peers` becomes a package; its folder no place for imports
sys.path.insert(1, str(Path(__file__).resolve().parents[2]))
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
if all(map(importlib.util.find_spec, ("scipy", "jax"))):  # this process computes nothing; Keras' NumPy backend is light
    os.environ["KERAS_BACKEND"] = "numpy"
    warnings.filterwarnings("ignore", message=".*numpy backend")

from peers import plan, records  # noqa: E402
from peers.case import GROUPS, MODES, matching  # noqa: E402
from peers.cases import CASES  # noqa: E402
from peers.measure import Pool, measure  # noqa: E402
from peers.settings import Settings  # noqa: E402


def words(allowed: Sequence[str]) -> Any:
    """A reader of words separated by commas, each one of those allowed."""
    def read(text: str) -> list[str]:
        chosen = [word.strip() for word in text.split(",")]
        if unknown := [word for word in chosen if word not in allowed]:
            raise argparse.ArgumentTypeError(f"choose from {', '.join(allowed)}. Received: {', '.join(unknown)}")
        return [word for word in allowed if word in chosen]

    return read


def numbers(text: str) -> list[int]:
    """Positive numbers separated by commas."""
    found = [int(word) for word in text.split(",")]
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"give numbers from 1. Received: {text}")
    return sorted(set(found))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = made.add_argument
    add("--out", type=Path, default=Path("runs/peers"), help="folder of the results (%(default)s)")
    add("--groups", type=words(list(GROUPS)), default=list(GROUPS), help=f"of {','.join(GROUPS)}; all by default")
    add("--cases", default="*", help="names or patterns, such as 'torch-*,*linformer*'; the reference always runs")
    add("--tokens", type=numbers, help="numbers of tokens in place of each group's own")
    add("--modes", type=words(list(MODES)), default=list(MODES), help="train, forward, or both")
    add("--rounds", type=int, default=5, help="blocks of each contender (%(default)s); long ones get 3 at least")
    add("--threads", type=int, help="threads of each worker: 1 pins it; by default 1, with --here whatever there is")
    add("--core", type=int, default=0, help="the core that one-thread workers are pinned to (%(default)s)")
    add("--limit", type=float, default=12.0, help="seconds; a contender with a longer step is stopped (%(default)s)")
    add("--batch", type=int, default=8, help="samples in the input (%(default)s)")
    add("--here", action="store_true", help="this interpreter for all; KERAS_BACKEND decides the Keras cases")
    add("--environments", type=Path, default=Settings.environments, help="folder of the environments (.peers)")
    add("--redo", action="store_true", help="forget what the folder holds")
    add("--report-only", type=Path, metavar="DIR", help="only write the report of a folder anew")
    add("--list", action="store_true", help="print the names of all cases")
    return made


def settings_of(options: argparse.Namespace) -> Settings:
    """The record of how to measure.

    Raises:
        ValueError: a number that makes no sense, or environments that were not made.
    """
    for name in ("rounds", "limit", "batch", "threads"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} needs a positive number. Received: {name}={value}.")
    if not options.here and not options.environments.is_dir():
        raise ValueError("The environments of the contenders are missing. Run `make bench-peers`, or use --here.")
    threads = options.threads or (None if options.here else 1)
    return Settings(threads, options.core, options.rounds, options.limit, batch=options.batch, here=options.here,
                    backend=BACKEND if options.here else "tensorflow", environments=options.environments.absolute())


def planned(options: argparse.Namespace, backend: str) -> list[plan.Group]:
    """The sets that the options ask for."""
    cases = plan.with_references(matching(options.cases, CASES), CASES, backend)
    return plan.sets(cases, options.groups, options.tokens, options.modes, backend)


def run(options: argparse.Namespace) -> int:
    """Measure what is missing, set by set, and write the report after each group."""
    settings = settings_of(options)
    backend = settings.backend
    kept = records.resume(options.out, settings.kind, options.redo)
    kept["settings"] = settings.method
    kept["commands"] = list(dict.fromkeys([*kept["commands"], command_line(options)]))
    todo = [left for one in planned(options, backend)
            if (left := records.missing(one, kept, plan.reference(one.group, backend)))]
    print(f"{len(todo)} sets to measure, about {plan.estimate(todo, settings) / 60:.0f} minutes", flush=True)
    for group in dict.fromkeys(one.group for one in todo):
        with Pool(settings) as pool:
            for one in (one for one in todo if one.group == group):
                take(one, pool, kept, options.out, plan.reference(group, backend))
    return report(options.out)


def command_line(options: argparse.Namespace) -> str:
    """What was typed, without the folders of this machine."""
    hidden = {str(path): path.name for path in (options.out, options.environments) if path.is_absolute()}
    return shlex.join(["python", "benchmarks/peers/run.py", *(hidden.get(word, word) for word in sys.argv[1:])])


def take(one: plan.Group, pool: Pool, kept: dict[str, Any], out: Path, reference: str | None) -> None:
    """Measure one set and store it."""
    from peers.machine import clean, machine

    print(one.title, flush=True)
    kept["machine"] = kept["machine"] or machine()
    begin = time.monotonic()
    found, loads = measure(one, pool, lambda text: print(text, flush=True))
    for record in found:
        if "reason" in record:
            record["reason"] = clean(record["reason"])[:600]
    kept["environments"] |= pool.about
    records.add(kept, one, reference, found, loads, time.monotonic() - begin)
    records.save(out, kept)


def report(folder: Path) -> int:
    """Write tables and figures from what is stored."""
    from peers.report import write

    for path in write(folder):
        print(path)
    return 0


def main() -> int:
    """The program."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers are stopped on the way out
    try:
        if options.list:
            print("\n".join(f"{case.name:45} {case.label}" for case in CASES))
            return 0
        return report(options.report_only) if options.report_only else run(options)
    except (ValueError, OSError) as error:
        print(f"peers: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
