"""`bntt data`: what there is, what is in a set, and where one is to be had."""

import errno
import json
import os
import sys

import command
import made_up_event_sets
import made_up_mnist
import numpy as np
import pytest
from file_systems import LINUX
from made_up_cifar import publish
from made_up_images import write_image
from PIL import Image

from bntt.analysis import dataset_summary as overview
from bntt.commands.main import main
from bntt.data import NAMES, DataOptions, load
from bntt.data.catalogue import CATALOGUE

bntt_says, refusal = command.bntt_says, command.refusal


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """An empty folder to work in, and a cache of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return tmp_path / "here"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def mnist(monkeypatch, tmp_path):
    return made_up_mnist.publish(monkeypatch, "mnist").write(tmp_path / "mnist")


def test_every_set_is_described():
    assert set(CATALOGUE) == set(NAMES)
    for one in CATALOGUE.values():
        assert one.own == (not one.place) == (not one.train)
        assert not one.downloads or one.signs


def test_the_list_has_every_set_and_its_terms(bntt_says):
    printed = bntt_says("data", "list")
    assert bntt_says("data") == printed
    for name, one in CATALOGUE.items():
        lines = [line for line in printed.splitlines() if line.split()[:1] == [name]]
        assert len(lines) == 2, name
        assert one.terms in lines[1]
        assert one.place in lines[1]
    assert max(map(len, printed.splitlines()[: len(CATALOGUE)])) < 80


def test_the_list_says_what_is_in_the_cache(cache, monkeypatch, bntt_says):
    before = json.loads(bntt_says("data", "--json"))
    assert set(before) == set(CATALOGUE)
    assert {one["cached"] for one in before.values()} == {False, None}
    made_up_mnist.publish(monkeypatch, "mnist").write(cache / "MNIST" / "raw")
    publish(monkeypatch, "cifar100").write(1, cache / "cifar-100-binary")
    made_up_event_sets.nmnist(cache / "N-MNIST")
    made_up_event_sets.cifar10dvs(cache)
    made_up_event_sets.dvs_gesture(cache / "DvsGesture")
    after = json.loads(bntt_says("data", "--json"))
    held = {name for name, one in after.items() if one["cached"]}
    assert held == {"mnist", "cifar100", "nmnist", "cifar10dvs", "dvs-gesture"}
    row = next(line for line in bntt_says("data").splitlines() if "cifar100" in line)
    assert row.split()[-1] == "yes"


def test_without_a_known_cache_the_list_is_still_printed(monkeypatch, bntt_says):
    monkeypatch.delenv("BNTT_DATA")
    monkeypatch.setitem(sys.modules, "pooch", None)
    sets = json.loads(bntt_says("data", "--json"))
    assert {one["cached"] for one in sets.values()} == {None}


def test_the_numbers_are_those_of_the_loaded_set(mnist, here, bntt_says):
    found = json.loads(bntt_says("data", "mnist", "--from", mnist, "--json"))
    data = load("mnist", mnist)
    assert found["shape"] == [1, 28, 28]
    assert found["train"] == data.train_labels.bincount().tolist()
    assert found["test"] == data.test_labels.bincount(minlength=10).tolist()
    assert (found["mean"], found["std"]) == (list(data.mean), list(data.std))
    assert found["source"] == data.source
    assert found["cache"] == ""
    assert found["sheet"] == "mnist-sheet.png"
    with Image.open(here / "mnist-sheet.png") as picture:
        assert picture.width > 6 * 56  # six examples at most, each of 56 pixels


def test_they_are_printed_for_people(mnist, bntt_says):
    lines = bntt_says("data", "mnist", "--from", mnist).splitlines()
    said = dict(line.split(maxsplit=1) for line in lines[:6])
    assert said["set"] == "MNIST (mnist)"
    assert said["train"] == "40 samples"
    assert said["shape"] == "1 x 28 x 28, images"
    assert "train 2 to 6, median 4; test 0 to 2, median 1" in " ".join(lines)
    assert [line.split() for line in lines[-10:]] == [
        [str(k), str(train), str(test)]
        for k, (train, test) in enumerate(zip(*made_up_mnist.COUNTS["mnist"], strict=True))
    ]


def test_many_classes_are_summed_up(tmp_path, bntt_says):
    labels = np.arange(42) % 21
    x = np.arange(42 * 4, dtype=np.uint8).reshape(42, 2, 2)
    np.savez(
        tmp_path / "a.npz", x_train=x, y_train=labels, x_test=x[:21], y_test=labels[:21]
    )
    lines = bntt_says("data", "npz", "--from", tmp_path / "a.npz").splitlines()
    assert lines[7].split(maxsplit=2)[2] == "train 2 to 2, median 2; test 1 to 1, median 1"
    assert len(lines) == 12


def test_what_a_reader_must_be_told_is_printed(tmp_path, bntt_says):
    x, y = np.arange(80, dtype=np.uint8).reshape(20, 2, 2), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y)
    words = ["npz", "--from", tmp_path / "a.npz", "--split", "random-90-10"]
    last = bntt_says("data", *words, "--split-seed", 3).splitlines()[-1]
    assert last.startswith(
        "Note: Split random-90-10, seed 3: 18 to train on and 2 to test on"
    )


def test_events_are_framed_as_asked_and_their_cache_is_named(cache, tmp_path, bntt_says):
    made_up_event_sets.nmnist(tmp_path / "N-MNIST")
    words = ["nmnist", "--from", tmp_path, "--num-steps", 4, "--image-size", 17]
    found = json.loads(bntt_says("data", *words, "--json"))
    assert found["shape"] == [4, 2, 17, 17]
    assert found["cache"].startswith(str(cache / "cache" / "nmnist-"))
    counted = json.loads(bntt_says("data", *words, "--frames", "count", "--json"))
    assert counted["cache"] != found["cache"]
    assert "4 x 2 x 17 x 17, frames of events, steps x (OFF" in bntt_says("data", *words)


def test_a_damaged_cache_is_found_out(tmp_path, bntt_says, refusal):
    made_up_event_sets.nmnist(tmp_path / "N-MNIST")
    words = ["data", "nmnist", "--from", tmp_path]
    folder = json.loads(bntt_says(*words, "--json"))["cache"]
    (array,) = tmp_path.glob("cache/cache/nmnist-*/frames.npy")
    data = bytearray(array.read_bytes())
    data[-1] ^= 1
    array.write_bytes(data)
    line = refusal(*words).splitlines()[-1]
    assert f"The cache {folder} is damaged" in line
    assert "Delete that folder" in line


def test_what_is_asked_for_is_passed_on(monkeypatch, tmp_path, bntt_says):
    asked, real = {}, overview.load

    def spy(name, root, options, quiet):
        asked.update(options=options, name=name, root=root, quiet=quiet)
        return real("digits")

    monkeypatch.setattr(overview, "load", spy)
    words = (
        "--num-steps 3 --image-size 40 --frames count --window-ms 50 "
        "--split first-100-test --sensor 240x180 --outside drop --white 4095"
    )
    bntt_says("data", "eventfolder", "--data", tmp_path, *words.split())
    assert asked == {
        "name": "eventfolder",
        "root": tmp_path,
        "options": DataOptions(
            num_steps=3,
            image_size=40,
            frames="count",
            window_ms=50,
            sensor="240x180",
            outside="drop",
            white=4095,
            split="first-100-test",
        ),
        "quiet": False,
    }


def test_without_matplotlib_the_rest_is_still_said(monkeypatch, capsys, here):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["data", "digits", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["sheet"] is None
    assert 'pip install -c constraints.txt ".[plot]"' in err
    assert err.count("\n") == 1
    assert main(["data", "digits"]) == 0
    assert "sheet      none" in capsys.readouterr().out
    assert not list(here.iterdir())


def test_a_sheet_that_cannot_be_drawn_is_refused_before_anything_is_read(
    monkeypatch, tmp_path, refusal
):
    monkeypatch.setattr(overview, "load", None)
    for sheet, why in (
        ("nowhere/a.png", "There is no folder"),
        ("a.mp3", "not supported"),
        (".", "ending '' is not"),
    ):
        assert why in refusal("data", "digits", "--sheet", tmp_path / sheet)


def broken(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_result_is_printed_though_its_picture_cannot_be_written(
    monkeypatch, capsys, here
):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    assert main(["data", "digits", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["sheet"] is None
    assert err == "bntt: Not drawn: No space left on device: digits-sheet.png.\n"
    assert main(["data", "digits", "--sheet", "mine.png"]) == 1
    out, err = capsys.readouterr()
    assert "sheet      none" in out
    assert "No space left on device: mine.png" in err
    assert not list(here.iterdir())


def test_where_nothing_may_be_written_the_set_is_still_described(monkeypatch, capsys):
    monkeypatch.setattr("bntt.report.target.os.access", lambda *_: False)
    assert main(["data", "digits"]) == 0
    out, err = capsys.readouterr()
    assert "set        Handwritten digits" in out
    assert err.startswith("No contact sheet: Nothing may be written in")


def test_the_digits_need_no_cache_folder(monkeypatch, bntt_says):
    monkeypatch.delenv("BNTT_DATA")
    monkeypatch.setitem(sys.modules, "pooch", None)
    said = json.loads(bntt_says("data", "digits", "--json"))
    assert (sum(said["train"]), sum(said["test"])) == (1437, 360)


def test_what_was_checked_is_said_and_no_more(tmp_path, bntt_says):
    made_up_event_sets.nmnist(tmp_path / "N-MNIST")
    words = ["data", "nmnist", "--from", tmp_path]
    for extra, expected in (
        ([], "the cache with its own checksums; its files by name, size and date, since"),
        (["--verify"], "the cache with its own checksums, and all 30 files with the cache"),
    ):
        assert f"checked    {expected}" in bntt_says(*words, *extra)
        assert json.loads(bntt_says(*words, *extra, "--json"))["checked"].startswith(
            expected
        )
    assert "checked    every file was read just now" in bntt_says(
        "data", "digits", "--verify"
    )


def test_verifying_names_the_files_that_are_others(tmp_path, bntt_says, refusal):
    made_up_event_sets.nmnist(tmp_path / "N-MNIST")
    words = ["data", "nmnist", "--from", tmp_path]
    source = json.loads(bntt_says(*words, "--json"))["source"]
    paths = [tmp_path / "N-MNIST/Train" / name for name in ("3/00300.bin", "4/00400.bin")]
    data, states = [path.read_bytes() for path in paths], [path.stat() for path in paths]
    for path, other, state in zip(paths, reversed(data), states, strict=True):
        path.write_bytes(other)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert json.loads(bntt_says(*words, "--json"))["source"] == source
    line = refusal(*words, "--verify").splitlines()[-1]
    assert "2 of 30 files in" in line
    assert "other bytes than when the cache was made: Train/3/00300.bin, Train/4/0" in line
    os.utime(paths[0])  # now that can be told without reading
    assert json.loads(bntt_says(*words, "--verify", "--json"))["source"] != source


def test_verifying_names_a_file_that_is_gone_since(tmp_path, monkeypatch, refusal):
    made_up_event_sets.nmnist(tmp_path / "N-MNIST")
    load("nmnist", tmp_path)
    gone, real = tmp_path / "N-MNIST" / "Test" / "9" / "00950.bin", overview.verify

    def meanwhile(cache):
        gone.unlink()
        real(cache)

    monkeypatch.setattr(overview, "verify", meanwhile)
    assert "Test/9/00950.bin" in refusal("data", "nmnist", "--from", tmp_path, "--verify")


def test_a_sheet_goes_where_it_is_told(tmp_path, here, bntt_says, refusal):
    bntt_says("data", "digits", "--sheet", tmp_path / "mine.pdf")
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF")
    assert not list(here.iterdir())
    assert "nowhere" in refusal("data", "digits", "--sheet", tmp_path / "nowhere" / "a.png")
    assert "not supported" in refusal("data", "digits", "--sheet", tmp_path / "a.mp3")


BY_HAND = [
    name for name, one in CATALOGUE.items() if one.signs and one.place and not one.downloads
]


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_not_downloaded_is_described(cache, refusal, name):
    line = refusal("data", name)
    one = CATALOGUE[name]
    for part in (one.place, one.terms, one.layout, str(cache), "--from DIR"):
        assert part in line
    assert not cache.exists()


@pytest.mark.parametrize(
    "name", ["cifar10", "mnist", "nmnist", "cifar10dvs", "dvs-gesture"]
)
def test_a_wrong_folder_is_described(tmp_path, refusal, name):
    (tmp_path / "empty").mkdir()
    title = CATALOGUE[name].title
    assert f"No {title} in" in refusal("data", name, "--from", tmp_path / "nowhere")
    assert "it is empty" in refusal("data", name, "--from", tmp_path / "empty")
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    assert "it holds cats" in refusal("data", name, "--from", tmp_path / "photos")


def test_what_was_put_into_the_cache_by_hand_is_read(cache, bntt_says):
    made_up_event_sets.nmnist(cache / "N-MNIST")
    assert json.loads(bntt_says("data", "nmnist", "--json"))["train"] == [2] * 10


def test_a_half_extracted_folder_is_described(tmp_path, monkeypatch, mnist, refusal):
    (mnist / "t10k-images-idx3-ubyte.gz").unlink()
    assert "MNIST is incomplete" in refusal("data", "mnist", "--from", mnist)
    cifar = publish(monkeypatch, "cifar10").write(1, tmp_path / "cifar")
    (cifar / "test_batch.bin").unlink()
    assert "lacks test_batch.bin" in refusal("data", "cifar10", "--from", cifar)
    made_up_event_sets.cifar10dvs(tmp_path / "dvs", classes=made_up_event_sets.CIFAR10[:9])
    words = ["--split", "random-90-10", "--from", tmp_path / "dvs"]
    assert "truck" in refusal("data", "cifar10dvs", *words)


def test_an_unknown_set_is_refused(refusal):
    assert "Unknown dataset 'mnits'. Did you mean 'mnist'?" in refusal("data", "mnits")


@LINUX
def test_names_that_are_no_text_are_printed_and_drawn(tmp_path, bntt_says):
    names = os.fsdecode(b"caf\xe9"), "two\nlines\x1b[31m", "[red]"
    for k, name in enumerate(names):
        for picture in range(2):
            write_image(tmp_path / "own" / name / f"{picture}.png", 10 * k + picture)
    words = ["data", "imagefolder", "--from", tmp_path / "own", "--split", "random-90-10"]
    for sheet in (tmp_path / "a.png", tmp_path / "a.pdf"):
        printed = bntt_says(*words, "--sheet", sheet, "--verify")
        rows = [line.split() for line in printed.splitlines()]
        for name in (r"caf\udce9", r"two\nlines\x1b[31m", "[red]"):
            assert [name, "1", "1"] in rows
        assert sheet.stat().st_size > 1000
    said = json.loads(bntt_says(*words, "--json"))
    assert sorted(said["class_names"]) == sorted(names)
