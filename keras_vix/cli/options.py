"""The words of the command line that several commands share, and what they mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def models(incomplete: str) -> list[str]:
    """Names of models that begin as typed, for the shell."""
    from .. import list_models

    return [name for kind in ("image", "sequence") for name in list_models(kind=kind) if name.startswith(incomplete)]


def suites(incomplete: str) -> list[str]:
    """Names of experiments that begin as typed, for the shell."""
    from ..bench.suites import named

    return [name for name in named() if name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(metavar="NAME", help="A model, as `keras-vix list` prints it.", autocompletion=models)]
Pattern = Annotated[str, typer.Argument(metavar="[PATTERN]", help="A shell-style pattern, such as '*performer*'.")]
SuiteFile = Annotated[Path | None, typer.Argument(help="An experiment as a TOML file.", metavar="[SUITE.toml]")]
SuiteName = Annotated[str | None, typer.Option(
    "--suite", help="An experiment of the package, as `keras-vix suites` prints it.", autocompletion=suites)]
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
Jobs = Annotated[int, typer.Option(min=1, max=256,
                                   help="Rows at once, each in a process of its own; their times then say little.")]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="Equal bits in equal runs, at the price of other times.")]
Engine = Annotated[str, typer.Option("--engine", metavar="local|ray", help="This machine, or a Ray cluster.")]
Address = Annotated[str | None, typer.Option(help="host:port of the cluster's head, or auto. [default: one on this machine]")]
Devices = Annotated[int | None, typer.Option(min=1, help="Devices that share each batch. [default: 1]")]
DryRun = Annotated[bool, typer.Option(help="Print what would be run, and stop.")]
DataNames = Annotated[list[str] | None, typer.Option("--data", metavar="NAME", help="Look a data set through; repeatable.")]
Redownload = Annotated[bool, typer.Option("--redownload", help="Prepare a damaged set of --data anew.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds that a row may take, its start included.")]


def pairs(options: Sequence[str] | None) -> dict[str, Any]:
    """The `--set` options as a dictionary; each may be given once."""
    from ..bench.typed import pair

    found = [pair(option) for option in options or ()]
    keys = [key for key, _ in found]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"An option may be set once. Received: --set {key}=... {keys.count(key)} times.")
    return dict(found)
