"""A folder of one's own images: with a test set or divided, or refused in words."""

import os
import shutil

import numpy as np
import pytest
import torch
from file_systems import LINUX, POSIX
from made_up_images import imagefolder, pixels, write_image
from PIL import Image

from bntt.data import load
from bntt.data.cache import verify
from bntt.data.cache.plan import Plan


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cache"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "own"


def divided(root, **wanted):
    return load("imagefolder", root, split="random-90-10", **wanted)


def plain(root, **kind):
    return imagefolder(root, parts=("",), **kind)


def image(path):
    with Image.open(path) as opened:
        return torch.tensor(np.asarray(opened.convert("RGB"))).movedim(-1, 0)


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_test_folder_is_the_test_set(root, test):
    imagefolder(root, ("train", test), height=24, width=16)
    data = load("imagefolder", str(root))
    assert data.train_images.shape == data.test_images.shape == (8, 3, 24, 16)
    assert data.class_names == ("cat", "dog")
    assert data.train_labels.tolist() == data.test_labels.tolist() == [0] * 4 + [1] * 4
    assert torch.equal(data.train_images[6], image(root / "train" / "dog" / "2.png"))
    assert torch.equal(data.test_images[1], image(root / test / "cat" / "1.png"))
    assert data.note == ""
    assert list(data.source) == ["imagefolder files"]


def test_statistics_are_those_of_the_training_images(root):
    data = load("imagefolder", imagefolder(root))
    values = data.train_images.double() / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3), correction=0)
    assert data.mean == tuple(round(value, 4) for value in mean.tolist())
    assert data.std == tuple(round(value, 4) for value in std.tolist())


def test_without_a_test_folder_a_tenth_is_the_test_set(root):
    data = divided(plain(root, per_class=20))
    assert data.train_labels.bincount().tolist() == [18, 18]
    assert data.test_labels.bincount().tolist() == [2, 2]
    names = [f"{name}/{k}.png" for name in ("cat", "dog") for k in range(20)]
    both = torch.cat([data.train_images, data.test_images])
    labels = torch.cat([data.train_labels, data.test_labels])
    bytes_of = {image(root / name).numpy().tobytes(): name for name in names}
    found = [bytes_of[row.numpy().tobytes()] for row in both]
    assert sorted(found) == sorted(names)
    assert [name.startswith("dog") for name in found] == labels.bool().tolist()
    assert "random-90-10" in data.note
    assert len(data.source) == 2


def test_a_picture_added_or_renamed_moves_the_split(root):
    first = divided(plain(root, per_class=20))
    assert load("imagefolder", imagefolder(root / "parts")).split_sha256 == ""
    shutil.rmtree(root / "parts")
    (root / "cat" / "3.png").rename(root / "cat" / "3a.png")
    renamed = divided(root)
    write_image(root / "cat" / "20.png", 5)
    added = divided(root)
    assert len({data.split_sha256 for data in (first, renamed, added)}) == 3


def test_pictures_without_blue_are_learned_from_and_said(root):
    imagefolder(root)
    for path in root.rglob("*.png"):
        colours = np.array(Image.open(path))
        colours[..., 2] = 0
        Image.fromarray(colours).save(path)
    data = load("imagefolder", root)
    assert data.std[2] == 1.0
    assert 0.1 < data.std[0] < 0.5
    assert "pixels of channel 2 are the same" in data.note


def test_a_seed_names_the_division(root):
    plain(root, per_class=20)
    first, other = divided(root), divided(root, split_seed=1)
    assert not torch.equal(first.test_images, other.test_images)
    assert first.source != other.source
    assert torch.equal(divided(root).test_images, first.test_images)


def test_images_of_many_sizes_are_scaled(root):
    imagefolder(root)
    write_image(root / "train" / "cat" / "0.png", 1, height=40, width=90)
    with pytest.raises(
        ValueError, match=r"differ in size: train/cat/0\.png is 90 pixels wide and 40 high"
    ):
        load("imagefolder", root)
    assert load("imagefolder", root, image_size=32).train_images.shape == (8, 3, 32, 32)


