"""Which lines, and which `raise` statements, of the package no test has reached: `python -m tests.raises build/coverage/data`.

Ends with 1 if fewer than 90 % of the lines were, or if a `raise` was not.
"""

import ast
import pathlib
import sys

import coverage

ROOT = pathlib.Path(__file__).resolve().parents[1]
LEAST = 0.9


def raises(path: pathlib.Path) -> list[tuple[int, int]]:
    """First and last line of every `raise` statement."""
    return [(node.lineno, node.end_lineno) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]


def main(data_file: str) -> int:
    """Print what was not reached; 1 if that is too much."""
    run = coverage.Coverage(data_file=data_file)
    run.load()
    lines, reached, missed = 0, 0, []
    for path in sorted((ROOT / "keras_vix").rglob("*.py")):
        _, statements, _, absent, _ = run.analysis2(str(path))
        lines, reached = lines + len(statements), reached + len(statements) - len(absent)
        missed += [f"{path.relative_to(ROOT)}:{first}" for first, last in raises(path) if set(range(first, last + 1)) & set(absent)]
    total = sum(len(raises(path)) for path in (ROOT / "keras_vix").rglob("*.py"))
    print(f"{reached} of {lines} lines reached: {100 * reached / lines:.1f} %")
    print(f"{total - len(missed)} of {total} raise statements reached", *missed, sep="\n")
    return int(reached < LEAST * lines or bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
