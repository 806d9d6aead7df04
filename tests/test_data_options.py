"""What is asked of a set that cannot give it is refused, and never left aside."""

import pytest

from bntt.data import load


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
