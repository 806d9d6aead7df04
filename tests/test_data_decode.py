"""Image files of every kind as pixels; damaged ones are named."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from command import ENVIRONMENT
from made_up_images import pixels, write_image
from PIL import Image

from bntt.data.images import cached as decoding
from bntt.data.images.file import decode, header
from bntt.data.single_file import read_picture
from bntt.data.statistics import mean_and_deviation, moments


def saved(path, mode, seed=1, **kind):
    """An image of this mode in a file, and what Pillow makes of its pixels in colour."""
    picture = Image.fromarray(pixels(seed, **kind)).convert(mode)
    picture.save(path)
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        ("RGB", "jpg"),
        ("L", "jpg"),
        ("CMYK", "jpg"),
        ("YCbCr", "jpg"),
        ("RGB", "png"),
        ("L", "png"),
        ("1", "png"),
        ("P", "png"),
        ("LA", "png"),
        ("RGBA", "png"),
    ],
)
def test_every_kind_becomes_three_channels(tmp_path, mode, ending):
    path = tmp_path / f"image.{ending}"
    expected = saved(path, mode, height=24, width=40)
    assert expected.std() > 10
    got = decode(path, 3)
    assert got.shape == (3, 24, 40)
    assert got.dtype == np.uint8
    assert np.array_equal(got, expected)
    assert header(path) == (24, 40, mode in ("L", "1", "LA"))


def test_a_grey_image_has_one_channel(tmp_path):
    write_image(tmp_path / "grey.png", 3, channels=1)
    assert np.array_equal(decode(tmp_path / "grey.png", 1)[0], pixels(3, channels=1))


def test_sixteen_bits_become_eight(tmp_path):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert np.array_equal(decode(tmp_path / "deep.png", 1)[0], levels // 256)
    assert header(tmp_path / "deep.png") == (8, 8, True)


def test_a_palette_with_a_transparent_colour_is_read_without_a_warning(tmp_path):
    picture = Image.fromarray(pixels(2)).convert("P")
    picture.save(tmp_path / "clear.png", transparency=b"\xff" * 256)
    expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decode(tmp_path / "clear.png", 3), expected)


def test_an_image_is_turned_as_the_camera_noted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    upright = pixels(4, height=24, width=16)
    lying = Image.fromarray(np.rot90(upright).copy())
    lying.save(tmp_path / "photo.png", exif=exif)
    assert lying.size == (24, 16)
    assert np.array_equal(decode(tmp_path / "photo.png", 3), upright.transpose(2, 0, 1))
    assert header(tmp_path / "photo.png") == (24, 16, False)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width", "size"), [(90, 61, 16), (20, 33, 48), (16, 40, 16), (16, 16, 16)]
)
def test_scaling_is_that_of_predict(tmp_path, channels, height, width, size):
    path = tmp_path / "image.png"
    write_image(path, 5, height, width, channels)
    got = decode(path, channels, size)
    assert got.shape == (channels, size, size)
    assert np.array_equal(got, read_picture(path, channels, size).numpy())


def test_the_middle_is_kept(tmp_path):
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (decode(tmp_path / "wide.png", 3, 5) == 200).all()


def damaged(path, how):
    write_image(path, 6)
    data = path.read_bytes()
    path.write_bytes(how(data))
    return path


DAMAGES = {
    "cut short": lambda data: data[: len(data) // 2],
    "cut short in the header": lambda data: data[:30],
    "empty": lambda data: b"",
    "something else": lambda data: b"<html>not found</html>",
}


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("size", [0, 16])
def test_a_damaged_file_is_named(tmp_path, how, ending, size):
    path = damaged(tmp_path / f"image.{ending}", how)
    expected = rf"^{path} cannot be read as an image \(.+\): it has \d+ bytes\. Damaged"
    with pytest.raises(ValueError, match=expected) as caught:
        decode(path, 3, size)
    assert "object at" not in str(caught.value)


def test_the_header_of_what_is_no_image_is_refused(tmp_path):
    path = damaged(tmp_path / "image.png", DAMAGES["something else"])
    with pytest.raises(ValueError, match=rf"^{path} .*in no format that Pillow knows"):
        header(path)


def test_floating_point_pixels_have_no_range(tmp_path):
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(tmp_path / "image.tif")
    with pytest.raises(ValueError, match=r"image\.tif .*floating-point numbers without a"):
        decode(tmp_path / "image.tif", 3)


def test_a_file_that_is_gone_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        decode(tmp_path / "gone.png", 3)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    write_image(tmp_path / "image.png", 1)
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install .*\[data\]"):
        decode(tmp_path / "image.png", 3)


def test_mean_and_deviation_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (37, 3, 5, 7), dtype=np.uint8)
    images[:, 1] //= 8
    sums = np.zeros((37, 2, 3), dtype=np.int64)
    decoding._sum_up(images, sums)
    mean, std, note = mean_and_deviation(sums, 35, "here")
    assert note == ""
    values = images / 255
    assert mean == tuple(values.mean((0, 2, 3)).round(4))
    assert std == tuple(values.std((0, 2, 3)).round(4))


def test_sums_of_the_whitest_image_do_not_overflow():
    white = np.full((1, 1, 300, 300), 255, dtype=np.uint8)
    sums = np.zeros((1, 2, 1), dtype=np.int64)
    decoding._sum_up(white, sums)
    assert sums.tolist() == [[[90_000 * 255], [90_000 * 255**2]]]
    with pytest.raises(
        ValueError, match="each channel are the same in all training images"
    ):
        mean_and_deviation(sums, 90_000, "here")


def test_a_channel_that_is_all_one_value_is_left_as_it_is_and_said():
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 5, 7), dtype=np.uint8)
    images[:, 2] = 51
    sums = np.zeros((9, 2, 3), dtype=np.int64)
    decoding._sum_up(images, sums)
    mean, std, note = mean_and_deviation(sums, 35, "here")
    values = images[:, :2] / 255
    assert mean == (*values.mean((0, 2, 3)).round(4), 0.2)
    assert std == (*values.std((0, 2, 3)).round(4), 1.0)
    assert note.startswith("The pixels of channel 2 are the same in all training images")
    from_memory = moments(torch.from_numpy(images), "here")
    assert from_memory == (mean, std, note)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for read in (lambda path: decode(path, 3), lambda path: read_picture(path, 3, 8)):
        with pytest.raises(ValueError, match=r"pipe\.png is a pipe, a socket or a device"):
            read(tmp_path / "pipe.png")


def test_postscript_is_a_program_and_not_run(tmp_path):
    Image.fromarray(pixels(1)).save(tmp_path / "drawing.eps")
    with pytest.raises(ValueError, match=r"drawing\.eps .*PostScript, a program, which is"):
        decode(tmp_path / "drawing.eps", 3)


BOMBED = """
import resource, sys
from pathlib import Path
from bntt.data.images.file import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(read(Path(sys.argv[1]), 1, (8, 8)).pixels.sum())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_huge_picture_takes_few_bytes_a_pixel(tmp_path, mode):
    side = 3500
    Image.new("RGBA", (side, side), (9, 9, 9, 128)).convert(mode).save(tmp_path / "b.png")
    done = subprocess.run(
        [sys.executable, "-c", BOMBED, str(tmp_path / "b.png")],
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(done.stdout.split()[1]) < 14 * side**2 >> 20, "megabytes"
