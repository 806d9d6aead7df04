"""A user's own recordings: class folders, endings, sensors, windows, splits."""

import dataclasses
import os
import shutil

import made_up_event_sets as made_up
import numpy as np
import pytest
from file_systems import LINUX
from made_up_events import make_up, nmnist, npz, take, write

from bntt.data import load
from bntt.data.events.frames import to_frames


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("BNTT_DATA", str(folder))
    return folder


def evenly(count, step_us, seed=0):
    """One event every so many microseconds."""
    return dataclasses.replace(
        make_up(count, seed=seed), t=4_025 + np.arange(count) * step_us
    )


@pytest.mark.parametrize("ending", made_up.FORMATS)
def test_folders_train_and_test_are_the_division(tmp_path, ending):
    made = made_up.eventfolder(tmp_path, ending=ending)
    side = 34 if ending == ".bin" else 128
    data = load("eventfolder", tmp_path, num_steps=3, image_size=32)
    for part, images in (("train", data.train_images), ("test", data.test_images)):
        names = sorted(name for name in made if name.startswith(part))
        wanted = [to_frames(made[name], 3, 32)[0] for name in names]
        if ending != ".npz":  # which does not know its sensor
            assert np.array_equal(images, np.stack(wanted)), side
    assert data.train_labels.tolist() == [0, 0, 1, 1]
    assert data.class_names == ("left", "right")
    assert ("do not say of what sensor" in data.note) == (ending == ".npz")


def test_class_folders_alone_need_a_split(tmp_path):
    made = made_up.eventfolder(tmp_path, parts=("",), each=4)
    with pytest.raises(ValueError, match="a `split` must be named: random-90-10"):
        load("eventfolder", tmp_path)
    data = load("eventfolder", tmp_path, num_steps=2, split="random-90-10", split_seed=1)
    assert len(data.train_labels) == 6
    assert data.test_labels.tolist() == [0, 1]
    assert "split random-90-10 seed 1" in data.source
    total = sum(len(events) for events in made.values())
    assert int(data.train_images.sum()) + int(data.test_images.sum()) == total


def test_a_division_that_is_there_is_not_made_anew(tmp_path):
    made_up.eventfolder(tmp_path)
    with pytest.raises(
        ValueError, match=r"\(its folder test\) has one; got 'random-90-10'"
    ):
        load("eventfolder", tmp_path, split="random-90-10")


def test_arrays_without_a_sensor_take_the_one_that_holds_them_all(tmp_path):
    for k, (name, width) in enumerate((("a", 20), ("b", 40))):
        for part in ("train", "test"):
            events = make_up(200, width=width, height=30, seed=k)
            write(tmp_path / part / name / "0.npz", npz(events))
    data = load("eventfolder", tmp_path, num_steps=2)
    assert data.train_images.shape == (2, 2, 2, 40, 40)
    assert "40 x 30 pixels is as far as" in data.note
    empty = data.train_images[0].sum(dim=(0, 1, 2)) == 0
    assert empty[20:].all()  # the first class is not stretched over the sensor


def bin_folder(tmp_path, width=240, height=180, ending=".bin", make=nmnist):
    """Five-byte recordings, as N-Caltech101 has them."""
    made = {}
    for part in ("train", "test"):
        for k, name in enumerate(("a", "b")):
            events = made[part, name] = make_up(300, width=width, height=height, seed=k)
            write(tmp_path / part / name / f"0{ending}", make(events))
    return made


@pytest.mark.parametrize(("ending", "make"), [(".bin", nmnist), (".npz", npz)])
def test_files_that_do_not_say_their_sensor_are_of_the_one_that_is_named(
    tmp_path, ending, make
):
    made = bin_folder(tmp_path, ending=ending, make=make)
    data = load("eventfolder", tmp_path, num_steps=2, sensor="240x180")
    wanted = [to_frames(made["train", name], 2)[0] for name in ("a", "b")]
    assert np.array_equal(data.train_images, np.stack(wanted))
    assert data.note == ""
    assert data.geometry
    assert data.geometry.sensor == "240x180"
    assert (data.geometry.image_size, data.geometry.frames) == (240, "time")


def test_a_sensor_too_small_is_refused_by_file_or_its_events_dropped(tmp_path):
    made = bin_folder(tmp_path)
    file = tmp_path / "train" / "a" / "0.bin"
    for sensor, size in (("", "34x34"), ("200x180", "200x180")):
        with pytest.raises(ValueError, match=rf"{file}: event .* a sensor of {size}"):
            load("eventfolder", tmp_path, num_steps=2, sensor=sensor)
    data = load("eventfolder", tmp_path, num_steps=2, sensor="200x180", outside="drop")
    inside = {key: take(events, events.x < 200) for key, events in made.items()}
    number = sum(len(made[key]) - len(inside[key]) for key in made)
    assert f"Events outside the sensor, dropped: {number}, most in train/" in data.note
    first = dataclasses.replace(inside["train", "a"], width=200)
    assert np.array_equal(data.train_images[0], to_frames(first, 2)[0])


