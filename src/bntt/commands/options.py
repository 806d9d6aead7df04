"""What several commands take and answer with: their words, run folders, JSON."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from ..machine import strict_json, terminal

FEWER_STEPS = "Ask for fewer with --num-steps, or for smaller files"
"""What helps a network that does not fit into memory when it only answers."""


def expanded(word: str | Path) -> Path:
    """A path; ``~`` is home where the shell leaves it, too, as in ``--out=~/x``."""
    path = Path(word)
    with suppress(RuntimeError):  # ~somebody who has no home here
        path = path.expanduser()
    return path


Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", parser=expanded, help="Folder that bntt train wrote."),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", parser=expanded, help="Run folder; else runs/RECIPE."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", parser=expanded, help="Where the image set lies; else the cache."
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Stop after so many time-steps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


def folder_of(run: Path) -> Path:
    """The run folder that is meant: also where one of its files is named.

    Raises:
        FileNotFoundError: If there is none, and what was probably meant is known.
    """
    from .mistakes import meant_run

    if run.is_file() and (run.parent / "recipe.toml").is_file():
        return run.parent
    hint = "" if run.is_dir() else meant_run(run)
    if hint:
        raise FileNotFoundError(f"There is no run folder {run}. {hint}")
    return run


def print_json(**values: Any) -> None:
    """Print one JSON object, for programs; a number that is not finite is ``null``."""
    terminal.out(strict_json.dumps(values))
