"""Pictures of more than 8 bits a sample: never clipped, never black without a word."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from bntt.data.geometry import Geometry
from bntt.data.images.file import decode, read
from bntt.data.images.levels import as_bytes, few_levels
from bntt.data.single_file import read_as_trained

GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6
"""Colour types of PNG."""


DEFLATE = 8
"""A method of compression in TIFF; 1 is none."""


def png(path, samples, kind):
    """Write samples of 16 bits, which Pillow can do for grey only."""
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, _ = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def tiff(
    path, samples, order="<", bits=16, sign=1, photometric=None, packed=None, method=1
):
    """Write one strip of samples, of bits and signs of which Pillow writes none."""
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, channels = samples.shape
    kind = {1: "u", 2: "i"}[sign]
    data = packed or samples.astype(f"{order}{kind}{bits // 8}").tobytes()
    data = zlib.compress(data) if method == DEFLATE else data
    extra = 8 + len(data) + len(data) % 2
    if photometric is None:
        photometric = 2 if channels >= 3 else 1
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, method),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, channels),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, sign),
    ]
    rest, entries = b"", b""
    directory = extra
    end = directory + 2 + 12 * len(tags) + 4
    for tag, type_, value in tags:
        short = type_ == 3
        if tag in (258, 339) and channels > 2:
            field = struct.pack(f"{order}HHII", tag, 3, channels, end + len(rest))
            rest += struct.pack(f"{order}{channels}H", *[value] * channels)
        elif short:
            field = struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
        else:
            field = struct.pack(f"{order}HHII", tag, 4, 1, value)
        entries += field
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    path.write_bytes(
        mark
        + struct.pack(f"{order}I", directory)
        + data
        + bytes(len(data) % 2)
        + struct.pack(f"{order}H", len(tags))
        + entries
        + bytes(4)
        + rest
    )
    return path


def samples(most, *shape):
    random = np.random.default_rng(most)
    values = random.integers(0, most + 1, shape, dtype=np.uint16)
    values.flat[0] = most
    return values


WHOLE = arrays(np.uint16, array_shapes(min_dims=1, max_dims=3))


@given(WHOLE, st.integers(255, 65535))
def test_levels_are_equal_parts_of_the_range(values, white):
    values = np.minimum(values, white)
    got = as_bytes(values, white)
    assert got.dtype == np.uint8
    assert np.array_equal(got, values.astype(np.int64) * 256 // (white + 1))
    assert as_bytes(np.array([0, white]), white).tolist() == [0, 255]


def test_bytes_stay_and_16_bits_lose_their_lower_half():
    every = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(as_bytes(every, 65535), every >> 8)
    assert np.array_equal(as_bytes(every[:4096], 4095), every[:4096] >> 4)
    assert np.array_equal(as_bytes(every[:256], 255), every[:256])


@pytest.mark.parametrize("values", [[-1, 5], [0, 4096]])
def test_nothing_is_clipped(values):
    expected = rf"values go from {values[0]} to {values[1]}, but 0 means black and 4095 wh"
    with pytest.raises(ValueError, match=expected):
        as_bytes(np.array(values), 4095)


@pytest.mark.parametrize(
    ("peak", "white", "said"),
    [
        (0, 255, ""),
        (255, 65535, "leaves 1 of 256 levels. If 255 is"),
        (4095, 65535, "leaves 16 of 256 levels. If 4095 is"),
        (3000, 65535, "If 4095 is what means white in them, set white=4095"),
        (16383, 65535, "leaves 64 of 256"),
        (40000, 65535, ""),
        (4000, 4095, ""),
    ],
)
def test_what_hardly_rises_above_black_is_said(peak, white, said):
    sentence = few_levels("This picture's", peak, white)
    assert said in sentence
    assert bool(said) == bool(sentence)


@pytest.mark.parametrize("white", [0, 65535, 4095, 255])
@pytest.mark.parametrize(
    ("kind", "channels"), [(GREY, 1), (RGB, 3), (RGBA, 4)], ids=["L", "RGB", "RGBA"]
)
def test_16_bits_are_scaled_by_what_means_white(tmp_path, white, kind, channels):
    most = white or 65535
    values = samples(most, 9, 7, channels)
    if kind == RGBA:
        values[..., 3] = 65535
    got = read(png(tmp_path / "deep.png", values, kind), min(channels, 3), white=white)
    colours = values[..., :3].transpose(2, 0, 1)
    assert np.array_equal(got.pixels, colours.astype(np.int64) * 256 // (most + 1))
    assert got.white == most
    assert got.peak in (most, most | 255), "of colours the upper byte is enough"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [0, 4095])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", [1, DEFLATE])
def test_so_are_those_of_tiff_in_either_order(tmp_path, order, white, channels, method):
    most = white or 65535
    values = samples(most, 9, 7, channels)
    path = tiff(tmp_path / "deep.tif", values, order, method=method)
    got = read(path, channels, white=white)
    expected = values.transpose(2, 0, 1).astype(np.int64) * 256 // (most + 1)
    assert np.array_equal(got.pixels, expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_in_which_0_is_white_is_turned_round(tmp_path, order):
    values = samples(65535, 9, 7)
    path = tiff(tmp_path / "deep.tif", values, order, photometric=0)
    try:
        got = decode(path, 1)[0]
    except ValueError:  # of the bytes' other order Pillow reads none
        assert order == ">"
        return
    assert np.array_equal(got, (65535 - values) >> 8)


def test_tiff_of_12_bits_tells_its_range(tmp_path):
    values = samples(4095, 6, 8)
    pairs = values.reshape(-1, 2).astype(np.uint32)
    both = pairs[:, 0] << 12 | pairs[:, 1]
    packed = b"".join(int(one).to_bytes(3, "big") for one in both)
    path = tiff(tmp_path / "deep.tif", values, bits=12, packed=packed)
    got = read(path, 1)
    assert np.array_equal(got.pixels[0], values >> 4)
    assert (got.peak, got.white) == (4095, 4095)


@pytest.mark.parametrize(("bits", "sign"), [(16, 2), (32, 1), (32, 2), (8, 2)])
def test_signed_and_wider_samples_are_right_or_refused(tmp_path, bits, sign):
    values = samples(4095 if bits > 8 else 127, 4, 4)
    path = tiff(tmp_path / "deep.tif", values, bits=bits, sign=sign)
    with pytest.raises(ValueError, match=r"deep\.tif cannot be read.*(white=4095|signed)"):
        decode(path, 1)
    if bits > 8:
        assert np.array_equal(decode(path, 1, white=4095)[0], values >> 4)


@pytest.mark.parametrize("bits", [16, 32])
def test_negative_samples_are_refused(tmp_path, bits):
    values = np.array([[-3, 5], [6, 7]])
    path = tiff(tmp_path / "deep.tif", values, bits=bits, sign=2)
    with pytest.raises(ValueError, match=r"deep\.tif .*values go from -3 to 7"):
        decode(path, 1, white=4095)


def test_values_beyond_white_are_refused(tmp_path):
    path = png(tmp_path / "deep.png", samples(5000, 4, 4), GREY)
    expected = r"deep\.png .*to 5000, .* and 4095 white\)\. Save it as PNG of 8 bits"
    with pytest.raises(ValueError, match=expected) as caught:
        decode(path, 1, white=4095)
    assert "Damaged" not in str(caught.value)  # it is whole


def test_grey_with_alpha_of_16_bits_keeps_its_upper_byte_or_is_refused(tmp_path):
    values = samples(65535, 4, 4, 2)
    values[..., 1] = 65535
    path = png(tmp_path / "deep.png", values, GREY_ALPHA)
    assert np.array_equal(decode(path, 1)[0], values[..., 0] >> 8)
    with pytest.raises(ValueError, match="save it as RGB"):
        decode(path, 1, white=4095)


@pytest.mark.parametrize("kind", [GREY, RGB])
def test_bytes_in_a_picture_of_16_bits_are_not_black_without_a_word(tmp_path, kind):
    values = samples(255, 8, 8, 3 if kind == RGB else 1)
    path = png(tmp_path / "dark.png", values, kind)
    geometry = Geometry(channels=3 if kind == RGB else 1, image_size=8)
    assert "values reach 255 of the 65535" in read_as_trained(path, geometry).note
    told = replace(geometry, white=255)
    pixels, note = read_as_trained(path, told)
    assert note == ""
    assert np.array_equal(pixels.numpy(), values.transpose(2, 0, 1))


def test_white_says_nothing_of_bytes(tmp_path):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "plain.png")
    got = read(tmp_path / "plain.png", 1, white=4095)
    assert np.array_equal(got.pixels[0], values)
    assert (got.peak, got.white) == (0, 255)


def test_a_pgm_names_its_own_white(tmp_path):
    values = samples(4095, 4, 6)
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 6 4 4095\n" + values.astype(">u2").tobytes())
    expected = np.round(values / 4095 * 65535).astype(int) >> 8
    for white in (0, 4095):
        assert np.array_equal(decode(path, 1, white=white)[0], expected)


def test_a_transparent_value_of_16_bits_is_transparent(tmp_path):
    values = np.full((8, 8), 4000, np.uint16)
    values[2:6, 2:6] = 60_000
    Image.fromarray(values).save(tmp_path / "ink.png", transparency=4000)
    got = decode(tmp_path / "ink.png", 1)[0]
    assert got[3, 3] == 60_000 >> 8
    assert got[0, 0] == 0