@pytest.mark.parametrize("sensor", ["240", "240x", "0x180", "240x180x2", "9999x9", " 1x1"])
def test_a_sensor_that_is_none_is_refused(tmp_path, sensor):
    with pytest.raises(ValueError, match=r"`sensor` must be .* such as '240x180'"):
        load("eventfolder", tmp_path, sensor=sensor)
    with pytest.raises(ValueError, match="sensor"):
        load("nmnist", tmp_path, sensor=sensor)


def test_events_outside_a_published_sets_sensor_may_be_dropped(tmp_path):
    made = made_up.nmnist(tmp_path)
    name, events = next(iter(made.items()))
    far = dataclasses.replace(events, x=np.where(np.arange(50) == 7, 99, events.x))
    write(tmp_path / name, nmnist(far))
    with pytest.raises(ValueError, match=rf"{name}: event 7, at byte 35, lies at x=99"):
        load("nmnist", tmp_path, num_steps=2)
    data = load("nmnist", tmp_path, num_steps=2, outside="drop")
    assert int(data.train_images[0].sum()) == 49
    assert f"Events outside the sensor, dropped: 1, most in {name}." in data.note


@pytest.mark.parametrize("far", [2_500, 65_535])
def test_one_stray_event_does_not_stretch_the_sensor(tmp_path, cache_folder, far):
    made_up.eventfolder(tmp_path, ending=".npz")
    events = make_up(50)
    stray = dataclasses.replace(events, x=np.where(np.arange(50) == 7, far, events.x))
    path = write(tmp_path / "train" / "left" / "far.npz", npz(stray))
    with pytest.raises(ValueError, match=rf"{path}: .* {far + 1}x\d+ .* outside='drop'"):
        load("eventfolder", tmp_path, num_steps=2)
    written = sum(file.stat().st_size for file in cache_folder.rglob("*"))
    assert written < 10_000, "only the survey"
    data = load("eventfolder", tmp_path, num_steps=2, sensor="128x128", outside="drop")
    assert "dropped: 1, most in train/left/far.npz" in data.note


def test_sensors_that_differ_need_one_size(tmp_path):
    made_up.eventfolder(tmp_path, each=1)
    small = nmnist(make_up(width=34, height=34))
    path = write(tmp_path / "train" / "left" / "0.bin", small)
    with pytest.raises(
        ValueError, match=rf"{path} .* 34 x 34 pixels, expected 128 .*image_"
    ):
        load("eventfolder", tmp_path)
    assert len(load("eventfolder", tmp_path, image_size=34).train_images) == 3


def test_another_folder_or_a_changed_file_is_another_set(tmp_path):
    paths = [tmp_path / place / "train" / "left" / "0.bs2" for place in "ab"]
    for path in paths:
        made_up.eventfolder(path.parents[2])
    first = load("eventfolder", tmp_path / "a", num_steps=2)
    for path in paths:
        write(path, nmnist(make_up(seed=99)))  # as many bytes as before
        os.utime(path, ns=(0, 1 << 62))  # later than a coarse clock may say
        data = load("eventfolder", path.parents[2], num_steps=2)
        assert np.array_equal(data.train_images[0], to_frames(make_up(seed=99), 2)[0])
    assert not data.train_images.equal(first.train_images)


def windows(tmp_path, parts=("train", "test"), **wanted):
    """Two classes of recordings of 35 ms; the windows are of 10."""
    for part in parts:
        for k, name in enumerate(("a", "b")):
            for number in range(4):
                path = tmp_path / part / name / f"{number}.bs2"
                write(path, nmnist(evenly(350, 100, seed=10 * k + number)))
    return load("eventfolder", tmp_path, num_steps=2, window_ms=10, **wanted)


def test_windows_are_samples_and_the_last_incomplete_one_is_not(tmp_path):
    data = windows(tmp_path)
    assert data.train_images.shape == (24, 2, 2, 128, 128)
    assert data.train_labels.tolist() == [0] * 12 + [1] * 12
    assert data.train_images.long().sum(dim=(1, 2, 3, 4)).tolist() == [100] * 24
    events = evenly(350, 100)
    second = take(events, slice(100, 200))
    wanted = to_frames(second, 2, span=(14_025, 24_025))[0]
    assert np.array_equal(data.train_images[1], wanted)
    note = "Windows of 10 ms: 48 of 16 recordings; last, incomplete ones left out: 16."
    assert data.note == note


def test_a_split_divides_recordings_not_windows(tmp_path):
    data = windows(tmp_path, parts=("",), split="random-90-10")
    assert len(data.test_labels) == 2 * 3  # one recording of each class, three windows each
    assert "all windows of one are on one side" in data.note
    for seed in range(3):
        again = windows(tmp_path, parts=("",), split="random-90-10", split_seed=seed)
        assert again.test_labels.tolist() == [0] * 3 + [1] * 3


