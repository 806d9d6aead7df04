"""Choice among known words: errors name what came, what was meant, and what there is."""

import difflib
from collections.abc import Iterable
from typing import Any

LONGEST = 60
"""The most characters of a value that a message shows."""


def one_of(what: str, got: Any, known: Iterable[str], more: str = "") -> None:
    """Refuse a value that is not among the known words, and suggest the nearest.

    Args:
        what: What the words are, such as ``"recipe key"``.
        got: The word, or whatever came in its place.
        known: All words that there are, in the order in which the message lists them.
        more: What follows that list, such as ``" (in FILE)"``.

    Raises:
        ValueError: Naming what came, what is nearest to it and what is known.

    Example:
        >>> one_of("norm", "bnt", ("bntt", "none"))
        Traceback (most recent call last):
        ValueError: Unknown norm 'bnt'. Did you mean 'bntt'? Known: bntt, none.
    """
    known = tuple(known)
    if isinstance(got, str) and got in known:
        return
    near = difflib.get_close_matches(got, known, n=1) if isinstance(got, str) else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Unknown {what} {said(got)}.{hint} Known: {', '.join(known)}{more}.")


def said(value: Any) -> str:
    """A value of any kind as a message shows it: on one line, and cut where it is long."""
    try:
        # Python refuses to write very long numbers with the digits that people count in
        text = hex(value) if isinstance(value, int) and abs(value) > 2**64 else repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or holds such a number
        text = f"<{type(value).__name__}>"
    text = " ".join(line.strip() for line in text.splitlines())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
