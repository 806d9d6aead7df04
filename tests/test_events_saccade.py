"""Digits before a simulated event camera: the events obey the stated equations."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bntt.data import load
from bntt.data.events import saccade as module
from bntt.data.events.saccade import saccade, saccades
from bntt.data.sets import digits as digits_room
from bntt.data.sets import digits_dvs
from bntt.data.sets.digits import scans


def an_image(seed, side=5):
    return np.random.default_rng(seed).integers(0, 17, (side, side)) / 16


@given(st.integers(0, 9999))
def test_events_are_in_order_of_time_and_on_the_sensor(seed):
    events = saccade(an_image(seed))
    assert (np.diff(events.t) >= 0).all()
    assert 0 <= events.t.min()
    assert events.t.max() <= 300_000
    assert (events.width, events.height) == (10, 10)
    assert max(events.x.max(), events.y.max()) < 10


@given(st.integers(0, 9999))
def test_a_pixel_that_ends_where_it_began_rose_as_often_as_it_fell(seed):
    events = saccade(an_image(seed))
    net = np.zeros((10, 10), dtype=int)
    np.add.at(net, (events.y, events.x), events.polarity.astype(int) * 2 - 1)
    assert not net.any()


def scene(image, x, y):
    """The light between the pixels, bilinear, dark outside."""
    light = 0.0
    for (row, column), value in np.ndenumerate(image):
        light += value * max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
    return light


def loop(image, column, row):
    """The number of events of one pixel, sample by sample, from the equations."""
    corners, count, level = [(-2, -2), (0, 2), (2, -2), (-2, -2)], 0, None
    for k in range(97):
        side, share = min(k // 32, 2), (k - 32 * min(k // 32, 2)) / 32
        start, stop = np.array(corners[side]), np.array(corners[side + 1])
        x, y = (np.array([column, row]) + start + (stop - start) * share + 0.5) / 2 - 0.5
        light = np.log(scene(image, x, y) + 0.1)
        level = light if level is None else level
        while abs(light - level) > 0.25 - 1e-9:
            level += 0.25 * np.sign(light - level)
            count += 1
    return count


def test_the_events_are_those_of_the_equations():
    image = an_image(3)
    events, counts = saccade(image), np.zeros((10, 10), dtype=int)
    np.add.at(counts, (events.y, events.x), 1)
    wanted = np.array([[loop(image, x, y) for x in range(10)] for y in range(10)])
    assert wanted.sum() > 500
    # light is kept in whole numbers, so that one crossing in many may fall otherwise
    assert np.abs(counts - wanted).sum() <= 0.001 * wanted.sum()


def test_a_sensor_that_stands_still_sees_nothing(monkeypatch):
    monkeypatch.setattr(module, "CORNERS", ((1, 1), (1, 1), (1, 1)))
    assert len(saccade(an_image(0))) == 0


def test_darkness_and_the_inside_of_a_surface_give_no_events():
    assert len(saccade(np.zeros((8, 8)))) == 0
    events = saccade(np.ones((8, 8)))
    border = np.minimum.reduce([events.x, events.y, 15 - events.x, 15 - events.y])
    assert len(events)
    assert border.max() <= 3  # as far as the triangle reaches, and a pixel's own width


def test_a_bright_bar_that_passes_is_on_before_it_is_off(monkeypatch):
    monkeypatch.setattr(module, "CORNERS", ((0, 0), (-8, 0)))  # the scene moves right
    image = np.zeros((8, 8))
    image[:, 3] = 1
    events = saccade(image)
    x, on = events.x, events.polarity == 1
    passed = range(5, 9)  # dark at first, and again at last
    for column in passed:
        rose, fell = (events.t[(x == column) & (on == up)] for up in (True, False))
        assert rose.max() < fell.min()
    first = [events.t[(x == column) & on].min() for column in passed]
    assert (np.diff(first) > 0).all()  # the bar comes from the left


def test_more_contrast_gives_more_events():
    image = an_image(1) / 4
    counts = [len(saccade(image * contrast)) for contrast in (1, 2, 4)]
    assert counts[0] < counts[1] < counts[2]


def test_many_images_are_the_same_as_one_after_another():
    images = np.stack([an_image(seed, 3) for seed in range(module.TOGETHER + 2)])
    together = list(saccades(images))
    assert len(together) == len(images)
    for k in (0, 1, module.TOGETHER - 1, module.TOGETHER, module.TOGETHER + 1):
        alone = saccade(images[k])
        for name in ("x", "y", "t", "polarity"):
            assert np.array_equal(getattr(alone, name), getattr(together[k], name))


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_light_beyond_white_is_refused(value):
    with pytest.raises(
        ValueError, match=r"must lie in 0 to 1, but .* Divide by their white"
    ):
        saccade(np.full((2, 2), value))


@pytest.fixture(scope="module")
def digits():
    return load("digits-dvs", num_steps=6)


def test_digits_become_frames_without_a_download(digits):
    assert digits.events
    assert digits.train_images.shape == (1437, 6, 2, 16, 16)
    assert digits.test_images.shape == (360, 6, 2, 16, 16)
    assert digits.mean == (0.0, 0.0)
    for channel in range(2):
        share = digits.train_images[:, :, channel].double() / 255
        rms = (share**2).mean().sqrt().item()
        assert digits.std[channel] == pytest.approx(rms, rel=1e-3)
    assert digits.note == ""


def test_the_digits_events_never_change(digits):
    frames = digits.train_images.numpy().tobytes()
    assert hashlib.sha256(frames).hexdigest() == GOLDEN


GOLDEN = "9896471f07e105d2df6f7e193c0686c70ad03439b9d23d7b611596a7fa35c7cf"


@pytest.fixture
def few(monkeypatch):
    """The first hundred scans stand for all."""
    pixels, labels, sha256 = scans()
    for room in (digits_room, digits_dvs):
        monkeypatch.setattr(room, "scans", lambda: (pixels[:100], labels[:100], sha256))


def test_the_folds_are_those_of_the_scans(digits, few):
    assert digits.test_labels.bincount().sum() == 360
    for fold in range(5):
        images, events = (load(name, fold=fold) for name in ("digits", "digits-dvs"))
        assert events.test_labels.equal(images.test_labels)
        assert events.train_labels.equal(images.train_labels)
        assert events.source == images.source == digits.source


def test_steps_size_and_division_are_what_is_asked_for(few):
    fine = load("digits-dvs", num_steps=6)
    coarse = load("digits-dvs", num_steps=3, image_size=8, frames="count")
    assert coarse.train_images.shape == (80, 3, 2, 8, 8)
    assert coarse.train_images.sum() == fine.train_images.sum()
    totals = coarse.train_images.long().sum(dim=(2, 3, 4))
    assert (totals.amax(1) - totals.amin(1)).max() <= 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"split": "random-90-10"}, "digits-dvs has one; got 'random-90-10'"),
        ({"window_ms": 10}, "digits-dvs' has samples of its own .* window_ms=10"),
        ({"fold": 5}, "five folds 0 to 4, got 5"),
        ({"frames": "sum"}, "Unknown frames 'sum'. Known: time, count"),
    ],
)
def test_what_does_not_go_with_the_digits_is_refused(wrong, expected):
    with pytest.raises(ValueError, match=expected):
        load("digits-dvs", **wrong)


def test_the_set_says_of_what_sensor_it_is():
    geometry = load("digits-dvs", num_steps=2, image_size=24).geometry
    assert geometry
    assert (geometry.sensor, geometry.image_size) == ("16x16", 24)
