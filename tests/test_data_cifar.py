"""CIFAR files, made up small in both layouts: read exactly, or refused in words."""

import hashlib

import numpy as np
import pytest
import torch
from made_up_cifar import SETS, archive, pickled, publish, publish_pickles

from bntt.data import load
from bntt.data.sets import cifar

BOTH = pytest.mark.parametrize("name", ["cifar10", "cifar100"])
VERSIONS = pytest.mark.parametrize("which", [0, 1], ids=["python", "binary"])


def assert_is(data, made):
    images = torch.cat([data.train_images, data.test_images]).flatten(1)
    assert np.array_equal(images.numpy(), made.pixels)
    labels = torch.cat([data.train_labels, data.test_labels])
    assert np.array_equal(labels.numpy(), made.labels)
    assert data.train_images.shape == (60, 3, 32, 32)
    assert data.class_names == tuple(n.decode() for n in made.names)


@BOTH
@VERSIONS
@pytest.mark.parametrize("named", ["parent", "folder", "renamed"])
def test_a_folder_is_read_exactly_and_every_file_is_hashed(
    tmp_path, monkeypatch, name, which, named
):
    made = publish(monkeypatch, name)
    folder = tmp_path / (
        "mine" if named == "renamed" else SETS[name].versions[which].folder
    )
    made.write(which, folder)
    data = load(name, str(tmp_path) if named == "parent" else folder)
    assert_is(data, made)
    sha256 = {k: hashlib.sha256(v).hexdigest() for k, v in made.files[which].items()}
    assert data.source == sha256


