"""Published tables, printed beside what was measured here. The figures are data, in `studies/`."""

from collections.abc import Sequence

from .studies import columbia_2024, hybrid_xformers_2022, ieor_2023
from .studies.study import DATASETS, PublishedTable, Study
from .tables import DASH, Row, escape_markdown

# Which tables a suite can be put beside.
STUDIES: dict[str, Study] = {
    "columbia_2024": columbia_2024.STUDY,
    "hybrid_xformers_2022": hybrid_xformers_2022.STUDY,
    "ieor_2023": ieor_2023.STUDY,
}
WORDS = {True: "holds", False: "does not hold", None: DASH}


def study_of(name: str) -> Study:
    """A study by its name.

    Raises:
        ValueError: there is no such study.
    """
    if name not in STUDIES:
        raise ValueError(f"published must be one of {', '.join(STUDIES)}. Received: published={name!r}.")
    return STUDIES[name]


def tables(study: str, rows: Sequence[Row]) -> list[PublishedTable]:
    """The published tables of which a row was run, with our figures in them, and last which of the relations hold.

    Args:
        study: a name of `STUDIES`.
        rows: ours, of any kind; those that belong to no published row are left out.

    Raises:
        ValueError: there is no such study.
    """
    found = study_of(study).tables(rows)
    held = [one for one in relations(study, rows) if concerns(one[0], rows)] if found else []
    if held:
        cells = [[sentence, WORDS[theirs], WORDS[ours]] for sentence, theirs, ours in held]
        about = "Computed from the figures, published and ours. A dash: not all rows that the sentence is about are done."
        columns = ("Relation", "published", "ours")
        found.append(PublishedTable("Which of the published relations hold", columns, cells, [], about, columns))
    return found


def relations(study: str, rows: Sequence[Row]) -> list[tuple[str, bool, bool | None]]:
    """What can be said of a study's figures: the sentence, whether it is true of them, and whether of ours.

    Ours are means over all finished rows of a kind, whatever their seed; None where a figure is missing.

    Raises:
        ValueError: there is no such study.
    """
    found = study_of(study)
    theirs, ours = found.theirs(), found.ours(rows)
    return [(one.sentence, bool(one.holds(theirs)), known(one.holds, ours)) for one in found.relations]


def concerns(sentence: str, rows: Sequence[Row]) -> bool:
    """Whether a sentence is about a data set of these rows, or names none in front."""
    about = sentence.partition(": ")[0]
    return about not in DATASETS.values() or about in {DATASETS.get(str(row.get("dataset"))) for row in rows}


def known(holds, figures) -> bool | None:
    """Whether a relation holds; None if a figure is missing."""
    try:
        return bool(holds(figures))
    except KeyError:
        return None


def sections(study: str, rows: Sequence[Row]) -> list[str]:
    """Markdown: a paragraph on the study, then its tables of which a row was run.

    Raises:
        ValueError: there is no such study.
    """
    found = study_of(study)
    return [f"## Beside the published tables\n\n{found.source}. {found.note}", *map(markdown, tables(study, rows))]


def markdown(table: PublishedTable) -> str:
    """A table under its heading."""
    lines = ["| " + " | ".join(map(escape_markdown, table.columns)) + " |"]
    lines.append("|" + "".join(":---|" if column in table.left else "---:|" for column in table.columns))
    lines += ["| " + " | ".join(map(escape_markdown, cells)) + " |" for cells in table.rows]
    lines += [""] + [f"- {escape_markdown(note)}." for note in table.notes] if table.notes else []
    about = f"{table.about}\n\n" if table.about else ""
    return f"### {escape_markdown(table.title)}\n\n{about}" + "\n".join(lines)
