"""The command line: `keras-vix list`, `describe`, `suites`, `bench`, `report`, `doctor`.

Exit codes: 0 all is well; 1 something that ran failed; 2 the call makes no sense, and nothing was started; 130 stopped
by Ctrl-C, SIGTERM or SIGHUP. Errors are one message on standard error; `--debug` shows where they come from.
"""

import contextlib
import os
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, Any

try:
    import typer
except ImportError as error:
    raise ImportError("The command line needs typer and rich; run pip install typer rich.") from error

MISTAKES = (ValueError, TypeError, OSError, ImportError)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Efficient vision transformers: look at them, and measure them.",
    epilog="--debug, anywhere, shows the traceback of an error.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model, as `keras-vix list` prints it.")]
Pattern = Annotated[str, typer.Argument(metavar="[PATTERN]", help="A shell-style pattern, such as '*performer*'.")]
SuiteFile = Annotated[Path | None, typer.Argument(help="An experiment as a TOML file.", metavar="[SUITE.toml]")]
SuiteName = Annotated[str | None, typer.Option("--suite", help="An experiment of the package, as `keras-vix suites` prints it.")]
Results = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Results folders, as bench writes them.")]
Pages = Annotated[Path | None, typer.Option("--out", help="Where the pages go. [default: the results folder, if it is one]")]
Format = Annotated[str | None, typer.Option("--format", metavar="NAMES",
                                            help="Of md, csv, json, tex and html, with commas. [default: all]")]
Dataset = Annotated[str | None, typer.Option(help="digits, cifar10, imagenette, ..., or a folder of images: see docs/data.md.")]
Profile = Annotated[str | None, typer.Option(help="default, or reference for the settings of the publication.")]
Options = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE",
                                                   help="An option of model or recipe; may be given again.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Models = Annotated[str | None, typer.Option(help="Names with commas; a row may have options: a:m=64,b.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Of weights, order and noise. [default: 0]")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Every row so many times, at seeds one after the other.")]
Limit = Annotated[int | None, typer.Option(min=10, help="Use this many training images only.")]
UpTo = Annotated[int | None, typer.Option(min=1, metavar="TOKENS", help="Leave out models that see more tokens.")]
Out = Annotated[Path | None, typer.Option(help="Results folder. [default: runs/<suite or data set>]")]
Redo = Annotated[bool, typer.Option("--redo/--resume", show_default=False,
                                    help="Run finished rows again, or (as if not given) leave them as they are.")]
