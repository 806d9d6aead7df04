"""The user's own recordings: read as the loaders read them, and what is said of them."""

import dataclasses
import json

import made_up_event_sets as made_up
import numpy as np
import pytest
import torch
from made_up_events import make_up, nmnist, npz, write
from present import answered

from bntt import vgg5
from bntt.analysis.predict import predict, predict_run
from bntt.commands.main import main
from bntt.commands.predict import print_predictions
from bntt.config import Recipe
from bntt.data import load
from bntt.data.events.frames import to_frames
from bntt.data.geometry import Geometry
from bntt.data.options import DataOptions
from bntt.data.single_file import read_parts
from bntt.networks import checkpoint
from bntt.networks.checkpoint import load as load_network
from bntt.runs.folder import RunFolder

SIZE = 32
SETS = {
    "cifar10dvs": (made_up.cifar10dvs, {"split": "random-90-10"}),
    "nmnist": (made_up.nmnist, {}),
    "eventfolder": (made_up.eventfolder, {"window_ms": 1}),
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path_factory.mktemp("cache")))


def recipe(dataset="eventfolder", **changes):
    values = {"dataset": dataset, "image_size": SIZE, "arch": "vgg5", "num_steps": 3}
    values |= {"leak": 0.9, "epochs": 1, "batch_size": 2, "lr": 0.01, "encoder": "events"}
    return Recipe(**(values | changes))


def parts_of(path, recipe, size, geometry=None):
    """The samples of a recording, for a network of frames of `size` without a border."""
    geometry = geometry or Geometry(channels=2, image_size=size)
    return read_parts(path, recipe.dataset, DataOptions.of(recipe), geometry)


def frames_loaded(name, folder, wanted):
    data = load(name, folder, num_steps=3, image_size=SIZE, **wanted)
    both = torch.cat([data.train_images, data.test_images])
    return sorted(frames.numpy().tobytes() for frames in both)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("frames", ["time", "count"])
def test_a_recordings_frames_are_those_that_its_set_would_hold(tmp_path, name, frames):
    write_set, wanted = SETS[name]
    made = write_set(tmp_path)
    own = recipe(name, frames=frames, **wanted)
    parts = [part for file in made for part in parts_of(tmp_path / file, own, SIZE)]
    found = sorted(part.frames.tobytes() for part in parts)
    assert found == frames_loaded(name, tmp_path, wanted | {"frames": frames})
    assert (len(found) > len(made)) == ("window_ms" in wanted)


def test_arrays_of_a_published_set_have_its_sensor(tmp_path):
    events = make_up(width=20, height=20)  # in one corner of 128x128
    write(tmp_path / "own.npz", npz(events))
    (part,) = parts_of(tmp_path / "own.npz", recipe("cifar10dvs"), 128)
    assert part.frames[:, :, :20, :20].sum() == len(events) == part.frames.sum()


def test_windows_begin_at_the_first_event_and_skip_those_that_are_empty(tmp_path):
    at = [70, 80, 3_000, 4_069, 4_500]  # microseconds; windows begin at 70, 1070, ...
    write(tmp_path / "own.bs2", nmnist(dataclasses.replace(make_up(5), t=np.array(at))))
    parts = parts_of(tmp_path / "own.bs2", recipe(window_ms=1), SIZE)
    assert [part.span_ms for part in parts] == [(0, 1), (2, 3), (3, 4)]
    assert [int(part.frames.sum()) for part in parts] == [2, 1, 1]


def test_a_clock_that_jumps_costs_no_more_than_its_events(tmp_path):
    at = np.array([0, 10, 999, 1 << 50])
    write(tmp_path / "own.npz", npz(dataclasses.replace(make_up(4), t=at)))
    (part,) = parts_of(tmp_path / "own.npz", recipe(window_ms=1), SIZE)
    assert part.span_ms == (0, 1)
    assert int(part.frames.sum()) == 3


@pytest.fixture
def run(tmp_path):
    """A run of events that has learned nothing, and two recordings."""

    def made(geometry=None, **changes):
        torch.manual_seed(0)
        names = ("left", "right", "neither")
        net = vgg5(
            num_classes=3,
            num_steps=3,
            leak=0.9,
            in_channels=2,
            image_size=SIZE,
            encoder="events",
            std=(0.01, 0.01),
            class_names=names,
            geometry=geometry,
        )
        with torch.no_grad():
            for parameter in net.parameters():
                parameter *= 4  # or nothing would spike in a network never trained
        folder = RunFolder(tmp_path / "run")
        folder.start(recipe(**changes), {})
        checkpoint.write(folder.best, net)
        return folder.path, net.eval()

    write(tmp_path / "a.bs2", nmnist(make_up(seed=1)))
    write(tmp_path / "b.bs2", nmnist(make_up(seed=2)))
    return made


def test_the_networks_answer_is_that_to_the_frames(run, tmp_path, capsys):
    folder, net = run()
    files = [tmp_path / "a.bs2", tmp_path / "b.bs2"]
    found = answered(predict_run(folder, files, quiet=True))
    assert len({one.probabilities for one in found}) == 2, "a network that sees nothing"
    for file, one in zip(files, found, strict=True):
        (part,) = parts_of(file, recipe(), SIZE)
        expected = predict(net, torch.from_numpy(part.frames), file=str(file))
        assert one == expected
        assert one.span_ms is None
    print_predictions(found[:1])
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3, "a table of the steps"
    shorter = answered(predict_run(folder, files, num_steps=2, quiet=True))
    assert [one.classes for one in shorter] == [one.classes[:2] for one in found]


