"""`keras-vix tune`: search a space of models."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import AsJson, Dataset, Epochs, Limit, Name, Options, Profile, Seed, pairs
from .stopping import plain_warnings, stopping
from .tables import print_table

Spaces = Annotated[list[str] | None, typer.Option(
    "--space", metavar="KEY=VALUES",
    help="What may be drawn: m=16,32,64 or learning_rate=1e-4..1e-2:log; repeatable. [default: the preset's ready space]")]
Tuner = Annotated[str, typer.Option("--tuner", metavar="NAME", help="random, bayesian, hyperband or grid.")]
Trials = Annotated[int, typer.Option("--trials", min=1, help="At most so many; with a larger number a search goes on.")]
Objective = Annotated[str, typer.Option("--objective", metavar="NAME", help="val_accuracy, val_ce or val_loss.")]
Budget = Annotated[list[str] | None, typer.Option(
    "--budget", metavar="KEY=LIMIT", help="Of parameters, multiply_adds, latency_seconds, memory_bytes; repeatable.")]
Folder = Annotated[Path | None, typer.Option("--out", help="Folder of the search. [default: runs/tune-<name>-<data set>]")]


def tune_command(
    name: Name, dataset: Dataset = "digits", space: Spaces = None, tuner: Tuner = "random", trials: Trials = 20,
    epochs: Epochs = None, objective: Objective = "val_accuracy", budget: Budget = None, options: Options = None,
    profile: Profile = "default", limit: Limit = None, seed: Seed = None, out: Folder = None, as_json: AsJson = False,
) -> None:
    """Search a space of models; the same command goes on where it was stopped."""
    from .. import tune
    from ..bench import store
    from ..data import load
    from .bench import usable

    out = usable(out or Path("runs") / store.slug(f"tune-{name}-{Path(dataset).name}"))
    drawn, limits = spaces(space), pairs(budget)
    seed = seed or 0
    data = load(dataset, seed=seed, limit=limit)
    aside = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with plain_warnings(), stopping() as request, aside:
        try:
            found = tune.search(
                name, data, drawn, tuner=tuner, max_trials=trials, epochs=epochs, objective=objective, budget=limits or None,
                directory=out, seed=seed, profile=profile, callbacks=[heeding(request)], **pairs(options),
            )  # fmt: skip
        except (KeyboardInterrupt, SystemExit):
            with contextlib.suppress(OSError):  # the terminal itself may be gone
                print(f"Stopped. Trials that ended are in {out}; the same command goes on from there.", file=sys.stderr)
            raise typer.Exit(130) from None
        except RuntimeError as error:
            print(f"Error: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
    show(found, out, as_json)


def heeding(request: Any) -> Any:
    """A Keras callback that ends a training behind the batch in which a request to stop came.

    Raised by the signal itself the end might come where Python cannot pass it on, and be lost.
    """
    import keras

    def look(*_: Any, **__: Any) -> None:
        if request.stop.is_set():
            raise KeyboardInterrupt

    return keras.callbacks.LambdaCallback(on_train_begin=look, on_train_batch_end=look)


def spaces(words: Sequence[str] | None) -> dict[str, Any] | None:
    """The `--space` options as a space; None where none was given."""
    found: dict[str, Any] = {}
    for text in words or ():
        key, sign, values = text.partition("=")
        if not sign or not key.isidentifier() or not values:
            raise ValueError(f"A space is written key=values. Received: --space {text!r}; write for example m=16,32,64.")
        if key in found:
            raise ValueError(f"A space is given once for each word. Received: --space {key}=... again.")
        found[key] = record(text, values)
    return found or None


def record(text: str, values: str) -> Any:
    """`16,32,64` as a list, `1e-4..1e-2:log` and `1..8` as ranges."""
    from ..bench.typed import pair, scalar
    from ..tune import Float, Int

    ends, _, scale = values.partition(":")
    low, dots, high = ends.partition("..")
    if not dots:
        return listed(pair(f"values=[{values}]")[1], values, scalar)
    low, high = scalar(low), scalar(high)
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high))
    if scale not in ("", "log") or not numbers:
        raise ValueError(f"A range is written low..high or low..high:log. Received: --space {text!r}.")
    return (Int if isinstance(low, int) and isinstance(high, int) else Float)(low, high, log=bool(scale))


def listed(found: Any, values: str, scalar: Any) -> list:
    """A list of values: as TOML has it, or else words with commas between them."""
    return found if isinstance(found, list) else [scalar(word.strip()) for word in values.split(",")]


def show(found: Any, out: Path, as_json: bool) -> None:
    """Print the trials and the best of them, and leave by the exit code."""
    from ..bench import store

    table = found.table
    records = [store.plain({key: none(value) for key, value in row.items()}) for row in table.to_dict("records")]
    done = [row for row in records if row["status"] == "done"]
    if as_json:
        best = {key: value for key, value in found.best().items() if key != "dataset"} if done else None
        told = {"directory": str(out), "objective": table.attrs["objective"], "best": best, "trials": records}
        print(store.to_json(told), end="")
    else:
        print_table(rich_table(table, records), sys.stdout)
        if done:
            words = " ".join(f"{word}={value}" for word, value in found.best().items() if word in table.attrs["words"])
            print(f"Best: {words}. Trials: {out}.")
    if not done:
        print("Error: no trial has a score; the reasons are in the table.", file=sys.stderr)
    raise typer.Exit(0 if done and all(row["status"] in ("done", "infeasible") for row in records) else 1)


def none(value: Any) -> Any:
    """None for what pandas has for nothing."""
    import pandas

    return None if not isinstance(value, (list, tuple)) and pandas.isna(value) else value


def rich_table(table: Any, records: Sequence[dict[str, Any]]) -> Any:
    """The trials as a table for the terminal, the best first."""
    from rich.table import Table

    made = Table(title=f"Search of {table.attrs['preset']}", title_justify="left")
    for name in table.columns:
        made.add_column(str(name), justify="left" if name in ("status", "reason") else "right")
    sign = -1 if table.attrs["direction"] == "max" else 1
    for row in sorted(records, key=lambda row: float("inf") if row["score"] is None else sign * row["score"]):
        made.add_row(*(cell(row[name]) for name in table.columns))
    return made


def cell(value: Any) -> str:
    """A value in the table, without marks that rich would read."""
    from rich.markup import escape

    from ..bench.tables import one_line

    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else escape(one_line(value))