def test_only_if_all_images_are_grey_there_is_one_channel(root):
    imagefolder(root, channels=1)
    data = load("imagefolder", root)
    assert data.train_images.shape == (8, 1, 64, 64)
    assert len(data.mean) == len(data.std) == 1
    grey = torch.from_numpy(pixels(50_000, channels=1))
    assert torch.equal(data.train_images[0, 0], grey)
    write_image(root / "test" / "dog" / "3.png", 1)
    data = load("imagefolder", root)
    assert data.train_images.shape == (8, 3, 64, 64)
    assert torch.equal(data.train_images[0], grey.expand(3, -1, -1))


def test_images_are_in_the_order_of_the_numbers_in_their_names(root):
    imagefolder(root, per_class=11, classes=("class10", "class9"))
    data = load("imagefolder", root)
    assert data.class_names == ("class9", "class10")
    assert torch.equal(data.train_images[10], image(root / "train/class9/10.png"))


def test_the_second_time_nothing_is_decoded(root, monkeypatch, cache):
    imagefolder(root)
    first = load("imagefolder", root)
    monkeypatch.setattr("bntt.data.images.cached.decode", None)
    monkeypatch.setattr("bntt.data.sets.imagefolder.header", None)
    assert torch.equal(load("imagefolder", root).test_images, first.test_images)
    for made in cache.glob("*/meta.json"):
        verify(made.parent)
    assert first.cache is not None
    assert first.cache.name.startswith("imagefolder-")


def test_an_image_that_was_edited_is_read_again(root):
    imagefolder(root)
    path = root / "train" / "cat" / "0.bmp"
    for seed in (1, 2):  # of one size in bytes
        write_image(path, seed)
        os.utime(path, ns=(seed, 2 * 10**18 + seed))
        data = load("imagefolder", root)
        assert any(torch.equal(row, image(path)) for row in data.train_images)


def test_what_is_no_image_is_skipped_and_counted(root):
    imagefolder(root, parts=("train", "test", "val"))
    for name in (
        "train/cat/.hidden.png",
        "train/cat/notes.txt",
        "train/list.csv",
        ".DS_Store",
    ):
        (root / name).touch()
    (root / "test" / "dog" / "more.png").mkdir()
    (root / "test" / ".thumbnails").mkdir()
    data = load("imagefolder", root)
    assert len(data.train_images) == len(data.test_images) == 8
    assert data.note == (
        "Not read: files beside the folders: 1, such as train/list.csv; folders: 1, such "
        "as val; hidden: 3, such as .DS_Store; other endings: 1, such as "
        "train/cat/notes.txt."
    )


def test_a_damaged_image_is_named(root):
    imagefolder(root)
    path = root / "test" / "cat" / "2.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=rf"^{path} cannot be read as an image"):
        load("imagefolder", root)
    path.write_bytes(b"not an image")
    with pytest.raises(ValueError, match=rf"^{path} .*no format that Pillow knows"):
        load("imagefolder", root)


def test_a_class_without_images_is_named(root):
    imagefolder(root)
    for part in ("train", "test"):
        (root / part / "cow").mkdir()
    (root / "train" / "cow" / "notes.txt").touch()
    with pytest.raises(
        ValueError, match=r"train/cow holds no images .*holds notes\.txt\. A"
    ):
        load("imagefolder", root)


@pytest.mark.parametrize(("lacks", "has"), [("train", "test"), ("test", "train")])
def test_classes_that_differ_are_named(root, lacks, has):
    imagefolder(root)
    write_image(root / has / "cow" / "0.png", 0)
    with pytest.raises(ValueError, match=rf"own/{lacks} lacks the class 'cow', .*in {has}"):
        load("imagefolder", root)


def test_one_class_is_not_enough(root):
    plain(root, classes=("cat",))
    with pytest.raises(
        ValueError, match=r"own must hold at least two classes, .*holds cat\."
    ):
        divided(root)


def test_a_test_set_must_be_named_or_there(root):
    plain(root)
    expected = r"own has no test set .*`split` must be 'random-90-10', got 'none'"
    with pytest.raises(ValueError, match=expected):
        load("imagefolder", root)
    imagefolder(root / "more")
    with pytest.raises(ValueError, match=r"more, with test in it, has one"):
        divided(root / "more")


def test_training_images_alone_are_not_enough(root):
    imagefolder(root, ("train",))
    with pytest.raises(FileNotFoundError, match="holds train but neither test nor val"):
        load("imagefolder", root)