Jobs = Annotated[int, typer.Option(min=1, help="Rows at once, each in a process of its own; their times then say little.")]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="Equal bits in equal runs, at the price of other times.")]
Engine = Annotated[str, typer.Option("--engine", metavar="local|ray", help="This machine, or a Ray cluster.")]
Address = Annotated[str | None, typer.Option(help="host:port of the cluster's head, or auto. [default: one on this machine]")]
Devices = Annotated[int | None, typer.Option(min=1, help="Devices that share each batch. [default: 1]")]
DryRun = Annotated[bool, typer.Option(help="Print what would be run, and stop.")]
DataNames = Annotated[list[str] | None, typer.Option("--data", metavar="NAME", help="Look a data set through; repeatable.")]
Redownload = Annotated[bool, typer.Option("--redownload", help="Prepare a damaged set of --data anew.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds that a row may take, its start included.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Args:
        arguments: words after the program's name; None takes those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]
    try:
        return run(words)
    except BrokenPipeError:
        return quiet()
    except MISTAKES as error:
        if len(words) < len(given):
            raise
        print(f"Error: {error}", file=sys.stderr)
        return 2


def run(words: list[str]) -> int:
    """Hand the words to typer; its way out is an exception, whose code is returned."""
    try:
        with stopping(calm=False):
            app(words, prog_name="keras-vix", obj=shlex.join(["keras-vix", *words]))
    except SystemExit as end:
        sys.stdout.flush()
        return end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    return 0


def quiet() -> int:
    """Nobody reads the output any more (`| head`): point it nowhere, so that closing it says nothing either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


# ---- looking -------------------------------------------------------------------------------------------------------


@app.command("list")
def list_command(pattern: Pattern = "*") -> None:
    """Print the names of the models."""
    from . import list_models

    names = list_models(pattern)
    if not names:
        known = ", ".join(list_models())
        raise ValueError(f"A pattern must match a model. Received: {pattern!r}; the models are {known}.")
    print("\n".join(names))


@app.command("describe")
def describe_command(
    name: Name, dataset: Dataset = "cifar10", profile: Profile = "default", options: Options = None,
    as_json: AsJson = False,
) -> None:
    """Print what a model is and costs."""
    import dataclasses

    from .bench import store, suites

    suite = suites.make([{"preset": name}], name=name, forced={"dataset": dataset, "profile": profile} | pairs(options))
    ((_, description),) = suites.check(suite.units)
    print(store.to_json(dataclasses.asdict(description)) if as_json else description)


def pairs(options: Sequence[str] | None) -> dict[str, Any]:
    """The `--set` options as a dictionary; each may be given once."""
    from .bench.suites import pair

    found = [pair(option) for option in options or ()]
    keys = [key for key, _ in found]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"An option may be set once. Received: --set {key}=... {keys.count(key)} times.")
    return dict(found)


@app.command("suites")
def suites_command() -> None:
    """Print the experiments of the package: name, number of rows, title."""
    from .bench import suites

    found = [suites.load(suites.find(name)) for name in suites.named()]
    width = max(len(suite.name) for suite in found)
    for suite in found:
        print(f"{suite.name:<{width}} {len(suite.units):>4} rows  {suite.title}")


# ---- measuring -----------------------------------------------------------------------------------------------------


@app.command("bench")
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
    suite = choose(suite_file, suite_name, models, settings | pairs(options), seeds, up_to)
    engines = engine_of(engine, address, jobs)
    out = usable(out or Path("runs") / suite.name)
    from .bench import suites

    plans = suites.check(suite.units)
    if dry_run:
        show_plan(suite, plans, out)
        return
    suites.check_data(suite.units)
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

    from .bench import store, suites

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
        rows = suites.rows_of(models)
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
    from .bench import cluster

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
    from .bench import store

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
    from . import checks
    from .bench import report, runner
    from .bench.board import pages
    from .bench.environment import without_home
    from .bench.progress import progress

    checks.package("seaborn", "The figures of a benchmark")
    fingerprints = [unit.fingerprint for unit in suite.units]
    with pages(out, wait=True):
        report.describe_suite(out, suite.title, suite.description, without_home(command), fingerprints, suite.published)
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


class Request:
    """A request to stop, which signals make: at the next good moment, or at once where nothing can be torn.

    Args:
        calm: whether to wait for the good moment, at which somebody looks at `stop`.
    """

    def __init__(self, calm: bool):
        self.stop = threading.Event()
        self.calm = calm

    def __call__(self, *_: Any) -> None:
        if self.stop.is_set():
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # the cursor, which a live display hides
            os._exit(130)  # children notice and end, too
        self.stop.set()
        if not self.calm:
            raise SystemExit(130)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a request need not wait."""
        before, self.calm = self.calm, False
        try:
            yield
        finally:
            self.calm = before


@contextlib.contextmanager
def stopping(calm: bool = True) -> Iterator[Request]:
    """Inside, Ctrl-C, SIGTERM and a terminal that hangs up are requests to stop; the second one ends the process on the spot.

    Signals that somebody had ignored, as `nohup` does, stay ignored.
    """
    request = Request(calm)
    names = ("SIGINT", "SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    found = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heeded = [number for number in found if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, request) for number in heeded}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, a warning is one line on standard error, said once."""
    said = set()

    def say(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            print(f"Warning: {message}", file=sys.stderr)
        said.add(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = say
        yield


def show(rows: Sequence[dict[str, Any]], out: Path, title: str, as_json: bool) -> None:
    """Print the table at the end, or the rows as JSON."""
    from .bench import store, tables

    if as_json:
        print(store.to_json(tables.to_records(rows)), end="")
        return
    print_table(tables.to_rich(tables.told_apart(rows), title), sys.stdout)
    other = ", ".join(form for form in ("csv", "json", "tex") if (out / f"results.{form}").exists())
    print(f"Table: {out / 'results.md'} (and {other}). Page: {out / 'results.html'}. Figures: {out / 'figures'}.")


def print_table(table: Any, stream: IO[str]) -> None:
    """Print a table as wide as it needs where there is no terminal to fit."""
    import rich.console

    rich.console.Console(file=stream, width=None if stream.isatty() else 160).print(table)


@app.command("report")
def report_command(folders: Results, out: Pages = None, form: Format = None) -> None:
    """Remake tables, figures and the HTML page of a results folder, or of several on one page."""
    from .bench import report

    for folder in folders:
        if not (folder / "rows").is_dir():
            raise ValueError(f"A report needs a results folder with `rows` in it. Received: {str(folder)!r}.")
    formats = report.FORMATS if form is None else tuple(word.strip() for word in form.split(","))
    report.check_formats(formats)
    place = usable(out or folders[0])
    same = {folder.resolve() for folder in folders}
    if len(same) < len(folders) or (len(folders) > 1 and (out is None or out.resolve() in same)):
        told = " ".join(map(str, folders))
        raise ValueError(f"Several folders, each named once, need a further one to be joined in. Received: {told}; give --out.")
    with plain_warnings():
        rows = report.write(place, folders=folders, formats=formats)
    if not rows:
        print(f"Error: no usable row in {', '.join(str(folder / 'rows') for folder in folders)}.", file=sys.stderr)
        raise typer.Exit(1)
    show(rows, place, report.gather(folders).title, as_json=False)


# ---- the installation ----------------------------------------------------------------------------------------------


@app.command("doctor")
def doctor_command(data: DataNames = None, redownload: Redownload = False, as_json: AsJson = False) -> None:
    """Check the installation: packages, backend, data, disks, one training step; and with --data whole data sets."""
    from .bench import store
    from .bench.doctor import examine

    if redownload and not data:
        raise ValueError("--redownload is for the sets of --data. Received: --redownload without --data NAME.")
    findings = []
    for finding in examine(data or (), redownload):
        findings.append(finding)
        if not as_json:
            mark = {True: "ok  ", False: "FAIL", None: "note"}[finding.good]
            print(f"{mark} {finding.what}: {finding.words}", flush=True)
    if as_json:
        print(store.to_json([finding._asdict() for finding in findings]), end="")
    raise typer.Exit(1 if any(finding.good is False for finding in findings) else 0)
