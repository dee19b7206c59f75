"""LaTeX, read by a small strict reader: known commands only, braces and environments that match, as many cells as columns."""

import re
import shutil
import subprocess

import pytest
import report_samples
import samples

from keras_vix.bench import figures, latex, report, seeds, tables

COMMANDS = {
    "begin", "end", "centering", "caption", "label", "footnotesize", "scriptsize", "setlength", "tabcolsep", "resizebox", "linewidth", "toprule",
    "midrule", "bottomrule", "shortstack", "pm", "times", "geq", "leq", "cdot", "textbackslash", "textasciitilde", "textasciicircum", "textless",
    "textgreater", "textbar", "textendash", "textemdash", "symbol", "par", "smallskip", "begingroup", "endgroup", "endfirsthead", "endhead",
    "endfoot",
}  # fmt: skip
TOKEN = re.compile(r"%[^\n]*\n?|\\([A-Za-z]+)|\\(.)|([{}$&#^_~])|[^\\{}$&#^_~%]+", re.DOTALL)


def read(text: str) -> list[list[int]]:
    """Check a whole file; returns for each tabular the number of cells of each of its lines."""
    depth, maths, open_environments, found = 0, False, [], []
    for match in TOKEN.finditer(text):
        command, symbol, special = match.groups()
        if command:
            assert command in COMMANDS, command
            if command in ("begin", "end"):
                name = re.match(r"\{(\w+)\}", text[match.end():]).group(1)
                if command == "begin":
                    open_environments.append((name, depth))
                    if name in ("tabular", "longtable"):
                        columns = re.match(r"\{\w+\}\{([lr]+)\}", text[match.end():]).group(1)
                        found.append((len(columns), [1]))
                else:
                    assert open_environments.pop() == (name, depth)
        elif symbol == "\\" and found and depth == inside(open_environments):
            found[-1][1].append(1)
        elif symbol:
            assert symbol in "\\{}$&#%_", symbol
        elif special == "{":
            depth += 1
        elif special == "}":
            depth -= 1
            assert depth >= 0
        elif special == "$":
            maths = not maths
        elif special == "&":
            assert depth == inside(open_environments) is not None
            found[-1][1][-1] += 1
        elif special:
            assert special == "^" and maths, f"{special} in {text[match.start() - 30:match.end() + 30]!r}"
        else:
            assert all(c.isascii() or latex.printable(c) for c in match.group()), match.group()
    assert depth == 0 and not maths and not open_environments
    for columns, lines in found:
        assert set(lines[:-1]) <= {columns, 1} and columns in lines  # a lone cell: the caption of a longtable
    return [lines[:-1] for _, lines in found]


def inside(environments):
    """The depth of braces in the innermost table; None outside."""
    return environments[-1][1] if environments and environments[-1][0] in ("tabular", "longtable") else None


def test_the_reader_finds_mistakes():
    good = "\\begin{tabular}{lr}\n\\toprule\na & 1 \\\\\n\\end{tabular}\n"
    assert read(good) == [[2]]
    for bad in ("a_b", "$", "{", "}", "a & b", "\\input{x}", good.replace("a & 1", "a & 1 & 2"), good.replace("\\end{tabular}", ""), "x ^ y", "#", "😀"):
        with pytest.raises((AssertionError, AttributeError)):
            read(bad)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("performer_relu m=16", "performer\\_relu m=16"), ("50% of $5 & #1", "50\\% of \\$5 \\& \\#1"), ("\\input{x}", "\\textbackslash{}input\\{x\\}"),
        ("a ~ b^2", "a \\textasciitilde{} b\\textasciicircum{}2"), ("[x] <y|z>", "{[}x{]} \\textless{}y\\textbar{}z\\textgreater{}"),
        ("--models ''a'' ,,", "-{}-models '{}'a'{}' ,{},"), ("0.91 ± 0.01 – é", "0.91 $\\pm$ 0.01 \\textendash{} é"),
        ("😀 中", "{[}U+1F600{]} {[}U+4E2D{]}"), ("a\nb\x00", "a b"), ("", ""),
    ],
)
def test_escapes(text, escaped):
    assert latex.escape(text) == escaped


def test_a_small_table_is_exactly_this():
    table = tables.Grid("A title", [tables.Column("label", "Model"), tables.Column("x", "Test accuracy", tables.fraction)],
                        [[tables.Cell("a_b"), tables.Cell("0.5")]], (), ["A note."])
    assert latex.to_latex(table, "Data: 50%.") == (
        "\\begin{table}[htbp]\n\\centering\n\\caption{A title. Data: 50\\%.}\n\\label{tab:a-title}\n"
        "\\footnotesize\\setlength{\\tabcolsep}{4pt}\n\\begin{tabular}{lr}\n\\toprule\nModel & \\shortstack{Test\\\\accuracy} \\\\\n"
        "\\midrule\n{} a\\_b & 0.5 \\\\\n\\bottomrule\n\\end{tabular}\n\\par\\smallskip\\footnotesize A note.\n\\end{table}"
    )


def test_wide_tables_come_in_parts_each_with_the_name():
    (table,) = tables.grids([report_samples.done("a"), report_samples.done("b", seed=1)])
    parts = latex.parts_of(table)
    assert [part.title for part in parts] == ["Results: accuracy", "Results: time", "Results: memory", "Results: size and multiply-adds"]
    for part in parts:
        assert [column.title for column in part.columns][:2] == ["Model", "Seed"] and len(part.columns) <= 15
    shown = {column.key for part in parts for column in part.columns}
    assert shown == {column.key for column in table.columns} - {"backend", "device"}


@pytest.mark.parametrize("rows", [samples.suite(), report_samples.mixed(), [samples.broken()], [report_samples.cost()]], ids=("suite", "mixed", "failed", "cost"))
def test_a_page_is_sound(rows):
    every = read(latex.page([*tables.grids(rows), *([seeds.grid(rows)] if seeds.repeated(rows) else [])], tables.setting(rows)))
    assert all(len(lines) >= 2 for lines in every)


def test_a_long_table_breaks_over_pages():
    rows = [report_samples.done("performer_relu", seed) for seed in range(60)]
    text = latex.page(tables.grids(rows))
    assert "\\begin{longtable}" in text and "tabular" not in text
    assert all(len(lines) >= 61 for lines in read(text))


def document(body: str) -> str:
    return "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,graphicx,longtable}\n\\begin{document}\n" + body + "\\end{document}\n"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The tables of rows whose texts are LaTeX."""
    out = report_samples.folder(tmp_path_factory.mktemp("hostile"), report_samples.hostile(), report_samples.HOSTILE[8], "", report_samples.HOSTILE[9])
    report.write(out, formats=("tex",))
    return (out / "results.tex").read_text()


def test_hostile_texts_are_sound(hostile):
    assert len(read(hostile)) >= 3 and "\\input" not in hostile and hostile.count("\\end{table}") == hostile.count("\\begin{table}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(hostile, tmp_path):
    (tmp_path / "x.tex").write_text(document(hostile))
    done = subprocess.run(["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "x.tex"], cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


def test_published_tables_are_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "files_of", lambda drawing: None)
    rows = [samples.done("vit", dataset="cifar10"), samples.done("hybrid_vip", dataset="cifar10")]
    report.write(report_samples.folder(tmp_path, rows, study="hybrid_xformers_2022"), formats=("tex",))
    text = (tmp_path / "results.tex").read_text()
    assert "Table 1, CIFAR-10" in text and len(read(text)) >= 4