def test_a_class_may_be_called_train(root):
    plain(root, classes=("plane", "train"))
    assert divided(root).class_names == ("plane", "train")


def test_a_wrong_folder_is_described(root):
    with pytest.raises(ValueError, match="name it with --data DIR"):
        load("imagefolder")
    with pytest.raises(FileNotFoundError, match=r"own: .*; there is no such folder\. Name"):
        load("imagefolder", root)
    root.mkdir()
    write_image(root / "loose.png", 1)
    with pytest.raises(FileNotFoundError, match=r"No classes in .*own: .*holds loose\.png"):
        load("imagefolder", root)


def test_pictures_in_folders_within_a_class_are_of_that_class_and_said(root):
    imagefolder(root)
    write_image(root / "train" / "cat" / "summer" / "july" / "10.png", 77)
    write_image(root / "train" / "cat" / "summer" / ".trash" / "1.png", 78)
    data = load("imagefolder", root)
    assert data.train_labels.tolist() == [0] * 5 + [1] * 4
    assert torch.equal(data.train_images[4], image(root / "train/cat/summer/july/10.png"))
    assert data.note == (
        "1 of the files lie in folders within those of the classes, such as "
        "train/cat/summer/july/10.png. Not read: hidden: 1, such as "
        "train/cat/summer/.trash."
    )


@POSIX
def test_what_is_no_file_is_never_opened_and_told_by_its_kind(root):
    imagefolder(root)
    cat = root / "train" / "cat"
    os.mkfifo(cat / "pipe.png")
    (cat / "zero.png").symlink_to("/dev/zero")
    (cat / "gone.png").symlink_to("nowhere.png")
    (cat / "round.png").symlink_to("round.png")
    (cat / "circle").symlink_to(cat)
    (cat / "all").symlink_to("/")
    (cat / "outer").symlink_to(root.parent)
    (cat / "link.png").symlink_to(cat / "0.png")
    data = load("imagefolder", root)
    assert data.train_labels.tolist() == [0] * 5 + [1] * 4
    assert data.note == (
        "Not read: links to a folder that they are in: 3, such as train/cat/all; links "
        "to nothing: 2, such as train/cat/gone.png; neither files nor folders, but pipes, "
        "sockets or devices: 2, such as train/cat/pipe.png."
    )


@LINUX
def test_accents_may_be_written_in_two_ways(root):
    for part, name in (("train", "caf\u00e9"), ("test", "cafe\u0301")):
        imagefolder(root, (part,), (name, "bar"))
    data = load("imagefolder", root)
    assert data.class_names == ("bar", "caf\u00e9")
    assert data.train_labels.tolist() == data.test_labels.tolist() == [0] * 4 + [1] * 4
    imagefolder(root, ("train",), ("cafe\u0301",))
    with pytest.raises(
        ValueError, match="train has two folders that are called 'caf\u00e9'"
    ):
        load("imagefolder", root)


@pytest.mark.parametrize("parts", [("Train", "Test"), ("training", "validation")])
def test_parts_under_other_names_are_not_taken_for_classes(root, parts):
    imagefolder(root, parts)
    with pytest.raises(
        ValueError, match=r"called \w+ and \w+, like parts of a set and not"
    ):
        divided(root)


def test_large_pictures_are_decoded_on_few_threads(root, monkeypatch):
    imagefolder(root, height=8, width=8)
    write_image(root / "train" / "cat" / "9.png", 1, height=900, width=1000)
    plans = []
    monkeypatch.setattr("bntt.data.cache.Plan", spied(plans))
    load("imagefolder", root, image_size=8)
    assert plans[-1].at_work == 12 * 900_000


def spied(plans):
    def plan(*args):
        plans.append(Plan(*args))
        return plans[-1]

    return plan


def test_bytes_in_pictures_of_16_bits_are_black_and_the_error_says_how_to_read_them(root):
    plain(root)
    for path in root.rglob("*.png"):
        with Image.open(path) as opened:
            dark = np.asarray(opened.convert("L")).astype(np.uint16)
        Image.fromarray(dark).save(path)
    with pytest.raises(ValueError, match=rf"^{root}: the pixels .* set white=255 in"):
        divided(root)
    assert divided(root, white=255).train_images.max() > 200