def test_every_window_is_printed_and_in_the_json(run, tmp_path, capsys):
    folder, _ = run(window_ms=1)
    words = ["predict", str(folder), str(tmp_path / "a.bs2")]
    assert main([*words, "--json"]) == 0
    samples = json.loads(capsys.readouterr().out)["samples"]
    assert len(samples) > 1
    assert samples[1]["span_ms"] == [1, 2]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(samples), "a line for each and no table"
    assert lines[1].startswith(f"{tmp_path / 'a.bs2'}, 1 to 2 ms: {samples[1]['class']} ")


def test_a_file_that_does_not_say_its_sensor_gets_a_note(run, tmp_path):
    folder, _ = run()
    write(tmp_path / "own.npz", npz(make_up()))
    silent, told = answered(
        predict_run(folder, [tmp_path / "own.npz", tmp_path / "a.bs2"], quiet=True)
    )
    assert "does not say of what sensor" in silent.note
    assert told.note == ""


def test_a_recording_is_of_the_sensor_that_the_recipe_or_the_network_names(tmp_path):
    events = make_up(40, width=20, height=20)  # in one corner of 240x180
    own = make_up(40, width=240, height=180)
    for file in (
        write(tmp_path / "own.npz", npz(events)),
        write(tmp_path / "own.bin", nmnist(events)),
    ):
        wanted = to_frames(dataclasses.replace(events, width=240, height=180), 3, SIZE)[0]
        (part,) = parts_of(file, recipe(sensor="240x180"), SIZE)
        assert np.array_equal(part.frames, wanted)
        geometry = Geometry(channels=2, image_size=SIZE, sensor="240x180")
        assert parts_of(file, recipe(), SIZE, geometry)[0].note == part.note == ""
        (part,) = parts_of(file, recipe(), SIZE, geometry)
        assert np.array_equal(part.frames, wanted)
    write(tmp_path / "own.bin", nmnist(own))
    (part,) = parts_of(tmp_path / "own.bin", recipe(sensor="99x99", outside="drop"), SIZE)
    assert part.note.startswith("Events outside the sensor, dropped: ")


def test_a_run_knows_the_sensor_that_it_was_trained_on(run, tmp_path):
    """From 240x180 to 32 pixels: of a file's own 20x20 the events would be spread out."""
    geometry = Geometry(channels=2, image_size=SIZE, sensor="240x180")
    folder, _ = run(geometry=geometry)
    events = make_up(40, width=20, height=20)
    file = write(tmp_path / "own.npz", npz(events))
    (found,) = answered(predict_run(folder, [file], quiet=True))
    assert found.note == ""
    frames = to_frames(dataclasses.replace(events, width=240, height=180), 3, SIZE)[0]
    net = load_network(RunFolder(folder).best)
    assert found.probabilities == predict(net, torch.from_numpy(frames)).probabilities


def test_a_stray_event_does_not_shrink_all_others(tmp_path):
    events = make_up(40, width=20, height=20)
    stray = dataclasses.replace(events, y=np.where(np.arange(40) == 7, 999, events.y))
    path = write(tmp_path / "own.npz", npz(stray))
    with pytest.raises(ValueError, match=rf"{path}: .*x1000 .* stay within \d+x\d+\."):
        parts_of(path, recipe(), SIZE)


def refusal(capsys, *words):
    assert main(["predict", *map(str, words)]) == 2
    return capsys.readouterr().err


def test_bad_recordings_are_refused_in_a_line(run, tmp_path, capsys):
    folder, _ = run(window_ms=60_000)
    write(tmp_path / "none.bs2", b"")
    write(tmp_path / "odd.bs2", b"1234567")
    write(tmp_path / "picture.png", b"\x89PNG")
    for name, why in {
        "none.bs2": "holds no events",
        "odd.bs2": "byte",
        "picture.png": "does not end like a recording",
        "gone.bs2": "does not exist",
        "run": "is a folder, not a recording",
        "a.bs2": "shorter than the windows of 60000 ms",
    }.items():
        line = refusal(capsys, folder, tmp_path / name)
        assert line.startswith(f"bntt: {tmp_path / name}"), line
        assert why in line
        assert line.count("\n") == 1
    assert "Leave it out" in refusal(capsys, folder, tmp_path / "a.bs2", "--invert")


def test_a_recording_for_arrays_with_a_border_is_counted_within_it(tmp_path):
    events = make_up(width=34, height=34)
    counted, _ = to_frames(events, 3, 17)
    for k, train_frames in enumerate((counted, counted[:, :, 1:-1])):  # square and not
        x = np.stack([train_frames] * 4)
        y = np.arange(4) % 2
        mine = tmp_path / f"{k}.npz"
        np.savez(mine, x_train=x, y_train=y, x_test=x, y_test=y)
        data = load("npz", mine, image_size=20)
        path = write(tmp_path / f"{k}.bin", nmnist(events))
        own = recipe("npz", image_size=20)
        (part,) = parts_of(path, own, 20, data.geometry)
        rows = slice(2, 17) if k else slice(None)
        assert np.array_equal(part.frames[:, :, rows], data.test_images[0, :, :, rows])
