"""Recipes from TOML, with overrides."""

import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from .recipe import Recipe
from .values import one_of

RECIPES = Path(__file__).parents[1] / "recipes"


def recipe_names() -> list[str]:
    """Name the recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, then apply overrides.

    Args:
        name: One of `recipe_names`, or the path of a ``.toml`` file.
        overrides: ``key=value`` each, the value in TOML syntax; a choice may stand without
            quotes. The last one for a key wins.

    Raises:
        ValueError: If the recipe, a key or a value is unknown or impossible, a key is
            missing, or the file is not TOML.
        FileNotFoundError: If the path of a ``.toml`` file leads nowhere.

    Example:
        >>> load_recipe("cifar10-vgg9", ["epochs=2", "norm=shared"]).epochs
        2
    """
    path = Path(name)
    if path.suffix != ".toml":
        one_of("recipe", str(name), recipe_names(), "; or give the path of a .toml file")
        path = RECIPES / f"{name}.toml"
    values = _read(path)
    for override in overrides:
        key, value = _parse(override)
        values[key] = value
    required = [field.name for field in fields(Recipe) if field.default is MISSING]
    missing = [name for name in required if name not in values]
    if missing:
        raise ValueError(
            f"{path} must also set {', '.join(missing)}: these have no default."
        )
    return Recipe(**values)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"No recipe file {path} (looked in {Path.cwd()}). Recipes that ship with the "
            f"package go by name: {', '.join(recipe_names())}."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # both bad TOML and bad UTF-8
        raise ValueError(f"{path} is not a TOML file: {error}.") from error
    for key in values:
        one_of("recipe key", key, _keys(), f" (in {path})")
    return values


def _parse(override: str) -> tuple[str, Any]:
    key, equals, text = (part.strip() for part in override.partition("="))
    if not equals:
        raise ValueError(
            f"An override is written key=value, such as epochs=2, but got {override!r}."
        )
    one_of("recipe key", key, _keys())
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return key, text  # a bare word: `checked` takes it as a choice or refuses it
    if len(parsed) > 1:
        raise ValueError(f"An override sets one key, but {override!r} holds several lines.")
    return key, parsed["value"]


def _keys() -> list[str]:
    return [field.name for field in fields(Recipe)]
