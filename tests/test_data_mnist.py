"""MNIST and Fashion-MNIST, made up small: read exactly, or refused in words."""

import dataclasses
import gzip
import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from command import ENVIRONMENT
from made_up_mnist import NAMES, SETS, idx, publish

from bntt.data import load
from bntt.data.sets import mnist

BOTH = pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
PACKED = pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = NAMES.values()


def assert_is(data, made):
    assert np.array_equal(data.train_images.squeeze(1).numpy(), made.arrays["train-images"])
    assert np.array_equal(data.test_images.squeeze(1).numpy(), made.arrays["t10k-images"])
    assert np.array_equal(data.train_labels.numpy(), made.arrays["train-labels"])
    assert np.array_equal(data.test_labels.numpy(), made.arrays["t10k-labels"])


@BOTH
@PACKED
def test_files_are_found_where_other_programs_leave_them(
    tmp_path, monkeypatch, name, packed
):
    made = publish(monkeypatch, name)
    for k, folder in enumerate(SETS[name].folders):
        made.write(tmp_path / str(k) / folder, packed)
        data = load(name, tmp_path / str(k))
        assert_is(data, made)
        written = made.packed if packed else made.plain
        sha256 = {file: hashlib.sha256(b).hexdigest() for file, b in written.items()}
        assert data.source == sha256
        assert data.class_names == SETS[name].class_names
        assert data.note == ""


def test_a_dot_in_place_of_the_first_hyphen_of_the_ending(tmp_path, monkeypatch):
    made = publish(monkeypatch, "mnist")
    for file, data in made.plain.items():
        (tmp_path / file.replace("-idx", ".idx")).write_bytes(data)
    assert_is(load("mnist", tmp_path), made)


def test_mean_and_deviation_are_those_of_the_training_pixels(tmp_path, monkeypatch):
    publish(monkeypatch, "mnist").write(tmp_path)
    for size in (0, 32):
        data = load("mnist", tmp_path, image_size=size)
        pixels = data.train_images.double() / 255
        assert data.mean == (pytest.approx(pixels.mean().item(), abs=5e-5),)
        assert data.std == (pytest.approx(pixels.std(correction=0).item(), abs=5e-5),)


@pytest.mark.parametrize(("size", "before"), [(28, 0), (29, 0), (32, 2), (35, 3)])
def test_a_border_of_zeros_makes_larger_images(tmp_path, monkeypatch, size, before):
    made = publish(monkeypatch, "mnist")
    data = load("mnist", made.write(tmp_path), image_size=size)
    after = size - 28 - before
    for images, part in (
        (data.train_images, "train-images"),
        (data.test_images, "t10k-images"),
    ):
        border = ((0, 0), (before, after), (before, after))
        assert np.array_equal(images[:, 0].numpy(), np.pad(made.arrays[part], border))


def test_a_smaller_size_is_refused(tmp_path, monkeypatch):
    publish(monkeypatch, "mnist").write(tmp_path)
    expected = (
        r"`image_size` must be 0, for the 28 x 28 pixels of MNIST, or at least 28.*27"
    )
    with pytest.raises(ValueError, match=expected):
        load("mnist", tmp_path, image_size=27)


def test_a_split_is_not_asked_of_a_set_that_has_one(tmp_path, monkeypatch):
    publish(monkeypatch, "mnist").write(tmp_path)
    with pytest.raises(ValueError, match="MNIST has one; got 'random-90-10'"):
        load("mnist", tmp_path, split="random-90-10")


@PACKED
@pytest.mark.parametrize(
    ("wanted", "given"), [("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")]
)
def test_the_other_sets_files_are_told_apart(tmp_path, monkeypatch, wanted, given, packed):
    publish(monkeypatch, wanted)
    made = publish(monkeypatch, given)
    made.write(tmp_path, packed)
    expected = (
        rf"is not {SETS[wanted].title}'s: these are {SETS[given].title}'s files, which "
        rf"have the same names\. Load them as '{given}'"
    )
    with pytest.raises(ValueError, match=expected):
        load(wanted, tmp_path)


def forget(monkeypatch, name):
    """Let no checksum of that set be known."""
    one = mnist.SETS[name]
    files = {
        part: dataclasses.replace(file, md5="0", unpacked_md5="")
        for part, file in one.files.items()
    }
    monkeypatch.setitem(mnist.SETS, name, dataclasses.replace(one, files=files))


@PACKED
def test_what_no_checksum_vouches_for_is_read_and_said(tmp_path, monkeypatch, packed):
    made = publish(monkeypatch, "mnist")
    forget(monkeypatch, "mnist")
    made.packed[f"{IMAGES}.gz"] = gzip.compress(made.plain[IMAGES], 1)
    data = load("mnist", made.write(tmp_path, packed))
    assert_is(data, made)
    assert data.note.startswith("No published checksum vouches for train-images-idx3-ubyte")


