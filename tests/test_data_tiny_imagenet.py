"""Tiny-ImageNet in its official layout: read as published, or refused in words."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_images import tiny_imagenet, write_image
from PIL import Image

from bntt.data import load
from bntt.data.cache import verify

ANNOTATIONS = "val/val_annotations.txt"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return tiny_imagenet(tmp_path_factory.mktemp("published"))


@pytest.fixture
def root(published, tmp_path, monkeypatch):
    """A set of its own for a test to spoil, and an empty cache."""
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return Path(shutil.copytree(published, tmp_path / "sets" / published.name))


def with_pillow(path):
    with Image.open(path) as picture:
        return torch.tensor(np.asarray(picture.convert("RGB"))).movedim(-1, 0)


def test_all_of_it_is_read_in_a_fixed_order(root):
    data = load("tiny-imagenet", root)
    assert data.train_images.shape == (400, 3, 64, 64)
    assert data.test_images.shape == (200, 3, 64, 64)
    assert data.train_labels.tolist() == [label for label in range(200) for _ in range(2)]
    # made up in the order of the list, which is the reverse of the sorted one
    assert data.test_labels.tolist() == list(range(200))[::-1]
    for row, name in ((0, "n00000001_0"), (3, "n00000002_1"), (399, "n00000200_1")):
        path = root / "train" / name[:9] / "images" / f"{name}.JPEG"
        assert torch.equal(data.train_images[row], with_pillow(path))
    path = root / "val" / "images" / "val_123.JPEG"
    assert torch.equal(data.test_images[123], with_pillow(path))
    assert data.cache is not None
    verify(data.cache)


def test_names_statistics_and_sources(root):
    data = load("tiny-imagenet", root)
    assert data.class_names[:2] == ("thing n00000001", "thing n00000002")
    assert data.class_names[-1] == "n00000200"  # without a line in words.txt
    values = data.train_images.double() / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3), correction=0)
    assert data.mean == tuple(round(value, 4) for value in mean.tolist())
    assert data.std == tuple(round(value, 4) for value in std.tolist())
    assert set(data.source) == {
        "Tiny-ImageNet files",
        "wnids.txt",
        "words.txt",
        ANNOTATIONS,
    }
    assert all(len(sha256) == 64 for sha256 in data.source.values())
    assert data.note.startswith("400 of the 100,000 training images and 200 of the 10,000 ")
    assert "words.txt does not name 1 of 200 classes, which go by their" in data.note


def test_without_words_the_classes_have_their_identifiers(root):
    (root / "words.txt").unlink()
    data = load("tiny-imagenet", root)
    assert data.class_names[:1] == ("n00000001",)
    assert "words.txt does not name 200 of 200 classes" in data.note


def test_images_are_in_the_order_of_their_numbers(root):
    for number in (10, 9):
        write_image(root / f"train/n00000001/images/n00000001_{number}.JPEG", number)
    images = load("tiny-imagenet", root).train_images
    for row, number in enumerate((0, 1, 9, 10)):
        path = root / f"train/n00000001/images/n00000001_{number}.JPEG"
        assert torch.equal(images[row], with_pillow(path))


def test_the_folder_around_it_and_the_cache_are_looked_into(root, monkeypatch):
    first = load("tiny-imagenet", root)
    assert load("tiny-imagenet", root.parent).source == first.source
    monkeypatch.setenv("BNTT_DATA", str(root.parent))
    assert load("tiny-imagenet").source == first.source


def test_the_second_time_nothing_is_decoded(root, monkeypatch):
    first = load("tiny-imagenet", root)
    monkeypatch.setattr("bntt.data.images.cached.decode", None)
    again = load("tiny-imagenet", root)
    assert torch.equal(again.train_images, first.train_images)
    assert again.cache == first.cache


def test_another_image_is_another_cache(root):
    first = load("tiny-imagenet", root)
    write_image(root / "train/n00000001/images/n00000001_2.JPEG", 7)
    again = load("tiny-imagenet", root)
    assert len(again.train_images) == 401
    assert again.cache != first.cache
    assert again.source["Tiny-ImageNet files"] != first.source["Tiny-ImageNet files"]


def test_a_grey_image_has_three_equal_channels(root):
    write_image(root / "train/n00000001/images/n00000001_0.JPEG", 8, channels=1)
    image = load("tiny-imagenet", root).train_images[0]
    assert image.float().std() > 0
    assert (image == image[:1]).all()


def test_images_may_be_scaled(root):
    write_image(root / "val/images/val_0.JPEG", 9, height=50, width=80)
    expected = r"val_0\.JPEG is 80 pixels wide and 50 high, expected 64 and 64.*image_size"
    with pytest.raises(ValueError, match=expected):
        load("tiny-imagenet", root)
    assert load("tiny-imagenet", root, image_size=32).test_images.shape == (200, 3, 32, 32)


def test_a_damaged_image_is_named(root):
    path = root / "train/n00000033/images/n00000033_1.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(
        ValueError, match=rf"^{path} cannot be read as an image .*300 bytes"
    ):
        load("tiny-imagenet", root)


def edit(root, change):
    path = root / ANNOTATIONS
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def refused(root, kind, expected):
    with pytest.raises(kind, match=expected):
        load("tiny-imagenet", root)


def test_a_validation_image_without_a_class_is_named(root):
    edit(root, lambda lines: lines[:70] + lines[71:])
    refused(root, ValueError, r"val_70\.JPEG has no class: .*val_annotations\.txt")


def test_a_class_without_its_validation_image_is_named(root):
    (root / "val/images/val_70.JPEG").unlink()
    refused(root, FileNotFoundError, r"val_70\.JPEG is missing, .*: .*val_annotations\.txt")


def test_annotations_that_are_gone_are_named(root):
    (root / ANNOTATIONS).unlink()
    refused(root, FileNotFoundError, r"val_annotations\.txt is missing")


@pytest.mark.parametrize("line", ["val_3.JPEG\tn99999999\t0\t0\t1\t1", "val_3.JPEG", ""])
def test_a_line_of_no_known_class_is_named(root, line):
    edit(root, lambda lines: [*lines[:3], line, *lines[4:]])
    refused(root, ValueError, r"val_annotations\.txt, line 4: class '(n99999999)?' of ")


def test_a_class_that_is_not_tested_is_named(root):
    (root / "val/images/val_0.JPEG").unlink()
    edit(root, lambda lines: lines[1:])
    refused(root, ValueError, r"annotations\.txt names no image of class n00000200\.")


def test_a_folder_of_no_known_class_is_named(root):
    (root / "train" / "n99999999").mkdir()
    refused(root, ValueError, r"train/n99999999 is of no class in wnids\.txt")


def test_a_class_without_training_images_is_named(root):
    shutil.rmtree(root / "train" / "n00000123" / "images")
    refused(root, FileNotFoundError, r"train/n00000123/images holds no JPEG files")


@pytest.mark.parametrize(
    ("change", "found"),
    [(lambda w: w[:-1], "199, 199"), (lambda w: [*w[:-1], w[0]], "200, 199")],
)
def test_another_number_of_classes_is_refused(root, change, found):
    path = root / "wnids.txt"
    path.write_text("\n".join(change(path.read_text().split())))
    refused(root, ValueError, rf"must list 200 classes, each once, but lists {found} of")


def test_a_wrong_folder_is_described(tmp_path):
    (tmp_path / "photos").mkdir()
    expected = r"No Tiny-ImageNet in .*looked for wnids\.txt, train/ and val/.*holds photos"
    refused(tmp_path, FileNotFoundError, expected)


@pytest.mark.parametrize("named", ["folder", "file"])
def test_the_archive_is_to_be_extracted(tmp_path, named):
    archive = tmp_path / "tiny-imagenet-200.zip"
    archive.touch()
    expected = rf"^{archive} must be extracted first, .*unzip -d {tmp_path} {archive}"
    refused(tmp_path if named == "folder" else archive, FileNotFoundError, expected)


def test_it_cannot_be_divided(root):
    with pytest.raises(ValueError, match=r"Tiny-ImageNet has one; got .random-90-10."):
        load("tiny-imagenet", root, split="random-90-10")


def test_the_real_files_are_decoded_as_pillow_does(tmp_path, monkeypatch):
    real = Path(os.environ.get("BNTT_TEST_DATA", "")) / "tiny-imagenet-200"
    if not os.environ.get("BNTT_TEST_DATA") or not real.is_dir():
        pytest.skip("BNTT_TEST_DATA does not name a folder that holds tiny-imagenet-200")
    monkeypatch.setenv("BNTT_DATA", str(tmp_path))
    data = load("tiny-imagenet", real.parent)
    counts = data.train_labels.bincount(), data.test_labels.bincount()
    assert [len(count) for count in counts] == [200, 200]
    assert all((count == count[0]).all() for count in counts)
    assert data.class_names[:2] == ("goldfish", "European fire salamander")
    lines = (real / ANNOTATIONS).read_text().splitlines()
    names = sorted(line.split("\t")[0] for line in lines)
    names.sort(key=len)
    for row in range(0, len(names), 97):
        expected = with_pillow(real / "val" / "images" / names[row])
        assert torch.equal(data.test_images[row], expected)
    assert data.mean == pytest.approx((0.48, 0.45, 0.40), abs=0.01)
    assert data.std == pytest.approx((0.277, 0.269, 0.282), abs=0.01)
