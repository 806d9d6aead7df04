"""Answers that are written into the run folder, where other commands find them."""

from collections.abc import Mapping
from typing import Any

from ..machine.terminal import one_line
from ..runs.folder import RunFolder


def keep(
    folder: RunFolder, name: str, answer: Mapping[str, Any], asked: Mapping[str, Any]
) -> tuple[str, list[str]]:
    """Write what a command found into the run folder.

    Args:
        folder: Of the run.
        name: What was found, in one word, and the name of its file.
        answer: Everything that is to be written.
        asked: Those entries of ``answer`` that are the question.

    Returns:
        The file, empty if it could not be written; and what there is to say of that.
    """
    earlier = folder.path / f"{name}.json"
    try:
        file = folder.keep_answer(name, answer, asked)
    except OSError as error:
        return "", [
            f"The {name} could not be written into {folder.path} "
            f"({one_line(error).rstrip('.')}): what is printed is all there is."
        ]
    if file == earlier:
        return str(file), []
    return str(file), [
        f"{earlier} answers another question and stays; this one is in {file}."
    ]
