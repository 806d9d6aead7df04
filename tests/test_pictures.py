"""A picture reaches a network as the pictures did that the network was trained on."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_mnist import publish
from PIL import Image
from present import present

from bntt.data import load
from bntt.data.geometry import Geometry, bordered
from bntt.data.single_file import read_as_trained, read_picture


def saved(path, pixels, factor=1, **options):
    """Write grey or coloured pixels, each a square of so many, and return the path."""
    Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(path, **options)
    return path


@pytest.mark.parametrize("factor", [1, 3, 8])
def test_a_saved_picture_of_a_set_with_a_border_is_what_was_trained(
    tmp_path, monkeypatch, factor
):
    publish(monkeypatch, "mnist").write(tmp_path)
    native = load("mnist", tmp_path).test_images
    data = load("mnist", tmp_path, image_size=33)
    for k, image in enumerate(data.test_images[:3]):
        path = saved(tmp_path / f"{k}.png", native[k, 0].numpy(), factor)
        assert torch.equal(read_as_trained(path, present(data.geometry)).pixels, image)


@pytest.mark.parametrize("factor", [1, 8])
def test_a_saved_digit_is_what_was_trained_in_arrays_with_a_border(tmp_path, factor):
    digits = load("digits")
    np.savez(
        tmp_path / "mine.npz",
        x_train=digits.train_images.squeeze(1).numpy(),
        y_train=digits.train_labels.numpy(),
        x_test=digits.test_images.squeeze(1).numpy(),
        y_test=digits.test_labels.numpy(),
    )
    data = load("npz", tmp_path / "mine.npz", image_size=12)
    assert data.geometry == Geometry(channels=1, image_size=12, height=8, width=8)
    for k in range(40):
        path = saved(tmp_path / "digit.png", digits.test_images[k, 0].numpy(), factor)
        pixels = read_as_trained(path, present(data.geometry)).pixels
        assert torch.equal(pixels, data.test_images[k])


@pytest.mark.parametrize("name", ["digits"])
def test_a_set_without_a_border_has_none(name):
    data = load(name)
    assert data.geometry == Geometry(channels=1, image_size=8, height=0, width=0)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.sampled_from([1, 2, 5]))
def test_an_oblong_picture_keeps_its_shape_within_the_border(
    tmp_path_factory, height, width, more, factor
):
    random = np.random.default_rng(height * width)
    pixels = random.integers(0, 256, (height, width), dtype=np.uint8)
    path = saved(tmp_path_factory.getbasetemp() / "oblong.png", pixels, factor)
    geometry = bordered(1, (height, width), max(height, width) + more)
    got = read_as_trained(path, geometry).pixels[0]
    left, _, top, _ = geometry.border
    inside = got[top : top + height, left : left + width]
    assert np.array_equal(inside.numpy(), pixels)
    assert got.sum() == inside.sum(), "the border is not zero"


def test_the_middle_that_has_the_shape_is_what_counts(tmp_path):
    pixels = np.arange(60, dtype=np.uint8).reshape(6, 10)
    geometry = bordered(1, (6, 4), 6)
    got = read_as_trained(saved(tmp_path / "wide.png", pixels), geometry).pixels[0]
    assert np.array_equal(got[:, 1:5].numpy(), pixels[:, 3:7])


def test_light_and_dark_are_exchanged_within_the_border_only(tmp_path):
    path = saved(tmp_path / "ink.png", np.full((8, 8), 200, np.uint8))
    got = read_as_trained(path, bordered(1, (8, 8), 12), invert=True).pixels[0]
    expected = np.zeros((12, 12), np.uint8)
    expected[2:10, 2:10] = 55
    assert np.array_equal(got.numpy(), expected)


def test_a_picture_for_a_network_without_a_border_fills_the_square(tmp_path):
    path = saved(tmp_path / "one.png", np.arange(64, dtype=np.uint8).reshape(8, 8), 4)
    plain = Geometry(channels=1, image_size=8)
    assert torch.equal(read_as_trained(path, plain).pixels, read_picture(path, 1, 8))


def folder_of_deep_pictures(folder, most):
    random = np.random.default_rng(most)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for k in range(2):
                levels = random.integers(0, most + 1, (8, 8)).astype(np.uint16)
                levels[0, 0] = most
                Image.fromarray(levels).save(folder / part / name / f"{k}.png")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))


@pytest.mark.usefixtures("cache")
def test_a_folder_of_12_bits_in_16_is_said_and_scaled_by_what_means_white(tmp_path):
    folder = folder_of_deep_pictures(tmp_path / "mine", 4095)
    with Image.open(folder / "train" / "cat" / "0.png") as opened:
        levels = np.asarray(opened)
    dark = load("imagefolder", folder)
    assert "8 pictures of more than 8 bits the values reach 4095 of the 65535" in dark.note
    assert np.array_equal(dark.train_images[0, 0].numpy(), levels >> 8)
    right = load("imagefolder", folder, white=4095)
    assert np.array_equal(right.train_images[0, 0].numpy(), levels >> 4)
    assert right.note == ""
    path = folder / "test" / "dog" / "1.png"
    for data in (dark, right):
        seen, note = read_as_trained(path, present(data.geometry))
        assert torch.equal(seen, data.test_images[-1])
        assert bool(note) == (data is dark)


@pytest.mark.usefixtures("cache")
def test_a_white_that_says_nothing_of_any_picture_is_said(tmp_path):
    folder = folder_of_deep_pictures(tmp_path / "mine", 65535)
    for path in folder.rglob("*.png"):
        saved(path, np.arange(64, dtype=np.uint8).reshape(8, 8))
    data = load("imagefolder", folder, white=4095)
    assert data.note == "No picture has more than 8 bits, of which white=4095 speaks."


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_tiff_on_its_side_is_turned_once(tmp_path, orientation):
    upright = np.arange(96, dtype=np.uint8).reshape(12, 8)
    lying = {
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "mine" / part / name).mkdir(parents=True)
            saved(tmp_path / "mine" / part / name / "1.tif", lying.copy(), exif=exif)
            saved(tmp_path / "mine" / part / name / "2.png", upright)
    data = load("imagefolder", tmp_path / "mine")
    assert data.train_images.shape == (4, 1, 12, 8)
    assert all(np.array_equal(image[0].numpy(), upright) for image in data.train_images)
