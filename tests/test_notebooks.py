"""The notebooks are kept without output, and the pages that show them hold their very code; `make notebooks` runs them."""

import html
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BOOKS = sorted((ROOT / "examples/notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict]:
    """The cells of one kind."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def squeezed(text: str) -> str:
    """Without white space."""
    return re.sub(r"\s", "", text)


def test_there_are_six():
    assert [path.stem[0] for path in BOOKS] == list("123456")


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_a_notebook_has_no_output_and_begins_with_words(path):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path, "code"))
    assert json.loads(path.read_text())["cells"][0]["source"][0].startswith("# ")


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_its_page_shows_its_code_as_it_is_now(path):
    page = (ROOT / "docs/notebooks" / f"{path.stem}.html").read_text()
    shown = squeezed(html.unescape(re.sub(r"<[^>]+>", "", page)))
    for cell in cells(path, "code"):
        assert squeezed("".join(cell["source"])) in shown, "run: make notebooks"
    assert "Traceback" not in page and "/tmp/" not in page and "/home/" not in page
    assert f"notebooks/{path.stem}.html" in (ROOT / "docs/notebooks.md").read_text()
