"""Caches are found by what files are and where, and say what bytes they were made of."""

import hashlib
import os
import shutil

import made_up_event_sets
import made_up_images
import numpy as np
import pytest
from file_systems import LINUX, POSIX
from made_up_images import write_image
from present import present

from bntt.data import load
from bntt.data.cache import verify

SETS = {
    "nmnist": (made_up_event_sets.nmnist, "Train/3/00300.bin", "Train/4/00400.bin"),
    "dvs-gesture": (made_up_event_sets.dvs_gesture, "user01_led.aedat", "user24_led.aedat"),
    "cifar10dvs": (
        made_up_event_sets.cifar10dvs,
        "bird/cifar10_bird_1.aedat",
        "frog/cifar10_frog_0.aedat",
    ),
    "eventfolder": (made_up_event_sets.eventfolder, "train/left/0.bs2", "test/right/1.bs2"),
    "imagefolder": (
        lambda folder: pictures(folder),
        "train/cat/1.bmp",
        "test/dog/0.bmp",
    ),
    "tiny-imagenet": (
        lambda folder: one_jpeg_each(folder),
        "train/n00000003/images/n00000003_0.JPEG",
        "val/images/val_7.JPEG",
    ),
}
CLASSES = 20
"""Of a Tiny-ImageNet that is made in no time."""


def pictures(folder):
    """Bitmaps, which have one size in bytes."""
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            for k in range(2):
                seed = 100 * len(part) + 10 * len(name) + k + (name == "cat")
                write_image(folder / part / name / f"{k}.bmp", seed, 8, 8)


def one_jpeg_each(folder):
    made_up_images.tiny_imagenet(folder.parent / "unpacked", per_class=1, classes=CLASSES)
    (folder.parent / "unpacked" / "tiny-imagenet-200").rename(folder)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr("bntt.data.sets.tiny_imagenet.CLASSES", CLASSES)
    return tmp_path / "cache" / "cache"


def loaded(name, root):
    split = "random-90-10" if name == "cifar10dvs" else "none"
    return load(name, root, num_steps=2, image_size=16, split=split)


def pixels(data):
    parts = (data.train_images, data.test_images)
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def keeping_dates(path, data):
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def make_equal_in_size(*paths):
    """So that exchanging them changes neither size; what follows the pixels is not read."""
    most = max(path.stat().st_size for path in paths)
    for path in paths:
        missing = most - path.stat().st_size
        keeping_dates(path, path.read_bytes() + b"\0" * missing)


def exchanged(root, one, other):
    data = [(root / name).read_bytes() for name in (one, other)]
    for name, new in zip((one, other), reversed(data), strict=True):
        keeping_dates(root / name, new)


def same_dates(root):
    for path in root.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))


@pytest.fixture(params=SETS)
def made(request, tmp_path):
    make, one, other = SETS[request.param]
    make(tmp_path / "set")
    if one.endswith("JPEG"):
        make_equal_in_size(tmp_path / "set" / one, tmp_path / "set" / other)
    return request.param, tmp_path / "set", one, other


def test_the_source_is_the_digest_of_names_and_bytes(made):
    name, root, one, _ = made
    data = loaded(name, root)
    endings = {".bin", ".aedat", ".bs2", ".bmp", ".JPEG"}
    files = [path for path in root.rglob("*") if path.suffix in endings]
    files = [
        path
        for path in files
        if root / "test" not in path.parents or name != "tiny-imagenet"
    ]
    lines = sorted(
        f"{path.relative_to(root).as_posix()}\0"
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in files
    )
    wanted = hashlib.sha256("".join(f"{line}\0" for line in lines).encode()).hexdigest()
    (files_entry,) = [key for key in data.source if key.endswith("files")]
    assert data.source[files_entry] == wanted
    assert present(data.originals).changed(lambda: None) == []


def test_a_file_changed_in_place_is_read_again(made):
    name, root, one, other = made
    first = loaded(name, root)
    new = (root / other).read_bytes()
    before = (root / one).stat()
    (root / one).write_bytes(new)
    os.utime(
        root / one, ns=(before.st_atime_ns, before.st_mtime_ns - 1000)
    )  # older, by a moment
    second = loaded(name, root)
    assert second.source != first.source
    assert pixels(second) != pixels(first)
    assert present(second.originals).changed(lambda: None) == []
    assert present(first.originals).changed(lambda: None) == [one]


def test_what_no_date_tells_verifying_tells(made):
    name, root, one, other = made
    first = loaded(name, root)
    exchanged(root, one, other)
    served = loaded(name, root)
    assert served.source == first.source  # of what the cache was made of
    assert pixels(served) == pixels(first)
    verify(present(served.cache))
    seen, originals = [], present(served.originals)
    assert set(originals.changed(lambda: seen.append(1))) == {one, other}
    assert len(seen) == len(set(originals.names))


def test_another_folder_of_the_same_shape_is_another_set(made, tmp_path):
    name, root, one, other = made
    shutil.copytree(root, tmp_path / "twin")
    exchanged(tmp_path / "twin", one, other)
    same_dates(root)
    same_dates(tmp_path / "twin")
    first, twin = loaded(name, root), loaded(name, tmp_path / "twin")
    assert first.cache != twin.cache
    assert pixels(first) != pixels(twin)
    assert first.source != twin.source


