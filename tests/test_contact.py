"""Contact sheets: every sample is there to the pixel, and every name beside its own."""

import sys

import numpy as np
import pytest
from PIL import Image

from bntt.report import event_sheet, image_sheet
from bntt.report.contact import time_surface
from bntt.report.sheet import Sheet, text_width

WHITE = (255, 255, 255)
RED, BLUE = (204, 25, 31), (20, 77, 191)


def colours_of(path):
    """How many pixels of the picture have each colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    values, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(v): n for v, n in zip(values.tolist(), counts.tolist(), strict=True)}


@pytest.fixture
def written(monkeypatch):
    """Every word put on a sheet: the text and where, in pixels."""
    words, real = [], Sheet.words

    def spy(self, text, left, top, **style):
        words.append((text, left, top))
        assert 0 <= left <= self.width
        assert 0 <= top <= self.height
        real(self, text, left, top, **style)

    monkeypatch.setattr(Sheet, "words", spy)
    return words


def numbered(classes, examples, side):
    """Images in which no two pixels of any have the same colour."""
    count = classes * examples * side * side
    codes = np.arange(count) * 977 + 12_345
    channels = [codes >> shift & 255 for shift in (0, 8, 16)]
    images = np.stack(channels, -1).astype(np.uint8)
    images = images.reshape(classes, examples, side, side, 3).transpose(0, 1, 4, 2, 3)
    return [(f"class {k}", images[k]) for k in range(classes)]


@pytest.mark.parametrize(("side", "times"), [(3, 21), (8, 8), (28, 2), (64, 1)])
def test_every_pixel_becomes_a_square(tmp_path, side, times):
    rows = numbered(3, 4, side)
    image_sheet(rows, tmp_path / "sheet.png", "title")
    found = colours_of(tmp_path / "sheet.png")
    for _, images in rows:
        for colour in images.transpose(0, 2, 3, 1).reshape(-1, 3).tolist():
            assert found[tuple(colour)] == times * times


def test_grey_images_are_grey(tmp_path):
    image_sheet([("a", np.full((2, 1, 8, 8), 130, np.uint8))], tmp_path / "a.png", "")
    assert colours_of(tmp_path / "a.png")[130, 130, 130] == 2 * 64 * 64


@pytest.mark.parametrize("classes", [1, 20, 21, 60])
def test_nothing_lies_on_anything_else(tmp_path, written, classes):
    rows = numbered(classes, 3, 8)
    image_sheet(rows, tmp_path / "sheet.png", "title")
    found = colours_of(tmp_path / "sheet.png")
    for _, images in rows:  # a covered tile would lack pixels
        for colour in images.transpose(0, 2, 3, 1).reshape(-1, 3).tolist():
            assert found[tuple(colour)] == 64
    names = written[1:]
    assert [text for text, _, _ in names] == [name for name, _ in rows]
    for (_, right, top), (_, next_right, next_top) in zip(names, names[1:], strict=False):
        assert (next_right == right) == (next_top > top), "read downwards, block by block"
    for text, right, top in names:
        for other, right2, top2 in names:
            if text != other and abs(top - top2) < 14:
                assert right - right2 > text_width(text) or right2 - right > text_width(
                    other
                )


def test_few_classes_show_ten_examples_and_many_show_four(tmp_path):
    for classes, shown in ((2, 10), (21, 4)):
        image_sheet(numbered(classes, 12, 2), tmp_path / "sheet.png", "")
        assert colours_of(tmp_path / "sheet.png").keys() >= {
            tuple(image[:, 0, 0].tolist())
            for _, images in numbered(classes, 12, 2)
            for image in images[:shown]
        }
        last = tuple(numbered(classes, 12, 2)[0][1][shown][:, 1, 1].tolist())
        assert last not in colours_of(tmp_path / "sheet.png")


def test_more_classes_than_a_sheet_holds_are_counted(tmp_path, written):
    rows = [(f"{k}", np.zeros((1, 1, 2, 2), np.uint8)) for k in range(201)]
    image_sheet(rows, tmp_path / "sheet.png", "mine")
    assert written[0][0] == "mine; the first 200 of 201 classes"
    assert len(written) == 1 + 200


def test_large_images_are_made_smaller(tmp_path):
    images = np.zeros((2, 1, 300, 300), np.uint8)
    images[:, :, ::2] = 200
    image_sheet([("a", images)], tmp_path / "sheet.png", "")
    found = colours_of(tmp_path / "sheet.png")
    assert sum(n for colour, n in found.items() if colour != WHITE) < 3 * 128 * 128


@pytest.mark.parametrize("name", ["$x$", r"$\frac{$", "[red]", "猫", "x" * 500, ""])
def test_any_name_can_be_written(tmp_path, written, name):
    image_sheet([(name, np.zeros((1, 1, 8, 8), np.uint8))], tmp_path / "sheet.png", "$")
    assert written[1][0] == (name if len(name) < 27 else "x" * 25 + "…")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width < 400


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_other_formats_are_drawn_too(tmp_path, ending):
    image_sheet(numbered(2, 2, 8), tmp_path / f"sheet.{ending}", "title")
    assert (tmp_path / f"sheet.{ending}").stat().st_size > 1000


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'mp3' is not supported"):
        image_sheet(numbered(1, 1, 8), tmp_path / "sheet.mp3", "")


def an_event(step, polarity, steps=4, side=8, count=1):
    frames = np.zeros((steps, 2, side, side), np.uint8)
    frames[step, polarity, 2, 3] = count
    return frames


@pytest.mark.parametrize("polarity", [0, 1], ids=["off", "on"])
def test_off_is_blue_and_on_is_red(tmp_path, polarity):
    event_sheet([("a", an_event(3, polarity))], tmp_path / "sheet.png", "")
    found = colours_of(tmp_path / "sheet.png")
    # once in its frame and once, being in the last step, on the time surface
    full = {1: RED, 0: BLUE}
    scales = 2 * 18 * 18
    assert found[full[polarity]] == 2 * 12 * 12 + scales
    assert found[full[1 - polarity]] == scales


def test_more_events_are_stronger_and_both_polarities_darker(tmp_path):
    frames = np.zeros((1, 2, 8, 8), np.uint8)
    frames[0, 1, 0, :3] = 1, 2, 4
    frames[0, :, 1, 1] = 4
    event_sheet([("a", frames)], tmp_path / "sheet.png", "")
    tile = pixels_at(tmp_path / "sheet.png")
    once, twice, four_times = (tile[0, k] for k in range(3))
    assert once[1] > twice[1] > four_times[1]
    assert tile[1, 1].max() < four_times[0]
    assert tuple(tile[5, 5]) == WHITE


def pixels_at(path, side=8, times=12):
    """The first tile's pixels: it begins after its grey frame."""
    with Image.open(path) as picture:
        page = np.asarray(picture.convert("RGB"))
    grey = (page == 204).all(-1)
    top = grey.sum(1).argmax()  # the frame's first line; letters have grey edges too
    left = grey[top].argmax() + 2
    top += 2
    return page[top : top + side * times : times, left : left + side * times : times]


