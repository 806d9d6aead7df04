"""How pictures become a network's input: said as plain values, and read back or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bntt.data.geometry import Geometry, recalled

SIDES = st.integers(1, 40)


@given(SIDES, SIDES, SIDES)
def test_it_comes_back_from_plain_values(height, width, more):
    one = Geometry(
        channels=3,
        image_size=max(height, width) + more,
        height=height,
        width=width,
        white=4095,
    )
    assert Geometry.from_config(json.loads(json.dumps(one.to_config()))) == one


@given(SIDES, SIDES, st.integers(0, 9))
def test_the_border_fills_the_square_and_its_smaller_half_is_first(height, width, more):
    size = max(height, width) + more
    one = Geometry(channels=1, image_size=size, height=height, width=width)
    left, right, top, bottom = one.border
    assert (top + height + bottom, left + width + right) == (size, size)
    assert bottom - top in (0, 1)
    assert right - left in (0, 1)


def test_without_height_and_width_all_of_the_square_is_filled():
    one = Geometry(channels=1, image_size=8)
    assert one.inner == (8, 8)
    assert one.border == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"channels": 0},
        {"channels": 1.0},
        {"channels": True},
        {"image_size": 0},
        {"image_size": "8"},
        {"image_size": 10**9},
        {"height": 9},
        {"height": -1},
        {"width": None},
        {"white": 12},
        {"white": 1 << 16},
        {"hue": 3},
    ],
)
def test_what_is_no_geometry_is_refused(changed, as_user):
    config = {"channels": 1, "image_size": 8} | changed
    with pytest.raises(ValueError, match=next(iter(changed))):
        Geometry.from_config(config)


@pytest.mark.parametrize("config", [None, [], "8", 8, {}, {"channels": 1}])
def test_what_is_no_table_of_values_is_refused(config, as_user):
    with pytest.raises(ValueError, match="A geometry must"):
        Geometry.from_config(config)


@pytest.mark.parametrize(
    ("name", "size", "inner"),
    [("mnist", 32, 28), ("digits", 12, 8), ("imagefolder", 32, 32)],
)
def test_an_old_checkpoint_has_that_of_its_set(name, size, inner):
    assert recalled(name, 1, size).inner == (inner, inner)
