"""Addresses of events: what is packed comes out, wherever the clock stands."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bntt.data.events.files import codec

WORDS = arrays.arrays(np.uint32, st.integers(0, 60))


def columns(width, height, times=2**23):
    """Strategy for x, y, t and polarity of some events on a sensor."""

    def of(count):
        return st.tuples(
            arrays.arrays(np.uint16, count, elements=st.integers(0, width - 1)),
            arrays.arrays(np.uint16, count, elements=st.integers(0, height - 1)),
            arrays.arrays(np.int64, count, elements=st.integers(0, times - 1)),
            arrays.arrays(np.uint8, count, elements=st.integers(0, 1)),
        )

    return st.integers(0, 60).flatmap(of)


def assert_same(got, want):
    for values, expected in zip(got, want, strict=True):
        assert values.dtype == expected.dtype
        assert np.array_equal(values, expected)


@given(columns(128, 128))
def test_dvs128_addresses_come_back(events):
    x, y, _, polarity = events
    address = codec.encode_dvs128(x, y, polarity)
    assert codec.is_dvs128(address).all()
    assert_same(codec.decode_dvs128(address), (x, y, polarity))


@given(WORDS)
def test_any_address_gives_a_pixel_of_the_sensor_and_only_its_own_bits_come_back(address):
    x, y, polarity = codec.decode_dvs128(address)
    assert (x < 128).all()
    assert (y < 128).all()
    assert (polarity < 2).all()
    again = codec.encode_dvs128(x, y, polarity)
    assert np.array_equal(again, address & 0x7FFF)
    assert np.array_equal(codec.is_dvs128(address), again == address)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (0x0000, (127, 127, 1)),  # the lower right corner; a clear bit 0 is ON
        (0x0001, (127, 127, 0)),
        (0x00FE, (0, 127, 1)),  # bits 1 to 7 count columns from the right
        (0x7F00, (127, 0, 1)),  # bits 8 to 14 count rows from the bottom
        (0x7FFF, (0, 0, 0)),
    ],
)
def test_dvs128_addresses_are_read_as_jaer_shows_them(address, place):
    got = codec.decode_dvs128(np.array([address], dtype=np.uint32))
    assert tuple(int(values[0]) for values in got) == place


@pytest.mark.parametrize("bit", range(15, 32))
def test_a_bit_above_the_address_marks_what_is_no_pixel(bit):
    address = np.array([0x7FFF, 0x7FFF | 1 << bit, 1 << bit], dtype=np.uint32)
    assert codec.is_dvs128(address).tolist() == [True, False, False]


@given(columns(2**15, 2**15), st.data())
def test_polarity_words_come_back(events, data):
    x, y, _, polarity = events
    valid = data.draw(arrays.arrays(bool, len(x)))
    word = codec.encode_polarity(x, y, polarity, valid)
    assert_same(codec.decode_polarity(word), (x, y, polarity, valid))


@given(WORDS)
def test_every_bit_of_a_polarity_word_counts(word):
    assert np.array_equal(codec.encode_polarity(*codec.decode_polarity(word)), word)


def test_polarity_words_have_the_published_layout():
    word = np.array([3 << 17 | 5 << 2 | 1 << 1 | 1], dtype=np.uint32)
    x, y, polarity, valid = codec.decode_polarity(word)
    assert (x[0], y[0], polarity[0], valid[0]) == (3, 5, 1, True)


@given(columns(256, 256))
def test_five_byte_records_come_back(events):
    x, y, t, polarity = events
    record = codec.encode_nmnist(x, y, t, polarity)
    assert record.shape == (len(x), 5)
    assert_same(codec.decode_nmnist(record), events)


@given(st.integers(0, 60).flatmap(lambda n: arrays.arrays(np.uint8, (n, 5))))
def test_every_bit_of_a_five_byte_record_counts(record):
    assert np.array_equal(codec.encode_nmnist(*codec.decode_nmnist(record)), record)


def test_five_byte_records_have_the_published_layout():
    record = struct.pack(">BBBBB", 7, 9, 0x80 | 0x12, 0x34, 0x56)
    x, y, t, polarity = codec.decode_nmnist(np.frombuffer(record, np.uint8)[None])
    assert (x[0], y[0], t[0], polarity[0]) == (7, 9, 0x123456, 1)


@given(st.integers(0, 2**40), st.lists(st.integers(0, 2**31 - 1), max_size=40))
def test_a_clock_that_runs_over_is_followed(start, steps):
    t = start + np.cumsum(np.array([0, *steps]))
    got = codec.unwrap((t % 2**32).astype(np.uint32))
    assert np.array_equal(got - got[0], t - t[0])
    assert got[0] == start % 2**32


@pytest.mark.parametrize("bits", [8, 23, 32])
def test_every_turn_of_a_clock_adds_its_range(bits):
    t = np.arange(20) * (2 ** (bits - 1) - 3) + 5
    assert t[-1] >> bits == 9
    assert np.array_equal(codec.unwrap(t % 2**bits, bits), t)


@given(st.lists(st.integers(0, 2**31), max_size=40))
def test_small_steps_back_are_kept_as_they_are(times):
    raw = np.array(times, dtype=np.uint32)
    assert np.array_equal(codec.unwrap(raw), raw.astype(np.int64))
