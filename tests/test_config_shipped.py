"""The recipes that ship: what they say of themselves, and the authors' values."""

import dataclasses

import pytest

from bntt.config import RECIPES, Recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_loads_and_says_in_its_first_line_what_it_is(name):
    recipe = load_recipe(name)
    assert isinstance(recipe, Recipe)
    first = (RECIPES / f"{name}.toml").read_text().splitlines()[0]
    assert first.startswith("# ")
    assert f"T={recipe.num_steps}" in first
    assert recipe.arch.upper() in first or recipe.arch == "seq"


def test_the_recipes_that_ship():
    shipped = {"digits", "cifar10-vgg9", "cifar10-vgg9-cpu", "cifar100-vgg11"}
    assert shipped <= set(recipe_names())
    assert recipe_names() == sorted(recipe_names())


AUTHORS = {  # their README's commands over their train.py
    "epochs": 100,
    "lr": 0.3,
    "norm": "bntt",
    "encoder": "poisson",
    "v_threshold": 1.0,
    "surrogate_height": 0.3,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "schedule": "step",
    "loss": "last",
    "label_smoothing": 0.0,
    "augment": "crop-flip",
    "cutout": 0,
    "normalize": "authors",
    "seed": 0,
}
AUTHORS_OWN = {
    "cifar10-vgg9": {
        "dataset": "cifar10",
        "arch": "vgg9",
        "num_steps": 25,
        "leak": 0.95,
        "batch_size": 256,
    },
    "cifar100-vgg11": {
        "dataset": "cifar100",
        "arch": "vgg11",
        "num_steps": 30,
        "leak": 0.99,
        "batch_size": 128,
    },
}


@pytest.mark.parametrize("name", AUTHORS_OWN)
def test_the_papers_recipes_hold_the_authors_values(name):
    recipe = dataclasses.asdict(load_recipe(name))
    wanted = AUTHORS | AUTHORS_OWN[name]
    assert {key: recipe[key] for key in wanted} == wanted
