"""What is asked of a set that cannot give it is refused, and never left aside."""

import dataclasses

import pytest
import torch

from bntt.config import Recipe, load_recipe
from bntt.config.sets import DEEP, EVENTS, FOLDED, RECORDED, SHIPPED
from bntt.data import NAMES, DataOptions, load
from bntt.data.catalogue import CATALOGUE


def test_options_have_the_names_types_and_defaults_of_a_recipes_keys():
    keys = {field.name: field for field in dataclasses.fields(Recipe)}
    for field in dataclasses.fields(DataOptions):
        key = keys[field.name]
        assert field.type == key.type
        assert field.name == "num_steps" or field.default == key.default


def test_a_recipe_says_every_option():
    recipe = load_recipe("digits-dvs", ["fold=3", "num_steps=7", "frames=count"])
    options = DataOptions.of(recipe)
    assert options == DataOptions(fold=3, num_steps=7, frames="count")


def test_options_by_name_replace_those_of_the_object():
    options = DataOptions(fold=1, num_steps=2)
    data = load("digits-dvs", options=options, num_steps=3)
    assert data.train_images.shape[1] == 3
    assert torch.equal(data.test_labels, load("digits", fold=1).test_labels)
    with pytest.raises(TypeError, match="unexpected keyword argument 'foldd'"):
        load("digits", foldd=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": "cuont"}, "Unknown frames 'cuont'. Did you mean 'count'?"),
        ({"outside": "keep"}, "Unknown outside 'keep'. Known: refuse, drop"),
        ({"split": "random"}, "Unknown split 'random'. Did you mean 'random-90-10'?"),
        ({"num_steps": 0}, "`num_steps` must be at least 1, got 0"),
        ({"num_steps": 2.5}, "`num_steps` must be a whole number such as 25, got 2.5"),
        ({"image_size": -8}, "`image_size` must not be negative, got -8"),
        ({"fold": 5}, "`fold` must be one of the five folds 0 to 4, got 5"),
        ({"split_seed": -1}, r"`split_seed` must lie in \[0, 2\*\*32\), got -1"),
        ({"window_ms": -1}, "`window_ms` must not be negative, got -1"),
        ({"sensor": "240 by 180"}, "`sensor` must be the width and height"),
        ({"sensor": (240, 180)}, "`sensor` must be text in quotes"),
    ],
)
def test_impossible_options_are_refused_before_any_set_is_looked_for(
    as_user, wrong, message
):
    with pytest.raises(ValueError, match=message):
        load("nmnist", "there is no such folder", **wrong)


def test_what_is_said_of_sets_by_name_agrees_with_the_catalogue():
    assert set(CATALOGUE) == set(NAMES)
    assert {name for name in NAMES if CATALOGUE[name].kind == "events"} == set(EVENTS)
    assert {name for name in RECORDED if not CATALOGUE[name].signs} == {"eventfolder"}
    without_files = {name for name in NAMES if CATALOGUE[name].layout.startswith("nothing")}
    assert without_files == set(SHIPPED) == set(FOLDED)
    assert {name for name in DEEP if not CATALOGUE[name].own} == set()


@pytest.mark.parametrize("name", ["digits", "digits-dvs"])
def test_a_set_that_lies_in_no_folder_takes_none(tmp_path, name):
    with pytest.raises(ValueError, match=rf"'{name}' ships inside .*{tmp_path}.*--data"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10", "nmnist", "tiny-imagenet"])
def test_white_is_asked_of_sets_that_can_have_more_than_8_bits(name):
    with pytest.raises(
        ValueError, match=rf"`white` is for .*'{name}' came with white=4095"
    ):
        load(name, white=4095)


@pytest.mark.parametrize("white", [-1, 1, 254, 1 << 16])
def test_what_no_picture_of_more_than_8_bits_has_as_white_is_refused(tmp_path, white):
    with pytest.raises(ValueError, match=rf"lie in \[255, 65535\], got {white}"):
        load("npz", tmp_path / "mine.npz", white=white)
