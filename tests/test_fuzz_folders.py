"""Damaged folders, lists and caches: read as they are, rebuilt, or refused in words."""

import itertools
import os
import random
import shutil
import socket

import made_up_event_sets
import made_up_images
import numpy as np
import pytest
from file_systems import LINUX
from fuzzing import CASES, damaged
from made_up_cache import assert_whole, build, fill, refuse

from bntt.data import load
from bntt.data.cache import folder_of, verify

FEW = max(1, CASES // 8)
"""Cases of what takes long."""


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cache"


def loaded(name, root):
    return load(name, root, num_steps=1, image_size=8)


def outcome(work, *args, refusals=(ValueError,), **kind):
    """What comes of the work, and what was said if it was refused."""
    try:
        return work(*args, **kind), ""
    except refusals as error:
        return None, str(error)


def assert_read_or_refused(name, root, path, data, honest):
    """What is in the file must show in the source, unless it is refused with a path."""
    refusals = (ValueError, FileNotFoundError)
    other, said = outcome(loaded, name, root, refusals=refusals)
    if other is None:
        assert str(root) in said
        assert "\0" not in said
    else:
        assert path.read_bytes() == data or other.source != honest.source


@pytest.mark.parametrize("name", ["meta.json", "odd.npy", "squares.npy"])
def test_a_damaged_cache_is_never_served(name, folder):
    made = folder_of(build()["odd"])
    honest = (made / name).read_bytes()
    for data in damaged(honest, seed=len(name)):
        (made / name).write_bytes(data)
        opened, said = outcome(build, refuse)
        if opened is not None:
            assert_whole(opened)
            verify(made)
        assert opened is not None or f"The cache {made} is damaged" in said
        _, said = outcome(verify, made)
        assert not said or f"The cache {made} is damaged" in said
    (made / name).write_bytes(honest)
    assert_whole(build(refuse))


def test_a_damaged_beginning_of_a_cache_is_made_again(folder):
    def stop(first, last, views):
        fill(first, last, views)
        if first >= 70:
            raise OSError("the power fails")

    for seed in range(FEW):
        shutil.rmtree(folder, ignore_errors=True)
        with pytest.raises(OSError, match="power"):
            build(stop)
        (part,) = folder.glob("*.part")
        for path in sorted(part.iterdir()):
            path.write_bytes(next(damaged(path.read_bytes(), 1, seed)))
        assert_whole(build())
        verify(folder_of(build(refuse)["odd"]))


@pytest.mark.parametrize(
    "text", ["trials_to_train.txt", "trials_to_test.txt", "user01_led_labels.csv"]
)
def test_damaged_lists_of_gestures(tmp_path, text):
    root = tmp_path / "set"
    made_up_event_sets.dvs_gesture(root, train=("user01_led",))
    honest = loaded("dvs-gesture", root)
    data = (root / text).read_bytes()
    for spoilt in damaged(data, FEW, seed=len(text)):
        (root / text).write_bytes(spoilt)
        assert_read_or_refused("dvs-gesture", root, root / text, data, honest)


@pytest.mark.parametrize("text", ["wnids.txt", "val/val_annotations.txt", "words.txt"])
def test_damaged_lists_of_classes(tmp_path, text, monkeypatch):
    monkeypatch.setattr("bntt.data.sets.tiny_imagenet.CLASSES", 4)
    root = made_up_images.tiny_imagenet(tmp_path, per_class=1, classes=4)
    honest = loaded("tiny-imagenet", root)
    data = (root / text).read_bytes()
    for spoilt in damaged(data, FEW, seed=len(text)):
        (root / text).write_bytes(spoilt)
        assert_read_or_refused("tiny-imagenet", root, root / text, data, honest)


NAMES = (
    "a",
    "B",
    "10",
    "9",
    "é",
    "e\u0301",
    "\u202e",
    "\n",
    " ",
    "[red]",
    "%s",
    "-x",
    "..a",
)


def grown(root, draw):
    """Put something at a random place into a folder of classes."""
    ways = (_picture, _empty_file, _folder, _loose_link, _circle, _pipe, _socket, _device)
    depth = draw.randrange(3)
    place = root.joinpath(*(f"{draw.choice(NAMES)} in" for _ in range(depth)))
    place.mkdir(parents=True, exist_ok=True)
    ending = draw.choice((".png", ".PNG", "", ".txt"))
    strange = os.fsdecode(b"\xff") if draw.random() < 0.2 else ""
    path = place / f"{draw.choice(NAMES)}{strange}{ending}"
    if not os.path.lexists(path):
        draw.choice(ways)(path, draw)


def _picture(path, draw):
    made_up_images.Image.new("RGB", (4, 4), tuple(draw.choices(range(256), k=3))).save(
        path, format="PNG"
    )


def _empty_file(path, _):
    path.touch()


def _folder(path, _):
    path.mkdir()


def _loose_link(path, _):
    path.symlink_to("nowhere")


def _circle(path, _):
    path.symlink_to(path.parent)


def _pipe(path, _):
    os.mkfifo(path)


def _socket(path, _):
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:  # the name of a socket may not be long
        one.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def _device(path, _):
    path.symlink_to("/dev/zero")


@LINUX
@pytest.mark.parametrize("parts", [("",), ("train", "test")])
def test_whatever_lies_in_a_folder_of_classes_is_read_or_told(tmp_path, parts):
    loads = 0
    for seed in range(FEW):
        draw = random.Random(seed)
        root = tmp_path / str(seed)
        for part, name in itertools.product(parts, ("x", "y")):
            made_up_images.imagefolder(root, (part,), (name,), 2, height=4, width=4)
        for _ in range(draw.randrange(6)):
            grown(root / draw.choice(parts) / draw.choice(("x", "y")), draw)
        split = {} if parts[0] else {"split": "random-90-10"}
        data, said = outcome(load, "imagefolder", root, image_size=4, **split)
        if data is None:  # an empty file has the ending of a picture
            assert "cannot be read as an image" in said
            continue
        loads += 1
        there = sum(
            path.is_file()
            and path.suffix.lower() == ".png"
            and "/." not in str(path.relative_to(tmp_path))
            for folder, _, names in os.walk(root)
            for path in (root / folder / name for name in names)
        )
        assert len(data.train_images) + len(data.test_images) == there
        assert data.class_names == ("x", "y")
        assert np.unique(data.train_labels).tolist() == [0, 1]
    assert loads > FEW // 3
