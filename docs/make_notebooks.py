"""Run `examples/notebooks/` and write what they show into `docs/notebooks/`, one HTML page each: `make notebooks`.

With names, such as `1_classify`, these alone. What libraries say on standard error is left out.
"""

import html
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

HERE = Path(__file__).parent
BOOKS = HERE.parent / "examples/notebooks"
EXPORTER = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
STYLE = """
body { max-width: 58rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #20242b; }
pre, code { font-family: ui-monospace, monospace; font-size: .85rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.highlight { background: #f5f6f8; border-radius: 6px; padding: .6rem .8rem; margin: 1rem 0 .4rem; }
.output { margin: .4rem 0 1rem; overflow-x: auto; }
.anchor-link { display: none; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e3e6ec; }
.k, .kn, .kc, .ow { color: #8250df; } .s1, .s2, .sd { color: #0a6b3d; } .c1 { color: #6a737d; } .mi, .mf { color: #0550ae; }
"""


def main(names: list[str]) -> None:
    """Write the page of each notebook of these names, or of all."""
    out = HERE / "notebooks"
    out.mkdir(exist_ok=True)
    for path in sorted(BOOKS.glob("*.ipynb")):
        if not names or path.stem in names:
            (out / f"{path.stem}.html").write_text(page(path), encoding="utf-8")
            print(path.stem, flush=True)


def page(path: Path) -> str:
    """A notebook, executed in an empty folder, as one HTML page without scripts."""
    import tempfile

    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as place:
        NotebookClient(book, timeout=300, resources={"metadata": {"path": place}}).execute()
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    body, _ = EXPORTER.from_notebook_node(book)
    title = html.escape(book.cells[0].source.splitlines()[0].lstrip("# "))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"<head>{meta}<title>{title}</title><style>{STYLE}</style></head>"
    return f'<!doctype html>\n<html lang="en">\n{head}\n<body>\n{body}\n</body>\n</html>\n'


if __name__ == "__main__":
    main(sys.argv[1:])
