"""A recipe is one row of the results table: everything that decides its number.

If it changes the result it is in the recipe; if it does not (device, paths, how often to
log) it is a flag of the command.
"""

from .load import RECIPES, load_recipe, recipe_names
from .recipe import Recipe

__all__ = ["RECIPES", "Recipe", "load_recipe", "recipe_names"]
