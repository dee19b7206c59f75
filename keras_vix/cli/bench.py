"""`keras-vix bench`: train and measure models, and write tables and figures."""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from .options import (
    Address, AsJson, BatchSize, Dataset, Deterministic, Devices, DryRun, Engine, Epochs, Jobs, Limit, Models, Options,
    Out, Profile, Redo, Seed, Seeds, SuiteFile, SuiteName, Timeout, UpTo, pairs,
)
from .stopping import plain_warnings, stopping
from .tables import show


def bench_command(
    context: typer.Context, suite_file: SuiteFile = None, suite_name: SuiteName = None, dataset: Dataset = None,
    models: Models = None, epochs: Epochs = None, batch_size: BatchSize = None, seed: Seed = None, seeds: Seeds = None,
    limit: Limit = None, profile: Profile = None, options: Options = None, out: Out = None, redo: Redo = False,
    dry_run: DryRun = False, as_json: AsJson = False, timeout: Timeout = None,
    up_to: UpTo = None, jobs: Jobs = 1, deterministic: Deterministic = False,
    engine: Engine = "local", address: Address = None, devices: Devices = None,
) -> None:
    """Train and measure models, and write tables and figures."""
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ValueError(f"timeout must be a positive number of seconds. Received: timeout={timeout}.")
    settings = {
        "dataset": dataset, "profile": profile, "seed": seed, "epochs": epochs, "batch_size": batch_size,
        "limit": limit, "deterministic": deterministic or None, "devices": devices,
    }
    from ..bench import preflight, store

    suite = choose(suite_file, suite_name, models, settings | pairs(options), seeds, up_to)
    engines = engine_of(engine, address, jobs)
    out = usable(out or Path("runs") / store.slug(suite.name))
    plans = preflight.check(suite.units)
    if dry_run:
        show_plan(suite, plans, out)
        return
    preflight.check_data(suite.units)
    with engines as made:
        raise typer.Exit(measure(suite, out, context.obj, redo, timeout, as_json, jobs, made))


def choose(
    suite_file: Path | None, suite_name: str | None, models: str | None, given: dict[str, Any], seeds: int | None,
    up_to: int | None = None,
) -> Any:
    """The suite that a call asks for: a file, one of the package, the models named, or else the ten rows on digits.

    Rows of more than `up_to` tokens are left out; where None is given, a file's own limit holds.
    """
    import keras

    from ..bench import store, suites, typed

    if sum(one is not None for one in (suite_file, suite_name, models)) > 1:
        raise ValueError(
            "Give one of a suite file, --suite and --models. "
            f"Received: file={str(suite_file)!r}, --suite {suite_name}, --models {models}."
        )
    first = given.get("seed") or 0
    common = {
        "forced": given, "backend": keras.config.backend(), "seeds": None if seeds is None else range(first, first + seeds),
        "most": up_to,
    }
    name = given.get("dataset") or suites.DEFAULT
    # A folder of images lends its last name only: results never go into it.
    short = Path(name).resolve().name or "folder" if os.path.exists(name) else store.slug(name)
    if models is not None:
        rows = typed.rows_of(models)
        return suites.make(rows, name=short, title=f"Benchmark on {name}", **common | {"seeds": common["seeds"] or ()})
    if suite_file is not None:
        return suites.load(suite_file, **common)
    if suite_name is not None:
        return suites.load(suites.find(suite_name), **common)
    return suites.load(suites.find(suites.DEFAULT), name=short, **common)


def engine_of(name: str, address: str | None, jobs: int) -> Any:
    """A scope with an engine for the runner, or with None for this machine; nothing is started before it is entered."""
    if name not in ("local", "ray"):
        raise ValueError(f"engine must be local or ray. Received: engine={name!r}.")
    if name == "local":
        if address is not None:
            raise ValueError(f"Only a Ray cluster has an address. Received: address={address!r}; add --engine ray.")
        return contextlib.nullcontext()
    if jobs > 1:
        raise ValueError(f"On a cluster the nodes say how many rows run at once. Received: jobs={jobs} and engine='ray'.")
    from ..bench import cluster

    return cluster.engine(address)


def usable(out: Path) -> Path:
    """Check, without making it, that a folder can be written.

    Raises:
        ValueError: it is a file, or nothing may be made there.
    """
    nearest = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"out must be a folder that can be written. Received: out={str(out)!r}; see {str(nearest)!r}.")
    return out


def show_plan(suite: Any, plans: Sequence[tuple[Any, Any]], out: Path) -> None:
    """What would be run, a line a row."""
    from ..bench import store

    print(f"{suite.title}: {len(suite.units)} rows into {out}")
    for unit, (recipe, description) in zip(suite.units, plans, strict=True):
        known = store.find(out, unit.label, unit.fingerprint)
        state = known["status"] if known else "to run"
        work = f"{unit.dataset}, {recipe.epochs} epochs of batches of {recipe.batch_size}"
        work = f"cost with {description.tokens:,} tokens" if unit.task == "cost" else work
        print(
            f"  {unit.label:<30} {work}, "
            f"{description.trainable_parameters:,} parameters: {state}"
        )


def measure(
    suite: Any, out: Path, command: str, redo: bool, timeout: float | None, as_json: bool, jobs: int = 1,
    engine: Any = None,
) -> int:
    """Run a suite and write its pages after every row; returns the exit code."""
    from .. import checks
    from ..bench import report, runner
    from ..bench.board import pages
    from ..bench.environment import discreet
    from ..bench.progress import progress

    checks.package("seaborn", "The figures of a benchmark")
    fingerprints = [unit.fingerprint for unit in suite.units]
    with pages(out, wait=True):
        report.describe_suite(out, suite.title, suite.description, discreet(command), fingerprints, suite.published)
    stream = sys.stderr if as_json else sys.stdout
    with plain_warnings(), stopping() as request, progress(stream) as listener:

        def listen(event: dict[str, Any]) -> None:
            listener(event)
            if event["event"] == "row" and not request.stop.is_set():
                with request.at_once():
                    report.refresh(out)

        try:
            rows = runner.run(
                suite.units, out, redo=redo, timeout=timeout, listener=listen, jobs=jobs, engine=engine,
                stop=request.stop,
            )
            with request.at_once():
                report.write(out, ())
        except (KeyboardInterrupt, SystemExit):
            with contextlib.suppress(OSError):  # the terminal itself may be gone
                print(f"Stopped. Finished rows are in {out}; the same command goes on from there.", file=sys.stderr)
            return 130
        except BrokenPipeError:
            raise
        except OSError as error:
            print(f"Error: {error} The same command goes on from there.", file=sys.stderr)
            return 1
    show(rows, out, suite.title, as_json)
    return 1 if any(row["status"] != "done" for row in rows) else 0
