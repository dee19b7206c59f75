"""`keras-vix list`, `show`, `suites`: what there is, before anything is trained."""

import dataclasses
from typing import Annotated

import typer

from .options import AsJson, Dataset, Name, Options, Pattern, Profile, pairs

Kind = Annotated[str, typer.Option("--kind", metavar="image|sequence", help="Models of images, or of sequences.")]


def list_command(pattern: Pattern = "*", kind: Kind = "image", as_json: AsJson = False) -> None:
    """Print the names of the models; as JSON with titles and sources."""
    from .. import list_models
    from ..bench import store
    from ..zoo import PRESETS, SEQUENCES

    names = list_models(pattern, kind=kind)
    if not names:
        known = ", ".join(list_models(kind=kind))
        raise ValueError(f"A pattern must match a model. Received: {pattern!r}; the models are {known}.")
    if not as_json:
        print("\n".join(names))
        return
    rows = {name: (PRESETS if kind == "image" else SEQUENCES)[name] for name in names}
    print(store.to_json([{"name": name, "title": row.title, "source": row.source} for name, row in rows.items()]), end="")


def show_command(
    name: Name, dataset: Dataset = None, profile: Profile = "default", options: Options = None, as_json: AsJson = False,
) -> None:
    """Print what a model is and costs."""
    from .. import list_models
    from ..bench import preflight, store, suites
    from ..train import describe
    from ..zoo.configure import default_dataset

    if name in list_models(kind="sequence"):
        description = describe(name, dataset=dataset, profile=profile, **pairs(options))
    else:
        forced = {"dataset": dataset or default_dataset(name), "profile": profile} | pairs(options)
        ((_, description),) = preflight.check(suites.make([{"preset": name}], name=name, forced=forced).units)
    print(store.to_json(dataclasses.asdict(description)) if as_json else description)


def suites_command(as_json: AsJson = False) -> None:
    """Print the experiments of the package: name, number of rows, title."""
    from ..bench import store, suites

    found = [suites.load(suites.find(name)) for name in suites.named()]
    if as_json:
        rows = [{"name": suite.name, "rows": len(suite.units), "title": suite.title} for suite in found]
        print(store.to_json(rows), end="")
        return
    width = max(len(suite.name) for suite in found)
    for suite in found:
        print(f"{suite.name:<{width}} {len(suite.units):>4} rows  {suite.title}")