def test_the_first_and_the_last_of_many_frames_are_shown(tmp_path, written):
    event_sheet([("a", an_event(0, 1, steps=33))], tmp_path / "sheet.png", "title")
    heads = [text for text, _, _ in written][1:-3]
    assert heads[0] == "step 1"
    assert heads[-2:] == ["33", "time surface"]
    assert len(heads) == 11
    first, second = written[0][0].splitlines()
    assert first == "title"
    assert second.startswith("Red: ON, it grew brighter. Blue: OFF, darker. White:")
    assert second.endswith("33 steps.")


def test_a_sheet_says_how_long_a_step_is_and_what_its_colours_mean(tmp_path, written):
    frames = np.zeros((6, 2, 8, 8), np.uint8)
    frames[:, 1] = 4
    event_sheet([("a", frames)], tmp_path / "sheet.png", "title", "20 ms")
    texts = [text for text, _, _ in written]
    assert texts[0].endswith("6 steps, each 20 ms.")
    assert texts[-2] == "events at a pixel in a step: 1, 2, 4 or more"
    assert texts[-1] == "time surface, latest event 0, 2, 5 steps before the last"


def test_one_strength_means_as_many_events_in_every_row(tmp_path):
    few, many = np.zeros((2, 1, 2, 8, 8), np.uint8)
    few[0, 1, 0, 0], many[0, 1, 0, 0] = 1, 1
    many[0, 1, 4:] = 5
    event_sheet([("many", many), ("few", few)], tmp_path / "sheet.png", "")
    event_sheet([("few", few)], tmp_path / "alone.png", "")
    assert pixels_at(tmp_path / "sheet.png")[0, 0].tolist() != [*RED]
    assert pixels_at(tmp_path / "alone.png")[0, 0].tolist() == [*RED]
    pale = tuple(pixels_at(tmp_path / "sheet.png")[0, 0].tolist())
    # in both rows, and once on the scale
    assert colours_of(tmp_path / "sheet.png")[pale] >= 2 * 144 + 18 * 18


def test_a_recording_without_events_is_white(tmp_path):
    event_sheet([("a", np.zeros((2, 2, 8, 8), np.uint8))], tmp_path / "sheet.png", "")
    assert (pixels_at(tmp_path / "sheet.png") == 255).all()


def test_a_time_surface_fades_from_the_last_event_on():
    frames = np.zeros((6, 2, 1, 3), np.uint8)
    frames[5, 0, 0, 0] = 1
    frames[[0, 3], 1, 0, 1] = 7
    surface = time_surface(frames)
    assert surface[0, 0].tolist() == [1, 0, 0]
    assert surface[1, 0] == pytest.approx([0, np.exp(-2 / 2), 0])


@pytest.mark.parametrize("draw", [image_sheet, event_sheet])
def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path, draw):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install -c constraints.txt \".\[plot\]\""):
        draw(
            [("a", np.zeros((1, 2, 8, 8), np.uint8)[:, : 1 + (draw is event_sheet)])],
            "x",
            "",
        )
