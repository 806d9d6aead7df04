"""Plain JPEG data decoded without opening them: the same pixels, or none."""

import sys
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_images import pixels

from bntt.data.images import jpeg as jpegs
from bntt.data.images.jpeg import MOST_PIXELS, plain_pixels


def jpeg(mode="RGB", height=24, width=17, **saving):
    data = BytesIO()
    picture = PIL.Image.fromarray(pixels(7, height, width)).convert(mode)
    picture.save(data, "jpeg", **saving)
    return data.getvalue()


def opened(data, mode):
    with PIL.Image.open(BytesIO(data)) as picture:
        return np.asarray(picture.convert(mode))


def quick(data, mode="RGB", size=0):
    return plain_pixels(data, mode, size)


SAVINGS = st.fixed_dictionaries(
    {"quality": st.integers(1, 100), "subsampling": st.integers(0, 2)},
    optional={
        "progressive": st.just(True),
        "optimize": st.just(True),
        "comment": st.just("a comment"),
        "dpi": st.just((300, 300)),
        "restart_marker_rows": st.just(1),
        "icc_profile": st.just(b"profile" * 20_000),
    },
)


@given(st.sampled_from(["RGB", "L"]), st.integers(1, 70), st.integers(1, 70), SAVINGS)
def test_pixels_are_those_of_the_opened_image(mode, height, width, saving):
    data = jpeg(mode, height, width, **saving)
    got = quick(data)
    assert got is not None
    assert np.array_equal(got, opened(data, "RGB"))
    grey = quick(data, "L")
    assert (grey is None) == (mode == "RGB")
    assert grey is None or np.array_equal(grey[..., 0], opened(data, "L"))


def test_a_file_of_red_green_and_blue_is_not_taken_for_one_of_luma():
    data = jpeg(keep_rgb=True, subsampling=0, quality=100)
    got = quick(data)
    assert got is not None
    assert abs(got.astype(int) - pixels(7, 24, 17)).max() <= 2
    assert np.array_equal(got, opened(data, "RGB"))


def not_jpeg():
    data = BytesIO()
    PIL.Image.fromarray(pixels(7)).save(data, "png")
    return data.getvalue()


def turned():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return jpeg(exif=exif)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", not_jpeg(), turned(), jpeg("CMYK"), jpeg()[1:], jpeg()[:2] * 2],
    ids=["empty", "begun", "png", "turned", "four colours", "shifted", "begun twice"],
)
def test_what_is_not_plain_is_left_to_the_long_way(data):
    assert quick(data) is None


def test_without_the_library_all_go_the_long_way(monkeypatch):
    jpegs._simplejpeg.cache_clear()
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert quick(jpeg()) is None
    jpegs._simplejpeg.cache_clear()


def test_only_small_images_of_the_size_wanted_are_taken():
    square = jpeg(height=16, width=16)
    assert quick(square, size=16) is not None
    assert quick(square, size=15) is None
    assert quick(jpeg(height=16, width=17), size=16) is None
    assert quick(jpeg(height=17, width=16), size=16) is None
    side = int(MOST_PIXELS**0.5)
    assert quick(jpeg(height=side, width=side)) is not None
    assert quick(jpeg(height=side, width=side + 1)) is None


@given(st.data())
def test_a_file_cut_short_gives_no_other_pixels(draw):
    whole = jpeg()
    data = whole[: draw.draw(st.integers(0, len(whole) - 1))]
    got = quick(data)
    # the mark of the end alone is nothing to miss, for the opened image neither
    assert got is None or np.array_equal(got, opened(data, "RGB"))


@given(st.data())
def test_a_wrong_byte_gives_what_the_opened_image_gives(draw):
    data = bytearray(jpeg())
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    got = quick(bytes(data))
    assert got is None or np.array_equal(got, opened(bytes(data), "RGB"))
