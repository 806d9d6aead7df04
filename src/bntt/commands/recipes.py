"""The command ``bntt recipes``: what ships with the package."""

from ..machine.terminal import out
from .options import Json, print_json


def recipes(as_json: Json = False) -> None:
    """List the recipes that ship with the package."""
    from ..config import RECIPES, recipe_names

    about = {}
    for name in recipe_names():
        lines = (RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        about[name] = lines[0].removeprefix("#").strip()
    if as_json:
        print_json(**about)
        return
    for name, line in about.items():
        out(f"{name:{max(map(len, about))}}  {line}")
