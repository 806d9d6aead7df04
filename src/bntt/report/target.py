"""Where a picture goes: known to be possible beforehand, and there whole afterwards."""

import os
from pathlib import Path
from typing import Any

from ..machine.extras import how_to_install
from ..machine.files import replacing


def check_target(path: str | Path) -> None:
    """Find out before the work whether its picture can be drawn there.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the ending is no format that matplotlib writes.
        FileNotFoundError: If the folder is missing.
        OSError: If a folder is in the way, or nothing may be written there.
    """
    path = Path(path)
    known = new_figure((1, 1)).canvas.get_supported_filetypes()
    ending = path.suffix.removeprefix(".").lower()
    if ending not in known:
        raise ValueError(
            f"{path.name} is no picture that can be drawn: the ending {ending!r} is not "
            f"supported. Take .png or .pdf, or one of {', '.join(sorted(known))}."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the picture's file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {path.parent} for the picture {path.name}. Make it, or "
            f"name another."
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            f"Nothing may be written in {path.parent}, where the picture {path.name} is to "
            f"go. Name another folder."
        )


def new_figure(inches: tuple[float, float], **style: Any) -> Any:
    """Return an empty figure; the style is matplotlib's.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"A figure needs matplotlib, which is not installed: {how_to_install('plot')}"
        ) from error
    return Figure(figsize=inches, **style)


def save(figure: Any, path: str | Path, dpi: int) -> None:
    """Write the picture, so that a reader finds the old one or the new one, whole.

    Raises:
        ValueError: If the ending is no format that matplotlib writes.
        NotWritten: If the folder cannot be written or the disk is full.
    """
    check_target(path)
    with replacing(path) as temporary:
        # the temporary file's own ending is no picture's
        ending = Path(path).suffix.removeprefix(".").lower()
        figure.savefig(temporary, dpi=dpi, format=ending)