def test_windows_without_events_are_left_out_and_counted(tmp_path):
    windows(tmp_path)
    events = evenly(350, 100)
    quiet = take(events, (events.t < 14_025) | (events.t >= 24_025))
    write(tmp_path / "train" / "a" / "gap.bs2", nmnist(quiet))
    data = load("eventfolder", tmp_path, num_steps=2, window_ms=10)
    assert data.train_labels.tolist() == [0] * 14 + [1] * 12
    assert len(data.train_images) == 26
    assert int(data.train_images.long().sum(dim=(1, 2, 3, 4)).min()) == 100
    assert "Samples without events, left out: 1." in data.note
    share = data.train_images[:, :, 1].double() / 255
    assert data.std[1] == pytest.approx((share**2).mean().sqrt().item(), rel=1e-3)


def test_recordings_shorter_than_a_window_are_counted(tmp_path):
    windows(tmp_path)
    write(tmp_path / "test" / "b" / "short.bs2", nmnist(evenly(50, 100)))
    data = load("eventfolder", tmp_path, num_steps=2, window_ms=10)
    assert "Recordings shorter than a window, left out: 1." in data.note
    with pytest.raises(ValueError, match="No training recording .* window of 50 ms"):
        load("eventfolder", tmp_path, num_steps=2, window_ms=50)


def test_a_clock_that_jumps_does_not_make_a_million_windows(tmp_path):
    made_up.eventfolder(tmp_path, ending=".npz")
    events = make_up(100)
    late = dataclasses.replace(events, t=np.where(np.arange(100) < 50, events.t, 1 << 40))
    path = write(tmp_path / "train" / "left" / "jump.npz", npz(late))
    with pytest.raises(
        ValueError, match=rf"{path}.* windows hold events\. Its clock seems"
    ):
        load("eventfolder", tmp_path, window_ms=10)


@pytest.mark.parametrize("backward", [False, True])
def test_a_recording_out_of_order_gives_the_same_windows(tmp_path, backward):
    order = np.random.default_rng(0).permutation(350) if backward else np.arange(350)
    for part in ("train", "test"):
        for name in ("a", "b"):
            events = take(evenly(350, 100), order)
            write(tmp_path / part / name / "0.bs2", nmnist(events))
    data = load("eventfolder", tmp_path, num_steps=2, window_ms=10)
    wanted = to_frames(take(evenly(350, 100), slice(0, 100)), 2, span=(4_025, 14_025))[0]
    assert np.array_equal(data.train_images[0], wanted)


def test_a_folder_that_holds_no_classes_is_described(tmp_path):
    with pytest.raises(ValueError, match="a folder of your own recordings: name it with"):
        load("eventfolder")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load("eventfolder", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"train/CLASS/\* .*; it is empty\. Name"):
        load("eventfolder", tmp_path)
    made_up.eventfolder(tmp_path / "one", parts=("",), classes=("left",))
    with pytest.raises(
        FileNotFoundError, match=r"two class folders or more; it holds left"
    ):
        load("eventfolder", tmp_path / "one", split="random-90-10")


def test_a_class_without_recordings_or_a_test_set_is_named(tmp_path):
    made_up.eventfolder(tmp_path)
    write(tmp_path / "train" / "both" / "readme.txt", b"")
    with pytest.raises(
        FileNotFoundError, match=r"\.aedat, .* there are none in train/both"
    ):
        load("eventfolder", tmp_path)
    write(tmp_path / "train" / "both" / "0.bs2", nmnist(make_up()))
    with pytest.raises(FileNotFoundError, match="only one of them has both"):
        load("eventfolder", tmp_path)


def test_a_damaged_recording_is_named(tmp_path):
    made_up.eventfolder(tmp_path)
    path = write(tmp_path / "test" / "left" / "9.bs2", b"123456")
    with pytest.raises(ValueError, match=rf"{path} .* at byte 5"):
        load("eventfolder", tmp_path)


@LINUX
def test_recordings_further_down_are_of_their_class_and_said(tmp_path):
    root = tmp_path / "own"
    made_up.eventfolder(root)
    (root / "train" / "left" / "monday").mkdir()
    shutil.move(root / "train/left/1.bs2", root / "train/left/monday/1.bs2")
    os.mkfifo(root / "train" / "left" / "pipe.bs2")
    for path in (root / "test").iterdir():
        path.rename(path.with_name(f"e\u0301{path.name}"))
    for path in (root / "train").iterdir():
        path.rename(path.with_name(f"\u00e9{path.name}"))
    data = load("eventfolder", root, num_steps=2, image_size=8)
    assert data.train_labels.tolist() == data.test_labels.tolist() == [0, 0, 1, 1]
    assert data.class_names == ("\u00e9left", "\u00e9right")
    assert "1 of the files lie in folders within" in data.note
    assert "pipes, sockets or devices: 1, such as train/\u00e9left/pipe.bs2." in data.note
