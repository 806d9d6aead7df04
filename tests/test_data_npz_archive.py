"""Arrays in a .npz file: read as NumPy does, never believed more than they hold."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from command import ENVIRONMENT
from fuzzing import damaged
from present import present

from bntt.data.npz_archive import NpzArchive


def header(text, version=(1, 0)):
    text = text.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text


def described(shape, descr="|u1", fortran=False):
    return header(f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}")


@pytest.fixture
def archived(tmp_path):
    """Write members of a zip archive and return its path."""

    def write(members, method=zipfile.ZIP_DEFLATED):
        path = tmp_path / "mine.npz"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in members:
                archive.writestr(name, data)
        return path

    return write


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_kind_of_array_is_read_as_numpy_reads_it(tmp_path, save):
    random = np.random.default_rng(0)
    saved = {
        "bytes": random.integers(0, 256, (5, 3, 4), np.uint8),
        "swapped": np.arange(7, dtype=">i4"),
        "columns": np.asfortranarray(random.random((4, 5))),
        "words": np.array(["cat", "d\u00f6g"]),
        "none": np.zeros((0, 3), np.float32),
        "one": np.array(2.5),
        "table": np.array([(1, 2)], dtype=[("t", "<i8"), ("x", "<u2")]),
        "large": random.integers(0, 256, (3, 1 << 20), np.uint8),
    }
    save(tmp_path / "mine.npz", **saved)
    with NpzArchive(tmp_path / "mine.npz") as archive:
        assert archive.names == tuple(saved)
        for name, array in saved.items():
            got = archive.read(name)
            assert got.dtype == array.dtype
            assert np.array_equal(got, array)
            assert got.flags.writeable
            assert archive.header(name).shape == array.shape


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (described((1 << 40,)) + b"abc", "1099511627776 bytes, but has 3"),
        (described((1 << 62, 1 << 62)) + b"abc", "but has 3"),
        (described((2,)) + b"abc", "2 bytes, but has 3"),
        (described((4,)) + b"abc", "4 bytes, but has 3"),
        (described((-3,)) + b"abc", r"its shape is \(-3,\)"),
        (described((True,)) + b"a", r"its shape is \(True,\)"),
        (described((10**9, 10**9), "|V0"), "its values have no bytes"),
        (described((1,) * 70) + b"a", "cannot be read .*dimension"),
        (described((1 << 62, 1 << 62, 0)), "cannot be read"),
        (described((1,), "|O") + b"a", "holds Python objects, which are not opened"),
        (described((1,), "no type") + b"a", "cannot be read"),
        (header("{'descr': '|u1'}"), "cannot be read"),
        (header("(" * 3000), "cannot be read"),
        (header("{'shape': (1" + "0" * 5000 + "L,), 'descr': '|u1'"), "cannot be read"),
        (header("'''"), "cannot be read"),
        (header("{}", (3, 0)), r"format is version 3\.0"),
        (header("x" * 60_000), "cannot be read"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 10**6, "cannot be read"),
        (b"", "cannot be read"),
        (b"no array", "cannot be read"),
    ],
)
def test_a_header_that_lies_is_refused(archived, data, said):
    with (
        NpzArchive(archived([("x.npy", data)])) as archive,
        pytest.raises(ValueError, match=rf"mine\.npz: x\.npy .*{said}"),
    ):
        archive.read("x")


def test_what_the_archive_says_of_a_members_size_is_not_believed_either(archived):
    path = archived([("x.npy", described((1 << 40,)) + b"abc")])
    data = bytearray(path.read_bytes())
    table = data.rindex(b"PK\x01\x02")
    data[table + 24 : table + 28] = struct.pack("<I", 1 << 31)
    path.write_bytes(data)
    with NpzArchive(path) as archive, pytest.raises(ValueError, match="not unpacked"):
        archive.read("x")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_another_compression_is_refused(archived, method):
    path = archived([("x.npy", described((3,)) + b"abc")], method)
    with NpzArchive(path) as archive, pytest.raises(ValueError, match="encrypted, or comp"):
        archive.read("x")


def test_of_two_members_of_one_name_none_counts(archived):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = archived([("x.npy", described((3,)) + b"abc")] * 2)
    with pytest.raises(ValueError, match=r"mine\.npz holds x\.npy twice"):
        NpzArchive(path)


BOMBED = """
import sys
from pathlib import Path
from bntt.data import load
try:
    load("npz", Path(sys.argv[1]))
except ValueError as error:
    print(error)
else:
    print("loaded")
"""


def zeros(count):
    """A deflated stream of `count` zeros, made without them in memory, and their CRC."""
    packer = zlib.compressobj(9, wbits=-15)
    block, crc, out = bytes(1 << 20), 0, []
    for _ in range(count >> 20):
        crc = zlib.crc32(block, crc)
        out.append(packer.compress(block))
    return b"".join([*out, packer.flush()]), crc


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
@pytest.mark.parametrize(
    ("member", "said"), [("unused", "loaded"), ("x_train", "not unpacked")]
)
@pytest.mark.slow
def test_a_bomb_takes_no_memory(tmp_path, member, said):
    """Three small arrays, and one that unpacks to a gigabyte and a half."""
    path = tmp_path / "bomb.npz"
    arrays = {
        "x_train": np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8),
        "y_train": np.arange(4) % 2,
        "x_test": np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8),
        "y_test": np.arange(4) % 2,
    }
    arrays.pop(member, None)
    np.savez(path, **arrays)
    count = 320 << 20
    start = described((4, count // 1024, 256))
    body, crc = zeros(count)
    # the header goes in front of the zeros as a block of its own that is stored
    first = b"\x00" + struct.pack("<HH", len(start), len(start) ^ 0xFFFF) + start
    crc = _crc_of_both(start, count)
    _append(path, f"{member}.npy", first + body, len(start) + count, crc)
    done = subprocess.run(
        ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "-", sys.executable, "-c", BOMBED]
        + [str(path)],
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in done.stdout, done.stderr


def _crc_of_both(start, count):
    crc = zlib.crc32(start)
    for _ in range(count >> 20):
        crc = zlib.crc32(bytes(1 << 20), crc)
    return crc


def _append(path, name, packed, size, crc):
    """Put a member into a zip archive that is compressed already."""
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.compress_size, info.file_size, info.CRC = len(packed), size, crc
        file = present(archive.fp)
        file.seek(archive.start_dir)
        info.header_offset = file.tell()
        file.write(info.FileHeader(False) + packed)
        archive.start_dir = file.tell()
        archive.filelist.append(info)
        archive.comment = b""  # so that the directory is written anew


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ValueError, match=r"pipe\.npz is a pipe, a socket or a device"):
        NpzArchive(tmp_path / "pipe.npz")


def test_damaged_copies_are_read_rightly_or_refused(tmp_path):
    array, buffer = np.arange(600, dtype=np.uint16).reshape(20, 30), io.BytesIO()
    np.savez_compressed(buffer, x=array)
    path = tmp_path / "spoilt.npz"
    for data in damaged(buffer.getvalue(), seed=3):
        path.write_bytes(data)
        read = read_or_refused(path)
        assert all(np.array_equal(one, array) for one in read.values())


def read_or_refused(path):
    try:
        with NpzArchive(path) as archive:
            return {name: archive.read(name) for name in archive.names}
    except ValueError as error:
        said = str(error)
    assert str(path) in said
    return {}
