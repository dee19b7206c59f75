"""`keras-vix report`: tables, figures and pages of what is stored."""

import sys

import typer

from .options import AsJson, Format, Pages, Results
from .bench import usable
from .stopping import plain_warnings
from .tables import show


def report_command(folders: Results, out: Pages = None, form: Format = None, as_json: AsJson = False) -> None:
    """Remake tables, figures and the HTML page of a results folder, or of several on one page."""
    from ..bench import report

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
    show(rows, place, report.gather(folders).title, as_json)
