"""The table at the end of a command."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any


def show(rows: Sequence[dict[str, Any]], out: Path, title: str, as_json: bool) -> None:
    """Print the table at the end, or the rows as JSON."""
    from ..bench import store, tables

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
