"""CIFAR10-DVS, N-MNIST and DVS128 Gesture in their official layouts, made up small."""

import dataclasses
import os
import shutil
from typing import Any

import made_up_event_sets as made_up
import numpy as np
import pytest
from made_up_events import make_up, npz, write
from made_up_events import nmnist as five_bytes

from bntt.data import load
from bntt.data.events.frames import to_frames
from bntt.data.splits import split

SETS = ["cifar10dvs", "nmnist", "dvs-gesture"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("BNTT_DATA", str(folder))
    return folder


def frames_of(made, names, *args):
    return np.stack([to_frames(made[name], *args)[0] for name in names])


def write_set(name, folder):
    return {
        "cifar10dvs": made_up.cifar10dvs,
        "nmnist": made_up.nmnist,
        "dvs-gesture": made_up.dvs_gesture,
    }[name](folder)


def load_set(name, folder, **wanted):
    small: dict[str, Any] = {"num_steps": 4, "image_size": 16}
    if name == "cifar10dvs":
        small["split"] = "random-90-10"
    return load(name, folder, **(small | wanted))


def test_cifar10_dvs_is_divided_as_named_and_says_so(tmp_path):
    made = made_up.cifar10dvs(tmp_path / "set", each=12)
    data = load(
        "cifar10dvs", tmp_path / "set", num_steps=3, split="random-90-10", split_seed=4
    )
    names = [
        f"{name}/cifar10_{name}_{k}.aedat" for name in made_up.CIFAR10 for k in range(12)
    ]  # 2 comes before 10
    chosen = split("random-90-10", np.repeat(np.arange(10), 12), 4, names)
    for images, labels, index in (
        (data.train_images, data.train_labels, chosen.train),
        (data.test_images, data.test_labels, chosen.test),
    ):
        assert np.array_equal(images, frames_of(made, [names[k] for k in index], 3))
        assert labels.tolist() == (index // 12).tolist()
    assert data.class_names == tuple(made_up.CIFAR10)
    assert data.source["split random-90-10 seed 4"] == chosen.sha256 == data.split_sha256
    assert "cannot be compared" in data.note
    assert "Partial: 12 of 1000 recordings of each class." in data.note


def test_cifar10_dvs_as_other_libraries_leave_it(tmp_path):
    made_up.cifar10dvs(tmp_path / "official")
    made_up.cifar10dvs(tmp_path / "arrays", ending=".npz")
    one, other = (
        load_set("cifar10dvs", tmp_path / kind) for kind in ("official", "arrays")
    )
    assert one.train_images.equal(other.train_images)


def test_cifar10_dvs_without_a_split_is_refused(tmp_path):
    made_up.cifar10dvs(tmp_path)
    with pytest.raises(ValueError, match=r"random-90-10, first-900.* no official split"):
        load_set("cifar10dvs", tmp_path, split="none")
    with pytest.raises(ValueError, match=r"'random'\. Did you mean .*, first-900-train, "):
        load_set("cifar10dvs", tmp_path, split="random")


def test_a_split_needs_its_recordings(tmp_path):
    made_up.cifar10dvs(tmp_path)
    with pytest.raises(ValueError, match=r"needs at least 901 samples .* class 0 has 3"):
        load_set("cifar10dvs", tmp_path, split="first-900-train")


def test_nmnist_is_read_in_order_with_its_own_test_set(tmp_path):
    made = made_up.nmnist(tmp_path / "set")
    data = load("nmnist", tmp_path / "set", num_steps=5, frames="count")
    train, test = (sorted(n for n in made if n.startswith(p)) for p in ("Train", "Test"))
    assert np.array_equal(data.train_images, frames_of(made, train, 5, 0, "count"))
    assert np.array_equal(data.test_images, frames_of(made, test, 5, 0, "count"))
    assert data.train_images.shape == (20, 5, 2, 34, 34)
    assert data.train_labels.tolist() == [k // 2 for k in range(20)]
    assert data.test_labels.tolist() == list(range(10))
    assert data.note == ("Partial: 20 of 60000 training and 10 of 10000 test recordings.")


def test_a_set_says_how_long_its_steps_are(tmp_path):
    made = made_up.nmnist(tmp_path)
    lengths = [
        e.t.max() - e.t.min() for name, e in made.items() if name.startswith("Train")
    ]
    loaded = load("nmnist", tmp_path, num_steps=4)
    assert loaded.step_ms == pytest.approx(np.median(lengths) / 1000 / 4)
    assert load("nmnist", tmp_path, num_steps=4, frames="count").step_ms is None


def test_the_steps_of_a_labelled_interval_divide_all_of_it(tmp_path):
    made_up.dvs_gesture(tmp_path)
    loaded = load("dvs-gesture", tmp_path, num_steps=5)
    assert loaded.step_ms == made_up.LENGTH_US / 1000 / 5


def test_every_labelled_interval_is_a_gesture(tmp_path):
    made = made_up.dvs_gesture(tmp_path / "set")
    data = load("dvs-gesture", tmp_path / "set", num_steps=4, image_size=32)
    rows = iter(data.train_images)
    for trial in ("user01_led", "user02_lab"):
        for gesture in range(1, 12):
            start = made_up.LENGTH_US * (2 * gesture - 1)
            span = (start, start + made_up.LENGTH_US)
            part = made[f"{trial}.aedat"].between(*span)
            assert np.array_equal(next(rows), to_frames(part, 4, 32, "time", span)[0])
    assert data.train_labels.tolist() == list(range(11)) * 2
    assert data.test_images.shape == (11, 4, 2, 32, 32)
    assert data.class_names[::10] == ("hand_clapping", "other_gestures")


@pytest.mark.parametrize("name", SETS)
def test_the_folder_around_the_set_and_the_cache_are_searched(tmp_path, cache, name):
    write_set(name, cache / "mine")
    named = load_set(name, cache / "mine")
    assert load_set(name, cache).train_images.equal(named.train_images)
    assert load_set(name, None).train_images.equal(named.train_images)
    write_set(name, tmp_path / "two" / "a")
    write_set(name, tmp_path / "two" / "b")
    with pytest.raises(FileNotFoundError, match=r"more than once: a, b\. Name one"):
        load_set(name, tmp_path / "two")


@pytest.mark.parametrize("name", SETS)
def test_the_deviation_is_the_root_mean_square_of_the_training_frames(tmp_path, name):
    write_set(name, tmp_path / "set")
    data = load_set(name, tmp_path / "set")
    assert data.mean == (0.0, 0.0)
    for channel in range(2):
        share = data.train_images[:, :, channel].double() / 255
        assert data.std[channel] == pytest.approx((share**2).mean().sqrt().item(), rel=1e-3)


@pytest.mark.parametrize("name", SETS)
def test_a_second_load_opens_no_recording(tmp_path, monkeypatch, name):
    made = write_set(name, tmp_path / "set")
    first = load_set(name, tmp_path / "set")
    for file in made:  # of the same size and date, but not a recording any more
        path = tmp_path / "set" / file
        before = path.stat()
        path.write_bytes(b"\xff" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_set(name, tmp_path / "set").test_images.equal(first.test_images)
    with pytest.raises(ValueError, match=str(tmp_path / "set")):
        load_set(name, tmp_path / "set", num_steps=5)


@pytest.mark.parametrize(
    "other", [{"frames": "count"}, {"image_size": 12}, {"split_seed": 1}, {"num_steps": 3}]
)
def test_another_wish_is_another_cache(tmp_path, cache, other):
    made_up.cifar10dvs(tmp_path / "set")
    first = load_set("cifar10dvs", tmp_path / "set")
    second = load_set("cifar10dvs", tmp_path / "set", **other)
    shutil.rmtree(cache)
    fresh = load_set("cifar10dvs", tmp_path / "set", **other)
    assert second.train_images.equal(fresh.train_images)
    assert not second.train_images.equal(first.train_images)


@pytest.mark.parametrize("name", SETS)
def test_a_wrong_or_empty_folder_is_described(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_set(name, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    expected = rf"looked for .*; it is empty\. .*--data DIR; `bntt data {name}` says where"
    with pytest.raises(FileNotFoundError, match=expected):
        load_set(name, tmp_path / "empty")
    write(tmp_path / "photos" / "cat" / "1.jpg", b"")
    with pytest.raises(FileNotFoundError, match="it holds cat"):
        load_set(name, tmp_path / "photos")


@pytest.mark.parametrize(
    ("name", "gone", "expected"),
    [
        ("cifar10dvs", "frog", r"CIFAR10-DVS in .* incomplete: no .*aedat.* in frog\. Ext"),
        (
            "nmnist",
            "Train/3",
            r"N-MNIST in .* incomplete: .* no \.bin file in Train/3\. Ext",
        ),
        ("nmnist", "Test", r"incomplete: .* in Test/0, Test/1, .*Test/9\. Extract"),
        (
            "dvs-gesture",
            "user02_lab.aedat",
            r"incomplete: .* name user02_lab\.aedat, which",
        ),
        (
            "dvs-gesture",
            "user24_led_labels.csv",
            r"name user24_led_labels\.csv, which it la",
        ),
        ("dvs-gesture", "trials_to_test.txt", r"incomplete: it lacks trials_to_test\.txt"),
    ],
)
def test_a_set_that_is_half_extracted_is_named(tmp_path, name, gone, expected):
    write_set(name, tmp_path)
    path = tmp_path / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=expected):
        load_set(name, tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_a_truncated_recording_is_named_with_the_byte(tmp_path, name):
    path = tmp_path / sorted(write_set(name, tmp_path))[0]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=rf"{path}.* byte \d+"):
        load_set(name, tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_windows_are_not_cut_of_official_samples(tmp_path, name):
    write_set(name, tmp_path)
    with pytest.raises(
        ValueError, match=r"has samples of its own and came with window_ms=9"
    ):
        load_set(name, tmp_path, window_ms=9)


@pytest.mark.parametrize("name", ["nmnist", "dvs-gesture"])
def test_an_official_test_set_is_not_divided_anew(tmp_path, name):
    write_set(name, tmp_path)
    with pytest.raises(ValueError, match=r"has one; got 'first-100-test'"):
        load_set(name, tmp_path, split="first-100-test")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12,100,200", r"line 2 must hold a class of 1 to 11 .* is '12,100,200'"),
        ("1,200,200", r"line 2 must hold .* an end after its start"),
        ("1,200", r"line 2 must hold class, startTime_usec, end.* is '1,200'"),
        ("1,2,99999999999999999999", r"line 2 must hold .* an end after its start"),
        ('"' + "1" * 200_000, r"line 2 cannot be divided into columns .field larger"),
        ("1,1_0,20", r"line 2 must hold class"),
        ("\u0661,1,20", r"line 2 must hold class"),
        ("clap,1,2", r"line 2 must hold class"),
        ("", r"user01_led_labels\.csv labels nothing"),
        ("3,900000,900100", r"user01_led\.aedat holds no events from 900000 to 900100 mic"),
    ],
)
def test_labels_that_are_damaged_are_refused(tmp_path, line, expected):
    made_up.dvs_gesture(tmp_path)
    text = f"class,startTime_usec,endTime_usec\n{line}\n"
    (tmp_path / "user01_led_labels.csv").write_text(text)
    with pytest.raises(ValueError, match=expected):
        load_set("dvs-gesture", tmp_path)


def test_labels_without_a_line_that_names_the_columns_lose_none(tmp_path):
    made_up.dvs_gesture(tmp_path)
    whole = load_set("dvs-gesture", tmp_path)
    for path in tmp_path.glob("*_labels.csv"):
        path.write_text(path.read_text().split("\n", 1)[1])
    again = load_set("dvs-gesture", tmp_path)
    assert again.train_labels.tolist() == list(range(11)) * 2
    assert again.train_images.equal(whole.train_images)


def test_labels_that_are_no_text_are_named_with_the_line(tmp_path):
    made_up.dvs_gesture(tmp_path)
    path = tmp_path / "user01_led_labels.csv"
    path.write_bytes(path.read_bytes().replace(b"3,", b"\xff,", 1))
    with pytest.raises(
        ValueError, match=rf"{path}: line 4 holds the byte 0xff, which is not UTF-8"
    ):
        load_set("dvs-gesture", tmp_path)


def test_lists_of_trials_that_are_damaged_are_refused(tmp_path):
    made_up.dvs_gesture(tmp_path)
    for text, expected in (
        (
            "../user01_led.aedat\n",
            r"line 1 must hold one \.aedat file's name, not '\.\./user01",
        ),
        ("\n", "names no recording"),
        ("user24_led.aedat\n" * 2, r"names user24_led\.aedat more than once"),
        ("user01_led.aedat\n", r"both name user01_led\.aedat: a recording cannot both"),
    ):
        (tmp_path / "trials_to_test.txt").write_text(text)
        with pytest.raises(ValueError, match=expected):
            load_set("dvs-gesture", tmp_path)


def test_events_that_a_full_pixel_drops_are_counted_in_the_note(tmp_path):
    made_up.nmnist(tmp_path)
    data = load("nmnist", tmp_path, num_steps=1, image_size=1)
    assert "dropped" not in data.note  # 50 events a recording
    big = made_up.cifar10dvs(tmp_path / "dvs", each=2)
    for name in big:
        path = (tmp_path / "dvs" / name).with_suffix(".npz")
        (tmp_path / "dvs" / name).unlink()
        write(path, npz(make_up(count=700)))
    data = load_set("cifar10dvs", tmp_path / "dvs", num_steps=1, image_size=1)
    dropped = 20 * 700 - int(data.train_images.sum()) - int(data.test_images.sum())
    assert f"{dropped} of 14000 events were dropped because a pixel" in data.note


def test_records_that_are_no_events_are_told_of_once_per_file(tmp_path):
    made_up.nmnist(tmp_path / "set")
    file = tmp_path / "set" / "Train" / "0" / "00000.bin"
    file.write_bytes(bytes([0, 240, 0, 0, 0]) * 3 + file.read_bytes())  # clock overflows
    assert (
        "3 records of the files are no events" in load_set("nmnist", tmp_path / "set").note
    )
    made_up.nmnist(tmp_path / "other", train=3)
    assert "records" not in load_set("nmnist", tmp_path / "other").note


def test_recordings_of_one_polarity_are_learned_from_and_said(tmp_path):
    made = made_up.nmnist(tmp_path)
    for name, events in made.items():
        on = dataclasses.replace(events, polarity=np.ones_like(events.polarity))
        write(tmp_path / name, five_bytes(on))
    data = load("nmnist", tmp_path, num_steps=2)
    assert data.std[0] == 1.0
    share = data.train_images[:, :, 1].double() / 255
    assert data.std[1] == pytest.approx((share**2).mean().sqrt().item(), rel=1e-3)
    assert data.note.endswith("No training sample holds OFF events.")