def test_the_same_files_elsewhere_are_the_same_data(made, tmp_path):
    name, root, _, _ = made
    first = loaded(name, root)
    root.rename(tmp_path / "moved")
    moved = loaded(name, tmp_path / "moved")
    assert moved.cache != first.cache
    assert moved.source == first.source
    assert moved.split_sha256 == first.split_sha256
    assert pixels(moved) == pixels(first)


@POSIX
def test_a_link_to_another_folder_is_another_set(made, tmp_path):
    name, root, one, other = made
    shutil.copytree(root, tmp_path / "twin")
    exchanged(tmp_path / "twin", one, other)
    same_dates(root)
    same_dates(tmp_path / "twin")
    link = tmp_path / "link"
    link.symlink_to(root)
    first = loaded(name, link)
    assert first.cache == loaded(name, root).cache
    link.unlink()
    link.symlink_to(tmp_path / "twin")
    assert pixels(loaded(name, link)) != pixels(first)


@POSIX
def test_a_link_is_as_new_as_the_file_it_leads_to(made, tmp_path):
    name, root, one, other = made
    shutil.move(root / one, tmp_path / "elsewhere")
    (root / one).symlink_to(tmp_path / "elsewhere")
    first = loaded(name, root)
    (tmp_path / "elsewhere").write_bytes((root / other).read_bytes())
    assert pixels(loaded(name, root)) != pixels(first)


def test_a_file_that_changes_while_it_is_read_is_refused(made, monkeypatch, cache):
    name, root, one, _ = made

    def changes(path):
        """Something else writes when the file is looked at for the first time."""
        os.utime(root / one)
        return os.stat(path)

    monkeypatch.setattr("bntt.data.originals.status_of", changes)
    with pytest.raises(ValueError, match=rf"{root}.* has changed while the set was read"):
        loaded(name, root)
    assert not list(cache.glob("*.part"))


@pytest.mark.parametrize(
    ("name", "text", "old", "new"),
    [
        ("dvs-gesture", "user01_led_labels.csv", "3,", "4,"),
        ("dvs-gesture", "trials_to_train.txt", "user02_lab.aedat\n", ""),
        ("tiny-imagenet", "val/val_annotations.txt", "n00000001\t", "n00000002\t"),
        ("tiny-imagenet", "words.txt", "thing n00000003", "other n00000003"),
    ],
)
def test_what_decides_labels_is_part_of_the_source(tmp_path, name, text, old, new):
    root = tmp_path / "set"
    if name == "tiny-imagenet":
        made_up_images.tiny_imagenet(tmp_path / "unpacked", 1, 2, CLASSES)
        (tmp_path / "unpacked" / "tiny-imagenet-200").rename(root)
    else:
        made_up_event_sets.dvs_gesture(root)
    first = loaded(name, root)
    said = (root / text).read_text()
    assert old in said
    keeping_dates(root / text, said.replace(old, new, 1).encode())
    second = loaded(name, root)
    assert first.source != second.source


def test_caches_of_earlier_versions_are_not_served(tmp_path, cache, monkeypatch):
    made_up_event_sets.nmnist(tmp_path / "set")
    with monkeypatch.context() as patch:
        patch.setattr("bntt.data.cache.FORMAT", 1)
        old = loaded("nmnist", tmp_path / "set").cache
    assert loaded("nmnist", tmp_path / "set").cache != old


@LINUX
def test_names_that_are_no_text_are_read_and_found_again(tmp_path):
    root = tmp_path / "own"
    strange = os.fsdecode(b"\xff\xfe caf\xe9.bmp")
    for label, name in enumerate(("a", os.fsdecode(b"\xe9"))):
        for k in range(10):
            write_image(root / name / f"{k}.bmp", 10 * label + k, 8, 8)
        write_image(root / name / "x.bmp", 10 * label + 10, 8, 8)
        (root / name / "x.bmp").rename(root / name / strange)
    data = load("imagefolder", root, split="random-90-10")
    assert len(data.train_images) + len(data.test_images) == 22
    assert load("imagefolder", root, split="random-90-10").cache == data.cache
    path = root / "a" / strange
    keeping_dates(path, path.read_bytes()[:-1] + b"\x01")
    assert present(data.originals).changed(lambda: None) == [f"a/{strange}"]


def test_thousands_of_files_are_listed_and_digested_in_a_moment(tmp_path):
    from time import process_time

    from bntt.data.originals import Originals, fingerprint
    from bntt.data.tree import scan

    (tmp_path / "a").mkdir()
    for k in range(6_000):
        (tmp_path / "a" / f"{k}.bin").touch()
    start = process_time()
    files = scan(tmp_path, "a", (".bin",)).files
    fingerprint(files)
    digests = np.zeros((len(files), 32), np.uint8)
    assert len(Originals(tmp_path, list(files), digests).digest) == 64
    assert process_time() - start < 1.0


def test_lists_that_are_too_long_are_not_read(tmp_path):
    made_up_event_sets.dvs_gesture(tmp_path)
    with (tmp_path / "trials_to_train.txt").open("r+b") as file:
        file.truncate(1 << 34)  # a hole, which takes no room
    with pytest.raises(ValueError, match="17179869184 bytes, more than .* list of names"):
        loaded("dvs-gesture", tmp_path)


def test_pictures_that_are_too_large_are_not_read(tmp_path):
    pictures(tmp_path)
    with (tmp_path / "train" / "cat" / "0.bmp").open("r+b") as file:
        file.truncate(1 << 34)
    with pytest.raises(
        ValueError, match=r"train/cat/0\.bmp has 17179869184 bytes, more than"
    ):
        loaded("imagefolder", tmp_path)
