"""How the pages are built: `make docs`, which is `sphinx-build -W -c docs . build/docs` after the pages of the presets are made.

The source is the whole checkout, not `docs/` alone, so that links to the README, to results and to examples lead somewhere on the
pages as they do in a checkout.
"""

import inspect
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import keras_vix  # noqa: E402

project, author = "keras_vix", "The authors of keras_vix"
project_copyright = author
release = version = keras_vix.__version__

root_doc = "docs/index"
SENTENCE = 60  # letters in a cell of a table, above which its lines break
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
include_patterns = [
    "docs/**", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/*.md", "benchmarks/**/*.md",
]  # fmt: skip
exclude_patterns = [".*", "build", "dist", "runs", "keras_vix", "tests", "examples", "*.egg-info", "**/.*"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "keras_vix"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "tango", "monokai"

# Docstrings are plain prose: a backtick is code, and nothing else means anything.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autosummary_generate = False
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype = False
add_module_names = False
MARKS = re.compile(r"(`[^`]*`)|([*|_\\])")


def plain(app, what, name, obj, options, lines):
    """Take the meaning from what reStructuredText would read as a mark, outside of backticks and of examples, which are code."""
    parts = inspect.cleandoc("\n".join(lines)).split("\n\n")
    for place, part in enumerate(parts):
        if not part.lstrip().startswith(">>>"):
            parts[place] = MARKS.sub(lambda found: found[1] or "\\" + found[2], part)
    lines[:] = "\n\n".join(parts).splitlines()


def called(app, what, name, obj, options, signature, answer):
    """What a class is called with; Keras wraps its layers, so that only `*args, **kwargs` would be seen."""
    if what == "class" and "__init__" in vars(obj) and signature == "(*args, **kwargs)":
        first, *others = inspect.signature(obj.__init__).parameters.values()
        shown = [one.replace(annotation=one.empty) for one in others]
        return str(inspect.Signature(shown)), answer


def with_notebooks(app, exception):
    """Pages of notebooks are HTML already: copied to where `docs/notebooks.md` has them. The folder leads to the first page."""
    if exception is None:
        (Path(app.outdir) / "index.html").write_text('<meta http-equiv="refresh" content="0; url=docs/index.html">\n')
        shutil.copytree(HERE / "notebooks", Path(app.outdir) / "docs/notebooks", dirs_exist_ok=True)


def sentences_wrap(app, doctree):
    """Tables that hold sentences are told from tables of figures: their lines may break."""
    from docutils import nodes

    for table in doctree.findall(nodes.table):
        if any(len(cell.astext()) > SENTENCE for cell in table.findall(nodes.entry)):
            table["classes"].append("sentences")


def setup(app):
    """Docstrings go through `plain` before anything else sees them."""
    app.connect("doctree-read", sentences_wrap)
    app.connect("autodoc-process-docstring", plain, priority=100)
    app.connect("autodoc-process-signature", called)
    app.connect("build-finished", with_notebooks)
