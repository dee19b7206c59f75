"""Tables for a paper: LaTeX with the rules of the booktabs package. Every text is escaped; what no font has is spelt out."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from .tables import Cell, Column, Grid, one_line

HEAD = (
    "% Tables to be read into a document that has \\usepackage{booktabs,graphicx,longtable}.",
    "% Any of them can be taken out alone.",
)
PARTS = (("accuracy", "Accuracy"), ("time", "Time"), ("memory", "Memory"), ("cost", "Size and multiply-adds"))
LONG = 40  # lines; a longer table may break over pages
WIDE = 100  # characters; a wider table is scaled to the line
SPECIAL = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "%": "\\%", "_": "\\_",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}",
    '"': "\\symbol{34}", "`": "\\symbol{96}", "[": "{[}", "]": "{]}", "–": "\\textendash{}", "—": "\\textemdash{}",
    "−": "$-$", "±": "$\\pm$", "×": "$\\times$", "≥": "$\\geq$", "≤": "$\\leq$", "²": "$^2$", "·": "$\\cdot$",
    "’": "'", "“": "``", "”": "\'\'",
}
ACCENTS = frozenset("\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u030c")
LETTERS = frozenset("ßæøåœÆØÅŒ")


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, whatever it contains; a character without a LaTeX name becomes its number, [U+1F600]."""
    plain = re.sub(r"([-',])(?=\1)", "\\1\0", one_line(text))  # two in a row would become one sign
    return "".join(SPECIAL.get(c) or spelt(c) for c in plain).replace("\0", "{}")


def spelt(character: str) -> str:
    """A character as it is where LaTeX prints it, else its number."""
    return character if printable(character) else f"{{[}}U+{ord(character):04X}{{]}}"


def printable(character: str) -> bool:
    """Whether every LaTeX prints the character: ASCII, and Latin letters with one common accent."""
    parts = unicodedata.normalize("NFD", character)
    accented = len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS
    return character.isascii() or accented or character in LETTERS


def heading(title: str) -> str:
    """A column's heading on up to two lines, broken where both are about as long."""
    words = escape(title).split(" ")
    if len(words) == 1:
        return words[0]
    cuts = range(1, len(words))
    best = min(cuts, key=lambda cut: max(len(" ".join(words[:cut])), len(" ".join(words[cut:]))))
    return f"\\shortstack{{{' '.join(words[:best])}\\\\{' '.join(words[best:])}}}"


def parts_of(table: Grid) -> list[Grid]:
    """A wide table as one for each group of columns, each with the name and the settings; a narrow one as it is."""
    groups = [(name, title) for name, title in PARTS if any(column.group == name for column in table.columns)]
    if not groups:
        return [table]
    return [part(table, name, f"{table.title}: {title.lower()}") for name, title in groups]


def part(table: Grid, group: str, title: str) -> Grid:
    """The columns of one group, and those that belong to none."""
    places = [place for place, column in enumerate(table.columns) if column.group in ("", group)]
    return table._replace(
        title=title, columns=[table.columns[place] for place in places],
        lines=[[line[place] for place in places] for line in table.lines],
    )


def to_latex(table: Grid, words: str = "") -> str:
    """One floating table; a long one may break over pages instead.

    Args:
        table: what to write; its notes stand below it.
        words: what the caption says after the title.
    """
    caption = f"\\caption{{{escape(' '.join(filter(None, (table.title.rstrip('.') + '.', words))))}}}"
    label = f"\\label{{tab:{re.sub('[^a-z0-9]+', '-', table.title.lower()).strip('-')}}}"
    notes = [f"\\par\\smallskip\\footnotesize {escape(note)}" for note in table.notes]
    if len(table.lines) > LONG:
        return "\n".join(breaking(table, caption + label, notes))
    inner = ["\\begin{tabular}{" + alignment(table.columns) + "}", *body(table), "\\end{tabular}"]
    if width(table) > WIDE:
        inner = ["\\resizebox{\\linewidth}{!}{%", *inner[:-1], inner[-1] + "}"]
    lines = ["\\begin{table}[htbp]", "\\centering", caption, label, "\\footnotesize\\setlength{\\tabcolsep}{4pt}"]
    return "\n".join([*lines, *inner, *notes, "\\end{table}"])


def alignment(columns: Sequence[Column]) -> str:
    """`l` for text and `r` for numbers."""
    return "".join("l" if column.write is str else "r" for column in columns)


def width(table: Grid) -> int:
    """About how many characters a line of the table has."""
    longest = [max([len(column.title) // 2 + 1, *(len(line[place].text) for line in table.lines)])
               for place, column in enumerate(table.columns)]
    return sum(longest) + 2 * len(longest)


def body(table: Grid) -> list[str]:
    """Rules, headings and lines of a table that stands on one page."""
    return ["\\toprule", headings(table.columns), "\\midrule", *lines_of(table.lines), "\\bottomrule"]


def headings(columns: Iterable[Column]) -> str:
    """The line of headings."""
    return " & ".join(heading(column.title) for column in columns) + " \\\\"


def lines_of(lines: Iterable[Sequence[Cell]]) -> list[str]:
    """A line for each row; the braces keep a first cell that starts with a bracket from being read as an option."""
    return ["{} " + " & ".join(escape(one.text) for one in line) + " \\\\" for line in lines]


def breaking(table: Grid, caption: str, notes: Sequence[str]) -> list[str]:
    """A table that repeats its headings on every page."""
    top = ["\\toprule", headings(table.columns), "\\midrule"]
    return [
        "\\begingroup\\scriptsize\\setlength{\\tabcolsep}{3pt}", "\\begin{longtable}{" + alignment(table.columns) + "}",
        caption + " \\\\", *top, "\\endfirsthead", *top, "\\endhead", "\\bottomrule", "\\endfoot", *lines_of(table.lines),
        "\\end{longtable}", *notes, "\\endgroup",
    ]


def page(tables: Iterable[Grid], words: str = "") -> str:
    """All tables as one file to be read into a document; of a table that notes nothing, `words` complete the caption."""
    return "\n\n".join(["\n".join(HEAD), *(to_latex(one, words) for table in tables for one in parts_of(table))]) + "\n"
