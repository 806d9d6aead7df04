"""Damaged files of pictures and arrays: a value of the right kind, or a ValueError that
names the file; never another error, long waiting, or memory that the file does not merit.
"""

import time
from io import BytesIO

import numpy as np
import pytest
from fuzzing import damaged
from made_up_cifar import publish as publish_cifar
from made_up_images import pixels
from made_up_mnist import NAMES
from made_up_mnist import publish as publish_mnist
from PIL import Image

from bntt.data import load
from bntt.data.images.file import decode, header

SECONDS = 20
"""For one damaged file, on a machine that is busy; an honest one takes a hundredth."""


def encoded(mode, kind, **saving):
    data = BytesIO()
    Image.fromarray(pixels(5, 40, 56)).convert(mode).save(data, kind, **saving)
    return data.getvalue()


def deep(kind, **saving):
    data = BytesIO()
    levels = np.arange(48 * 40, dtype=np.uint16).reshape(48, 40) * 30
    Image.fromarray(levels).save(data, kind, **saving)
    return data.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PICTURES = {
    "baseline.jpg": lambda: encoded("RGB", "JPEG"),
    "progressive.jpg": lambda: encoded("L", "JPEG", progressive=True),
    "ink.jpg": lambda: encoded("CMYK", "JPEG"),
    "turned.jpg": lambda: encoded("RGB", "JPEG", exif=turned()),
    "colour.png": lambda: encoded("RGB", "PNG"),
    "clear.png": lambda: encoded("RGBA", "PNG"),
    "palette.png": lambda: encoded("P", "PNG", transparency=3),
    "deep.png": lambda: deep("PNG"),
    "plain.tif": lambda: encoded("RGB", "TIFF"),
    "packed.tif": lambda: encoded("RGB", "TIFF", compression="tiff_lzw", exif=turned()),
    "deep.tif": lambda: deep("TIFF"),
    "some.gif": lambda: encoded("P", "GIF"),
    "some.bmp": lambda: encoded("RGB", "BMP"),
    "some.ppm": lambda: encoded("RGB", "PPM"),
    "some.webp": lambda: encoded("RGB", "WEBP"),
}


def outcome(read, path):
    """What reading gives, or None if the file is refused as it should be."""
    start = time.monotonic()
    try:
        found = read()
    except ValueError as error:
        found, said = None, str(error)
        assert str(path) in said, said
        assert "object at" not in said, said
    assert time.monotonic() - start < SECONDS
    return found


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of what is odd but can be read
@pytest.mark.parametrize("name", PICTURES)
def test_a_damaged_picture_is_read_or_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1 << 20)  # memory has its own test
    path, data = tmp_path / name, PICTURES[name]()
    path.write_bytes(data)
    assert decode(path, 3).std() > 10
    for spoilt in damaged(data, seed=len(name)):
        path.write_bytes(spoilt)
        sides = outcome(lambda: header(path), path)
        found = outcome(lambda: decode(path, 3), path)
        small = outcome(lambda: decode(path, 1, 12), path)
        assert found is None or found.shape[:1] == (3,)
        assert found is None or sides is None or found.shape[1:] == sides[:2]
        assert small is None or small.shape == (1, 12, 12)
        assert found is None or found.dtype == np.uint8


@pytest.mark.parametrize("part", NAMES)
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
def test_damaged_idx_files_are_read_or_refused(tmp_path, monkeypatch, part, packed):
    made = publish_mnist(monkeypatch, "mnist")
    folder = made.write(tmp_path, packed)
    path = folder / f"{NAMES[part]}{'.gz' if packed else ''}"
    for spoilt in damaged(path.read_bytes(), seed=7):
        path.write_bytes(spoilt)
        data = outcome(lambda: load("mnist", folder), path)
        if data is not None:
            assert data.train_images.shape == (40, 1, 28, 28)
            assert data.test_labels.tolist() == made.arrays["t10k-labels"].tolist() or (
                part == "t10k-labels"
            )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_arrays_are_read_or_refused(tmp_path, save):
    random, path = np.random.default_rng(1), tmp_path / "mine.npz"
    save(
        path,
        x_train=random.integers(0, 65536, (12, 6, 6)).astype(np.uint16),
        y_train=np.arange(12) % 3,
        x_test=random.integers(0, 65536, (6, 6, 6)).astype(np.uint16),
        y_test=np.arange(6) % 3,
        class_names=np.array(["cat", "dog", "eel"]),
    )
    whole = load("npz", path)
    for spoilt in damaged(path.read_bytes(), seed=11):
        path.write_bytes(spoilt)
        data = outcome(lambda: load("npz", path), path)
        if data is not None:
            assert np.array_equal(data.train_images, whole.train_images)
            assert data.class_names in (whole.class_names, ("0", "1", "2"))


@pytest.mark.parametrize("which", [0, 1], ids=["python", "binary"])
def test_damaged_batches_are_read_or_refused(tmp_path, monkeypatch, which):
    made = publish_cifar(monkeypatch, "cifar10")
    folder = made.write(which, tmp_path)
    name = ("data_batch_2", "data_batch_2.bin")[which]
    whole = (folder / name).read_bytes()
    for spoilt in damaged(whole, seed=13):
        (folder / name).write_bytes(spoilt)
        data = outcome(lambda: load("cifar10", folder), folder / name)
        if data is not None:
            # some damage leaves everything as it was
            assert which == 1 or spoilt == whole, "another pickle was opened"
            assert data.train_images.shape == (60, 3, 32, 32)