def test_an_archive_packed_anew_holds_the_published_file(tmp_path, monkeypatch):
    made = publish(monkeypatch, "mnist")
    made.packed[f"{IMAGES}.gz"] = gzip.compress(made.plain[IMAGES], 1)
    data = load("mnist", made.write(tmp_path))
    assert_is(data, made)
    assert data.note == ""


@BOTH
@PACKED
def test_what_is_missing_is_named(tmp_path, monkeypatch, name, packed):
    folder = publish(monkeypatch, name).write(tmp_path / "raw", packed)
    (folder / f"{TEST_LABELS}{'.gz' if packed else ''}").unlink()
    expected = rf"{SETS[name].title} is incomplete: .*raw lacks {TEST_LABELS} \("
    with pytest.raises(FileNotFoundError, match=expected):
        load(name, tmp_path)


def test_a_wrong_folder_is_described(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No MNIST in .*MNIST/raw, .*; it is empty"
    ):
        load("mnist", tmp_path)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(FileNotFoundError, match=r"it holds photo\.jpg\. Name the right"):
        load("fashion-mnist", tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load("mnist", tmp_path / "nowhere")


@pytest.mark.parametrize("file", NAMES.values())
@pytest.mark.parametrize("keep", [0, 1, 11, 30])
def test_an_archive_cut_short_is_counted(tmp_path, monkeypatch, file, keep):
    made = publish(monkeypatch, "mnist")
    made.packed[f"{file}.gz"] = made.packed[f"{file}.gz"][:keep]
    expected = rf"{file}\.gz is cut short: its {keep} bytes unpack to \d+, and then the end"
    with pytest.raises(ValueError, match=expected):
        load("mnist", made.write(tmp_path))


@pytest.mark.parametrize("damage", ["kind", "middle", "end"])
def test_a_damaged_archive_is_refused(tmp_path, monkeypatch, damage):
    made = publish(monkeypatch, "mnist")
    data = bytearray(made.packed[f"{LABELS}.gz"])
    data[{"kind": 0, "middle": len(data) // 2, "end": -6}[damage]] ^= 0xFF
    made.packed[f"{LABELS}.gz"] = bytes(data)
    with pytest.raises(
        ValueError, match=rf"{LABELS}\.gz is (not a whole gzip file|cut short)"
    ):
        load("mnist", made.write(tmp_path))


@pytest.mark.parametrize("keep", [5, 9, 16, 17, -1])
def test_a_plain_file_cut_short_is_counted(tmp_path, monkeypatch, keep):
    made = publish(monkeypatch, "mnist")
    made.plain[IMAGES] = made.plain[IMAGES][:keep]
    expected = rf"{IMAGES} must have \d+ bytes, .*, but has {len(made.plain[IMAGES])}\. Cut"
    with pytest.raises(ValueError, match=expected):
        load("mnist", made.write(tmp_path, packed=False))


def test_the_whole_size_is_said_of_a_file_cut_in_its_values(tmp_path, monkeypatch):
    made = publish(monkeypatch, "mnist")
    made.plain[IMAGES] = made.plain[IMAGES][:100]
    expected = r"must have 31376 bytes, a header of 16 and 40 x 28 x 28 values, but has 100"
    with pytest.raises(ValueError, match=expected):
        load("mnist", made.write(tmp_path, packed=False))


@pytest.mark.parametrize(
    ("start", "said"), [(b"", "is empty"), (b"\0\0\x0d\x03", "starts with 00 00 0d 03")]
)
def test_another_kind_of_file_is_refused(tmp_path, monkeypatch, start, said):
    made = publish(monkeypatch, "mnist")
    made.plain[IMAGES] = start + made.plain[IMAGES][4:] if start else b""
    expected = rf"{IMAGES} must start with the bytes 00 00 08 03, .*3 dimension.*{said}"
    with pytest.raises(ValueError, match=expected):
        load("mnist", made.write(tmp_path, packed=False))


@pytest.mark.parametrize(
    ("file", "array", "said"),
    [
        (
            IMAGES,
            np.zeros((39, 28, 28), np.uint8),
            r"shape \(40, 28, 28\), but holds \(39,",
        ),
        (TEST_IMAGES, np.zeros((10, 28, 27), np.uint8), r"but holds \(10, 28, 27\)"),
        (LABELS, np.zeros(41, np.uint8), "must hold 40 labels, but holds 41"),
        (TEST_LABELS, np.arange(1, 11, dtype=np.uint8), "image 9 has label 10, expected 0"),
        (
            LABELS,
            np.zeros(40, np.uint8),
            r"is not MNIST's: it has \(40, 0, .*expected \(5,",
        ),
    ],
)
def test_files_of_another_set_are_refused(tmp_path, monkeypatch, file, array, said):
    made = publish(monkeypatch, "mnist")
    made.plain[file] = idx(array)
    with pytest.raises(ValueError, match=rf"{file}.* {said}|{file}: {said}"):
        load("mnist", made.write(tmp_path, packed=False))


def test_the_real_set_is_whole_and_has_its_published_statistics():
    root = Path(os.environ.get("BNTT_TEST_DATA", ""))
    if not os.environ.get("BNTT_TEST_DATA") or not (root / "MNIST" / "raw").is_dir():
        pytest.skip("BNTT_TEST_DATA names no folder with MNIST/raw")
    data = load("mnist", root)
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    assert (data.mean, data.std) == ((0.1307,), (0.3081,))
    assert data.note == ""
    assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def kuzushiji(monkeypatch, folder):
    """Files of a third set, with as many images of each class as Fashion-MNIST has."""
    made = publish(monkeypatch, "fashion-mnist")
    for part in ("train-images", "t10k-images"):
        array = 255 - made.arrays[part]
        made.arrays[part] = array
        made.packed[f"{NAMES[part]}.gz"] = gzip.compress(idx(array))
    return made, made.write(folder)


def test_as_many_images_of_each_class_name_no_set(tmp_path, monkeypatch):
    publish(monkeypatch, "mnist")
    _, folder = kuzushiji(monkeypatch, tmp_path)
    forget(monkeypatch, "fashion-mnist")
    expected = r"is not MNIST's: it has \(4, 4, .*\) images of the classes, expected \(5,"
    with pytest.raises(ValueError, match=expected) as caught:
        load("mnist", folder)
    assert "Fashion" not in str(caught.value)


def test_without_a_checksum_the_classes_go_by_their_numbers(tmp_path, monkeypatch):
    made, folder = kuzushiji(monkeypatch, tmp_path)
    data = load("fashion-mnist", folder)
    assert_is(data, made)
    assert data.class_names == tuple("0123456789")
    assert "another set may share. The classes go by their numbers." in data.note


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: b"no gzip"])
def test_the_whole_plain_file_beside_a_bad_archive_is_read(tmp_path, monkeypatch, damage):
    made = publish(monkeypatch, "mnist")
    made.write(tmp_path)
    archive = tmp_path / f"{IMAGES}.gz"
    archive.write_bytes(damage(archive.read_bytes()))
    (tmp_path / IMAGES).write_bytes(made.plain[IMAGES])
    data = load("mnist", tmp_path)
    assert_is(data, made)
    assert data.note == f"{IMAGES} was read, since {IMAGES}.gz is bad."
    (tmp_path / IMAGES).write_bytes(b"bad too")
    with pytest.raises(ValueError, match=rf"{IMAGES}\.gz is (cut short|not a whole gzip)"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("padding", [b"", b"\0" * 512])
def test_an_archive_of_several_members_is_read_whole(tmp_path, monkeypatch, padding):
    made = publish(monkeypatch, "mnist")
    plain = made.plain[IMAGES]
    parts = plain[:5], plain[5:9000], b"", plain[9000:]
    made.packed[f"{IMAGES}.gz"] = b"".join(map(gzip.compress, parts)) + padding
    data = load("mnist", made.write(tmp_path))
    assert_is(data, made)
    assert data.note == ""


def test_what_follows_an_archive_is_not_left_aside(tmp_path, monkeypatch):
    made = publish(monkeypatch, "mnist")
    made.packed[f"{IMAGES}.gz"] += b"and more"
    with pytest.raises(ValueError, match=rf"{IMAGES}\.gz is not a whole gzip file"):
        load("mnist", made.write(tmp_path))


BOMBED = """
import resource, sys
from bntt.data import load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load("mnist", sys.argv[1])
except ValueError as error:
    print(error)
print("grown by", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
@pytest.mark.parametrize("kind", ["gz", "plain"])
def test_a_bomb_takes_no_memory(tmp_path, monkeypatch, kind):
    made = publish(monkeypatch, "mnist")
    made.write(tmp_path)
    if kind == "gz":
        packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
        block = bytes(1 << 20)
        parts = [packer.compress(block) for _ in range(600)]
        (tmp_path / f"{IMAGES}.gz").write_bytes(b"".join([*parts, packer.flush()]))
    else:
        (tmp_path / f"{IMAGES}.gz").unlink()
        with (tmp_path / IMAGES).open("wb") as file:
            file.truncate(1 << 40)
    done = subprocess.run(
        [sys.executable, "-c", BOMBED, str(tmp_path)],
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said, grown = done.stdout.strip().split("\n")
    assert f"{IMAGES}" in said
    assert "more than" in said
    assert int(grown.removeprefix("grown by ")) < 300, "megabytes"
