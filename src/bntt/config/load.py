"""Recipes are read from TOML, and single keys are overridden."""

import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ..choices import one_of, said
from .recipe import Recipe
from .text import decoded

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
    if (path / "recipe.toml").is_file():
        raise ValueError(
            f"{path} is a run folder, and no recipe. Go on with its run by bntt train "
            f"{path / 'recipe.toml'} --out {path} --resume."
        )
    if path.suffix != ".toml":
        one_of("recipe", str(name), recipe_names(), "; or give the path of a .toml file")
        path = RECIPES / f"{name}.toml"
    values = _read(path)
    overridden = dict(_parse(override) for override in overrides)
    required = [field.name for field in fields(Recipe) if field.default is MISSING]
    missing = [name for name in required if name not in values | overridden]
    if missing:
        raise ValueError(
            f"{path} must also set {', '.join(missing)}: these have no default."
        )
    return _recipe(values, overridden, path)


def _recipe(values: dict[str, Any], overridden: dict[str, Any], path: Path) -> Recipe:
    """Make the recipe; where the file alone would be refused as well, name the file."""
    try:
        return Recipe(**values | overridden)
    except ValueError as error:
        if not overridden or _refused(values):
            raise ValueError(f"{str(error).rstrip('.')} (in {path}).") from error
        raise


def _refused(values: dict[str, Any]) -> bool:
    try:
        Recipe(**values)
    except (TypeError, ValueError):  # a type error: an override brings a key that lacks
        return True
    return False


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"No recipe file {path} (looked in {Path.cwd()}). Recipes that ship with the "
            f"package go by name: {', '.join(recipe_names())}."
        )
    try:
        text = decoded(path.read_bytes())
        values = _toml(text.replace("\r\n", "\n").replace("\r", "\n"))
    except ValueError as error:
        raise ValueError(f"{path} is not a TOML file: {error}.") from error
    for key in values:
        one_of("recipe key", key, _keys(), f" (in {path})")
    return values


def _toml(text: str) -> dict[str, Any]:
    """Return what TOML says.

    Raises:
        ValueError: Whatever is wrong; of valid TOML too, if nobody would write it.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _parse(override: str) -> tuple[str, Any]:
    key, equals, text = (part.strip() for part in override.partition("="))
    if not equals:
        raise ValueError(
            f"An override is written key=value, such as epochs=2, but got {said(override)}."
        )
    one_of("recipe key", key, _keys())
    try:
        parsed = _toml(f"value = {text}")
    except ValueError:
        return key, text  # a bare word: `checked` takes it as a choice or refuses it
    if len(parsed) > 1:
        raise ValueError(
            f"An override sets one key, but {said(override)} holds several lines."
        )
    return key, parsed["value"]


def _keys() -> list[str]:
    return [field.name for field in fields(Recipe)]
