"""The command ``bntt report``: one page on what runs are, cost, and when they may stop."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..machine.terminal import out as say
from ..version import __version__
from .options import Data, expanded, folder_of


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", parser=expanded, help="Folders that bntt train wrote."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=expanded, help="The page; else report.html in RUN."
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Write one HTML page on finished runs: figures, numbers, recipe, and their origin.

    The page is one file and loads nothing. It holds what other commands left in the
    folders, and what the network itself says, such as the exit by its gains.
    """
    from ..analysis.run_facts import facts_of
    from ..machine.files import replacing
    from ..report.page import check_installed, page

    check_installed()
    folders = [folder_of(run) for run in runs]
    path = out or folders[0] / "report.html"
    _check(path)
    made = f"Made by bntt {__version__} on {datetime.now(UTC):%Y-%m-%d at %H:%M} UTC."
    names = _names(folders)
    facts = [
        facts_of(run, name, data=data) for run, name in zip(folders, names, strict=True)
    ]
    text = page(facts, made)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    say(f"{path}: {len(text.encode()) / 1e6:.1f} MB. Open it in a browser.")


def _names(folders: list[Path]) -> list[str]:
    """What the runs are called: by their folders, or by whole paths if some are alike."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _check(path: Path) -> None:
    """Refuse before the work a place where no page can be written."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the page's file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {path.parent} for the page {path.name}. Make it, or name "
            f"another with --out."
        )
