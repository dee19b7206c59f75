"""The command line, `keras-vix`: a file for each command; this one names them and turns what they raise into exit codes.

Exit codes: 0 all is well; 1 something that ran failed; 2 the call makes no sense, and nothing was started; 130 stopped
by Ctrl-C, SIGTERM or SIGHUP. Errors are one message on standard error; `--debug` shows where they come from.
"""

import os
import shlex
import sys
from collections.abc import Sequence

try:
    import typer
except ImportError as error:
    raise ImportError("The command line needs typer and rich; run pip install typer rich.") from error

from .advise import advise_command
from .bench import bench_command
from .doctor import doctor_command
from .export import export_command
from .look import list_command, show_command, suites_command
from .report import report_command
from .stopping import stopping
from .tune import tune_command

MISTAKES = (ValueError, TypeError, OSError, ImportError)
COMMANDS = {
    "list": list_command, "show": show_command, "suites": suites_command, "bench": bench_command, "report": report_command,
    "tune": tune_command,
    "export": export_command, "advise": advise_command, "doctor": doctor_command,
}  # fmt: skip
FORMER = {"describe": show_command}

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Efficient vision transformers: look at them, and measure them.",
    epilog="--debug, anywhere, shows the traceback of an error.",
)
for name, command in COMMANDS.items():
    app.command(name)(command)
for name, command in FORMER.items():
    app.command(name, hidden=True)(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Args:
        arguments: words after the program's name; None takes those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]
    try:
        return run(words)
    except BrokenPipeError:
        return quiet()
    except MISTAKES as error:
        if len(words) < len(given):
            raise
        from ..bench.clean import words as legible

        print(f"Error: {legible(error)}", file=sys.stderr)
        return 2


def run(words: list[str]) -> int:
    """Hand the words to typer; its way out is an exception, whose code is returned."""
    try:
        with stopping(calm=False):
            app(words, prog_name="keras-vix", obj=shlex.join(["keras-vix", *words]))
    except SystemExit as end:
        sys.stdout.flush()
        if end.code == 2 and words:
            print(f"Received: {shlex.join(['keras-vix', *words])}", file=sys.stderr)
        return end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    return 0


def quiet() -> int:
    """Nobody reads the output any more (`| head`): point it nowhere, so that closing it says nothing either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
