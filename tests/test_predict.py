"""The user's own pictures: how they are read, and what is said of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bntt import vgg5
from bntt.analysis.predict import Prediction, predict
from bntt.data import load
from bntt.data.single_file import read_picture


def network(encoder="direct", **config):
    torch.manual_seed(3)
    config = {"num_classes": 3, "num_steps": 4, "leak": 0.9, "image_size": 8} | config
    net = vgg5(in_channels=1, encoder=encoder, class_names=tuple("abc"), **config)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 4  # or nothing would spike in a network that was never trained
    return net.eval()


def an_image(seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 8, 8), dtype=torch.uint8, generator=random)


def test_every_step_has_the_networks_own_answer():
    net, image = network(), an_image()
    answer = predict(net, image)
    shares = net(net.normalize(image[None]), per_step=True)[:, 0].softmax(-1)
    assert len(set(answer.probabilities)) == 4, "a network in which nothing happens"
    assert answer.classes == tuple("abc"[k] for k in shares.argmax(-1).tolist())
    assert answer.probabilities == tuple(shares.max(-1).values.tolist())


def test_fewer_steps_are_the_first_ones():
    net, image = network(), an_image()
    assert predict(net, image, num_steps=2).classes == predict(net, image).classes[:2]


def test_the_seed_decides_what_poisson_coding_draws():
    net, image = network("poisson"), an_image()
    answers = [predict(net, image, seed=seed).probabilities for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_settled_is_the_first_step_of_the_last_unbroken_stretch(classes):
    settled = Prediction("", tuple(classes), (0.5,) * len(classes)).settled
    assert set(classes[settled - 1 :]) == {classes[-1]}
    assert settled == 1 or classes[settled - 2] != classes[-1]


def test_a_light_picture_for_a_network_of_dark_ones_gets_a_note():
    net = network(mean=(0.3,), std=(0.4,))
    paper = torch.full((1, 8, 8), 200, dtype=torch.uint8)
    assert "--invert" in predict(net, paper).note
    assert predict(net, 255 - paper).note == ""
    on_paper = network(mean=(0.7,), std=(0.4,))
    assert predict(on_paper, paper).note == ""


@pytest.fixture
def saved(tmp_path):
    """Save pixels or a picture, and return the path."""

    def save(picture, name="picture.png", **options):
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize("factor", [1, 5])
def test_an_enlarged_digit_is_read_as_the_digit(saved, factor):
    digit = load("digits").test_images[0]
    large = digit[0].numpy().repeat(factor, 0).repeat(factor, 1)
    assert torch.equal(read_picture(saved(large), 1, 8), digit)


def test_shrinking_takes_the_mean(saved):
    fine = np.zeros((16, 16), np.uint8)
    fine[:2, :2] = [[0, 100], [200, 60]]
    assert read_picture(saved(fine), 1, 8)[0, 0, 0] == 90


@pytest.mark.parametrize("turned", [False, True])
def test_the_middle_square_counts(saved, turned):
    wide = np.full((8, 20), 9, np.uint8)
    wide[:, 6:14] = np.arange(64).reshape(8, 8)
    expected = wide[:, 6:14].T if turned else wide[:, 6:14]
    picture = read_picture(saved(wide.T if turned else wide), 1, 8)
    assert np.array_equal(picture[0].numpy(), expected)


def test_a_picture_smaller_than_the_network_is_enlarged(saved):
    pixels = read_picture(saved(np.full((3, 3), 77, np.uint8)), 1, 8)
    assert pixels.shape == (1, 8, 8)
    assert (pixels == 77).all()


def test_colours_keep_their_order(saved):
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    pixels = read_picture(saved(colours), 3, 8)
    assert np.array_equal(pixels.numpy(), colours.transpose(2, 0, 1))


def test_grey_and_colour_turn_into_each_other(saved):
    grey = np.full((8, 8), 50, np.uint8)
    assert (read_picture(saved(grey), 3, 8) == 50).all()
    colours = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    luma_of_red = 76
    assert (read_picture(saved(colours), 1, 8) == luma_of_red).all()


def test_invert_exchanges_light_and_dark(saved):
    path = saved(np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert torch.equal(
        read_picture(path, 1, 8, invert=True), 255 - read_picture(path, 1, 8)
    )


@pytest.mark.parametrize(("ink", "ground"), [(250, 0), (5, 255)])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_ink_on_a_transparent_ground_can_be_seen(saved, ink, ground, mode):
    picture = Image.new("LA", (8, 8), (128, 0))
    picture.paste((ink, 255), (2, 2, 6, 6))
    pixels = read_picture(saved(picture.convert(mode)), 1, 8)[0]
    assert (pixels[2:6, 2:6] == ink).all()
    pixels[2:6, 2:6] = ground
    assert (pixels == ground).all()


def test_a_transparent_colour_of_a_palette_counts_too(saved):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30, 255, 255, 255])
    picture.paste(1, (2, 2, 6, 6))
    pixels = read_picture(saved(picture, transparency=0), 3, 8)
    assert (pixels[:, 0, 0] == 0).all()
    assert (pixels[:, 3, 3] == 255).all()


def test_sixteen_bits_are_scaled_to_eight(saved):
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    assert np.array_equal(read_picture(saved(deep), 1, 8)[0].numpy(), deep // 256)


def test_a_photo_is_turned_upright(saved):
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:4] = 255
    turned_left = Image.Exif()
    turned_left[0x0112] = 6  # "rotate by 90 degrees clockwise to view"
    stored = np.rot90(upright).copy()
    path = saved(stored, "photo.jpg", exif=turned_left, quality=100)
    picture = read_picture(path, 1, 8)[0]
    assert (picture[:4] > 200).all()
    assert (picture[4:] < 50).all()


def test_a_picture_of_too_many_pixels_is_refused(saved, monkeypatch):
    path = saved(np.zeros((40, 40), np.uint8))
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 1000
    )  # refuses twice as many, warns before
    read_picture(path, 1, 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(ValueError, match="too many pixels.*Scale it down"):
        read_picture(path, 1, 8)


def test_a_network_of_other_channels_takes_no_pictures(saved):
    with pytest.raises(ValueError, match="but this network takes 2"):
        read_picture(saved(np.zeros((8, 8), np.uint8)), 2, 8)
