"""The command line: its commands, exit codes and interrupts.

Slow imports wait inside the commands, so that help needs none of them.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..machine import terminal
from ..machine.interrupt import unwinding
from ..machine.shortage import described, ran_out
from ..machine.terminal import one_line
from ..version import __version__
from .benchmark import benchmark
from .data import data
from .energy import energy
from .errors import Stopped, is_bad_input
from .evaluate import evaluate
from .predict import predict
from .recipes import recipes
from .report import report
from .train import train

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, also where a command ends by itself."""

UsageError: Any = typer.BadParameter.__mro__[1]  # newer typers bring a click of their own

app = typer.Typer(
    help="Train low-latency deep spiking networks and look at what they do.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"bntt {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Say which.")
    ] = False,
) -> None:
    pass


app.command(epilog="Example: bntt train digits --out runs/digits --set epochs=20")(train)
app.command(epilog="Example: bntt evaluate runs/digits --seeds 5")(evaluate)
app.command(epilog="Example: bntt predict runs/digits seven.png --invert")(predict)
app.command(epilog="Example: bntt energy runs/digits --constants 45nm")(energy)
app.command(epilog="Example: bntt report runs/digits --out digits.html")(report)
app.command(epilog="Example: bntt data cifar10 --from data")(data)
app.command(epilog="Example: bntt recipes")(recipes)
app.command(epilog="Example: bntt benchmark speed --out speed.json")(benchmark)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 only on success, 2 for bad input.

    What is wrong with the input stands in one line on stderr; ``BNTT_TRACEBACK=1`` lets
    the exception through instead. Ctrl-C gives 130, an answer that nobody reads 1.
    """
    terminal.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    with unwinding(["SIGINT"]):
        try:
            code = _run(words)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Stopped:
            return INTERRUPTED if terminal.finish() else 1
        if code == INTERRUPTED:
            terminal.note("bntt: Interrupted.")
        return code if terminal.finish() else code or 1


def _run(words: list[str]) -> int:
    """Run a command; what it raises becomes an exit code and a line on stderr."""
    try:
        # a command returns nothing, an early exit its code
        return app(words or ["--help"], prog_name="bntt", standalone_mode=False) or 0
    except typer.Abort as error:  # what typer makes of Ctrl-C, and of EOFError
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__ from None
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        return 1
    except Stopped:
        raise
    except terminal.Unheard as error:
        terminal.note(f"bntt: {error}")
        return 1
    except UsageError as error:
        message = _usage(error, words)
    except Exception as error:
        if ran_out(error):
            message = described(error)
        elif os.environ.get("BNTT_TRACEBACK") or not is_bad_input(error):
            raise
        else:
            message = one_line(error)
    terminal.note(f"bntt: {message}")
    return 2


def _usage(error: Any, words: Sequence[str]) -> str:
    """What is wrong with the words, and what was probably meant."""
    from .mistakes import meant_overrides

    where = error.ctx.command_path if error.ctx else "bntt"
    sentences = [error.format_message().rstrip(".")]
    if where == "bntt train":
        sentences += filter(None, [meant_overrides(words[1:])])
    return f"{'. '.join(sentences)}. See {where} --help"