@BOTH
@VERSIONS
@pytest.mark.parametrize("named", ["folder", "file"])
def test_an_archive_is_read_as_it_is(tmp_path, monkeypatch, name, which, named):
    made = publish(monkeypatch, name)
    path = archive(monkeypatch, made, name, which, tmp_path)
    data = load(name, tmp_path if named == "folder" else path)
    assert_is(data, made)
    assert data.source[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(data.source) == {path.name, *made.files[which]}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_another_archive_of_that_name_is_not_opened(tmp_path, monkeypatch):
    path = archive(
        monkeypatch, publish(monkeypatch, "cifar10"), "cifar10", 1, tmp_path, publish=False
    )
    with pytest.raises(
        ValueError, match=rf"{path.name} is not the published file: .*not opened"
    ):
        load("cifar10", tmp_path)


def test_a_folder_that_is_half_extracted_yields_to_the_archive(tmp_path, monkeypatch):
    made = publish(monkeypatch, "cifar10")
    folder = made.write(0, tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_4").unlink()
    archive(monkeypatch, made, "cifar10", 0, tmp_path)
    assert_is(load("cifar10", tmp_path), made)


@VERSIONS
def test_a_missing_batch_is_named(tmp_path, monkeypatch, which):
    made = publish(monkeypatch, "cifar10")
    folder = made.write(which, tmp_path / SETS["cifar10"].versions[which].folder)
    gone = SETS["cifar10"].versions[which].train[2]
    (folder / gone).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"CIFAR-10 is incomplete: .* lacks {gone}\."
    ):
        load("cifar10", tmp_path)


def test_a_wrong_folder_is_described(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cifar-100-binary .*; it is empty\. Name"):
        load("cifar100", tmp_path)
    for k in range(10):
        (tmp_path / f"photo{k}.jpg").touch()
    expected = (
        r"No CIFAR-10 in .*python\.tar\.gz .*it holds photo0\.jpg, .*7\.jpg and 2 more"
    )
    with pytest.raises(FileNotFoundError, match=expected):
        load("cifar10", tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load("cifar10", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="it is a file"):
        load("cifar10", tmp_path / "photo0.jpg")


def test_the_other_cifar_is_not_taken_for_this_one(tmp_path, monkeypatch):
    publish(monkeypatch, "cifar100").write(1, tmp_path / "cifar-100-binary")
    with pytest.raises(FileNotFoundError, match="it holds cifar-100-binary"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("cut", [slice(None, -1), slice(0), slice(3073)])
def test_a_truncated_binary_file_is_refused(tmp_path, monkeypatch, cut):
    made = publish(monkeypatch, "cifar10")
    made.files[1]["data_batch_2.bin"] = made.files[1]["data_batch_2.bin"][cut]
    made.write(1, tmp_path)
    expected = (
        r"data_batch_2\.bin must have 36876 bytes, 12 records of 3073, but has \d+\. Trunc"
    )
    with pytest.raises(ValueError, match=expected):
        load("cifar10", tmp_path)


@pytest.mark.parametrize(("column", "label", "highest"), [(0, 20, 19), (1, 100, 99)])
def test_a_label_out_of_range_is_refused(tmp_path, monkeypatch, column, label, highest):
    made = publish(monkeypatch, "cifar100")
    broken = bytearray(made.files[1]["test.bin"])
    broken[5 * 3074 + column] = label
    made.files[1]["test.bin"] = bytes(broken)
    made.write(1, tmp_path)
    expected = rf"test\.bin: image 5 has label {label}, expected 0 to {highest}"
    with pytest.raises(ValueError, match=expected):
        load("cifar100", tmp_path)


def test_class_names_that_are_cut_off_are_refused(tmp_path, monkeypatch):
    made = publish(monkeypatch, "cifar100")
    made.files[1]["fine_label_names.txt"] = b"apple\nworm\n"
    made.write(1, tmp_path)
    with pytest.raises(
        ValueError, match=r"label_names\.txt must name 100 classes, but names 2"
    ):
        load("cifar100", tmp_path)


@pytest.mark.parametrize("option", [{"image_size": 64}, {"split": "random-90-10"}])
def test_what_does_not_go_with_the_set_is_refused(tmp_path, monkeypatch, option):
    publish(monkeypatch, "cifar10").write(1, tmp_path)
    assert load("cifar10", tmp_path, image_size=32).train_images.shape[-1] == 32
    with pytest.raises(ValueError, match=f"`{next(iter(option))}` .* CIFAR-10"):
        load("cifar10", tmp_path, **option)


HOSTILE = b"\x80\x02c__builtin__\nprint\nU\x13this pickle has run\x85R."


@pytest.mark.parametrize("file", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_pickle_that_was_not_published_is_not_opened(tmp_path, monkeypatch, capsys, file):
    folder = publish(monkeypatch, "cifar10").write(0, tmp_path)
    (folder / file).write_bytes(HOSTILE)
    expected = (
        rf"{file} is not the published file: its MD5 is \w+ \(\d+ bytes\).*not opened"
    )
    with pytest.raises(ValueError, match=expected):
        load("cifar10", tmp_path)
    assert "has run" not in capsys.readouterr().out


def published_as(monkeypatch, folder, batch):
    """Write a set whose first batch is `batch`, with a checksum that matches."""
    made = publish(monkeypatch, "cifar10")
    made.files[0]["data_batch_1"] = batch
    made.write(0, folder)
    publish_pickles(monkeypatch, "cifar10", made.files[0])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HOSTILE, r"asks for __builtin__\.print"),
        (b"\x80\x02cos\nsystem\nU\x04true\x85R.", r"asks for os\.system"),
        (b"\x80\x02cnumpy\nload\nU\x01x\x85R.", r"asks for numpy\.load"),
        (b"\x80\x02cnumpy\ndtype\n(U\x01OK\x00K\x01tR.", r"array of b'O', expected bytes"),
        (b"\x80\x02}(U\x04", "truncated|exhausted"),
        (b"", "Ran out of input"),
    ],
)
def test_a_pickle_may_hold_nothing_but_bytes(monkeypatch, tmp_path, capsys, data, expected):
    published_as(monkeypatch, tmp_path, data)
    match = rf"data_batch_1 cannot be unpickled: .*({expected})"
    with pytest.raises(ValueError, match=match):
        load("cifar10", tmp_path)
    assert "has run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pixels", "labels", "expected"),
    [
        ((11, 3072), [0] * 12, r"pixels of shape \(11, 3072\)"),
        ((12, 3072), [0] * 11, r"labels of shape \(11,\)"),
        ((12, 3072), [0] * 11 + [10], r"image 11 has label 10, expected 0 to 9"),
        ((12, 3072), [0] * 11 + [-1], r"image 11 has label -1"),
    ],
)
def test_a_pickle_of_another_shape_is_refused(
    monkeypatch, tmp_path, pixels, labels, expected
):
    batch = {b"data": np.zeros(pixels, np.uint8), b"labels": labels}
    published_as(monkeypatch, tmp_path, pickled(batch))
    with pytest.raises(ValueError, match=rf"data_batch_1.*{expected}"):
        load("cifar10", tmp_path)


@VERSIONS
def test_a_file_larger_than_any_published_one_is_not_read(tmp_path, monkeypatch, which):
    made = publish(monkeypatch, "cifar10")
    made.write(which, tmp_path)
    name = SETS["cifar10"].versions[which].train[1]
    with (tmp_path / name).open("wb") as file:
        file.truncate(cifar.MOST + 1)
    with pytest.raises(ValueError, match=rf"{name} has {cifar.MOST + 1} bytes, more than"):
        load("cifar10", tmp_path)
