"""What a newcomer probably meant: hints for words that are no command."""

import difflib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from ..config import Recipe, recipe_names

KEYS = [field.name for field in fields(Recipe)]


def meant_overrides(words: Sequence[str]) -> str:
    """Say how keys of a recipe are changed, if some stand among the words in another way.

    That is as options, or as a bare ``key=value``.

    Args:
        words: What follows ``bntt train``.

    Example:
        >>> meant_overrides(["digits", "--epochs", "3", "lr=0.1"])
        'Keys of the recipe are changed with --set: --set epochs=3 --set lr=0.1'
    """
    found = []
    for place, word in enumerate(words):
        after_set = place > 0 and words[place - 1] == "--set"
        key, equals, value = word.partition("=")
        if after_set and equals:
            continue
        key = _key(key.lstrip("-"), guess=word.startswith("--"))
        if key is None or not (equals or after_set or word.startswith("-")):
            continue
        if not equals:
            following = words[place + 1 : place + 2]
            value = following[0] if following else "VALUE"
        found.append(f"--set {key}={value}")
    if not found:
        return ""
    return f"Keys of the recipe are changed with --set: {' '.join(found)}"


def meant_run(given: Path) -> str:
    """Say what was probably meant by a path where no run lies; empty if nothing is known.

    It may be the name of a run in ``runs``, or that of a recipe.
    """
    by_habit = Path("runs", given.name)
    if given != by_habit and (by_habit / "recipe.toml").is_file():
        return f"Did you mean {by_habit}?"
    if str(given) in recipe_names():
        return f"{given} is a recipe: train it first, with bntt train {given}."
    return ""


def _key(word: str, guess: bool) -> str | None:
    """The recipe's key that a word is, or probably means if guessing is allowed."""
    name = word.replace("-", "_")
    if name in KEYS:
        return name
    near = difflib.get_close_matches(name, KEYS, n=1, cutoff=0.8) if guess else []
    return near[0] if near else None
