"""Every recipe but those of digits and CIFAR, on its set's files made up small."""

import json
import math
import re

import made_up_event_sets as event_sets
import made_up_mnist
import numpy as np
import pytest
from PIL import Image

from bntt.analysis.accuracy import evaluate_run
from bntt.config import load_recipe, recipe_names
from bntt.data.sets import digits_dvs
from bntt.data.sets.cifar10_dvs import CLASSES
from bntt.data.sets.digits import scans
from bntt.data.splits import SPLITS, split
from bntt.runs.opened import dataset_of
from bntt.training.start import new_network
from bntt.training.train import train


def cifar10dvs(folder, _):
    event_sets.cifar10dvs(folder / "CIFAR10-DVS", each=3)


def nmnist(folder, _):
    event_sets.nmnist(folder / "N-MNIST", train=2, test=1)


def dvs_gesture(folder, _):
    event_sets.dvs_gesture(folder / "DvsGesture")


def mnist(folder, monkeypatch):
    made_up_mnist.publish(monkeypatch, "mnist")
    made_up_mnist.make_up("mnist").write(folder / "MNIST" / "raw")


def few_digits(_, monkeypatch):
    pixels, labels, sha256 = scans()
    monkeypatch.setattr(digits_dvs, "scans", lambda: (pixels[:100], labels[:100], sha256))


def tiny_imagenet(folder, monkeypatch):
    """Four classes of the 200, with five training images and one validation image each."""
    monkeypatch.setattr("bntt.data.sets.tiny_imagenet.CLASSES", 4)
    folder, wnids = folder / "tiny-imagenet-200", [f"n{k:08}" for k in range(4)]
    noise = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    names = [f"train/{w}/images/{w}_{k}.JPEG" for w in wnids for k in range(5)]
    names += [f"val/images/val_{k}.JPEG" for k in range(4)]
    for name, pixels in zip(names, noise, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    (folder / "wnids.txt").write_text("\n".join(wnids) + "\n")
    lines = [f"val_{k}.JPEG\t{wnid}\t0\t0\t63\t63\n" for k, wnid in enumerate(wnids)]
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))


# A recipe's files, what of it is cut to fit them, and how many samples they hold. The size
# of a batch gives two in the one epoch.
SETS = {
    "cifar10dvs-vgg7": (
        cifar10dvs,
        ["split=random-90-10", "image_size=16", "num_steps=3", "batch_size=10"],
        {"train": 20, "validation": 0, "test": 10},
    ),
    "nmnist": (
        nmnist,
        ["image_size=8", "num_steps=3", "batch_size=8", "validation=4"],
        {"train": 16, "validation": 4, "test": 10},
    ),
    "dvs-gesture": (
        dvs_gesture,
        ["image_size=16", "num_steps=3", "batch_size=11"],
        {"train": 22, "validation": 0, "test": 11},
    ),
    "tiny-imagenet-vgg11": (
        tiny_imagenet,
        ["image_size=32", "num_steps=2", "batch_size=10"],
        {"train": 20, "validation": 0, "test": 4},
    ),
    "smnist": (
        mnist,
        ["batch_size=15", "validation=10"],
        {"train": 30, "validation": 10, "test": 10},
    ),
    "digits-dvs": (
        few_digits,
        ["num_steps=3", "batch_size=40"],
        {"train": 80, "validation": 0, "test": 20},
    ),
}
every_recipe = pytest.mark.parametrize("name", SETS)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Trains by a recipe on files made up for it; returns the folders of both."""

    def trained(name, *overrides):
        write, cut, _ = SETS[name]
        monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
        write(tmp_path / "data", monkeypatch)
        cut = [*cut, "epochs=1", "precision=float32", *overrides]
        data = folder_in(tmp_path)
        options = {"data": data, "device": "cpu", "quiet": True}
        done = train(load_recipe(name, cut), tmp_path / "run", **options)
        assert done["status"] == "finished"
        assert done["step"] == 2
        return tmp_path / "run", data

    return trained


def folder_in(tmp_path):
    """Where the made-up files lie; None if the set has none."""
    data = tmp_path / "data"
    return data if data.exists() else None


def read(folder, name):
    return json.loads((folder / name).read_text())


@every_recipe
def test_a_recipe_trains_on_its_files_and_is_evaluated_on_every_test_sample(name, run):
    folder, data = run(name)
    entries = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    info = read(folder, "run.json")
    assert info["images"] == SETS[name][2]
    assert info["source"]
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in info["source"].values())
    result = evaluate_run(folder, data=data, seeds=(0,), device="cpu", quiet=True)
    assert result.images == SETS[name][2]["test"]
    assert len(result.mean) == load_recipe(folder / "recipe.toml").num_steps
    assert read(folder, "evaluation.json")["images"] == result.images


@every_recipe
def test_a_recipe_as_it_ships_fits_its_set(name, tmp_path, monkeypatch):
    write, cut, _ = SETS[name]
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    write(tmp_path / "data", monkeypatch)
    # the made-up files are too few for the split; nothing else is changed
    recipe = load_recipe(name, [change for change in cut if change.startswith("split")])
    dataset = dataset_of(recipe, folder_in(tmp_path))
    net = new_network(recipe, dataset)
    assert net.image_shape == dataset.train_images.shape[-3:]
    assert dataset.events == (recipe.encoder == "events")
    if dataset.events:
        assert dataset.train_images.shape[1] == recipe.num_steps
        assert dataset.train_images.amax((0, 1, 3, 4)).all(), "a polarity is empty"
    assert load_recipe(name).split in ("none", *SPLITS)


def test_every_recipe_of_another_set_is_here():
    others = {"digits", "cifar10", "cifar100"}
    names = {name for name in recipe_names() if load_recipe(name).dataset not in others}
    assert names == set(SETS)


def test_a_run_records_the_split_it_was_trained_on(run):
    folder, _ = run("cifar10dvs-vgg7", "split_seed=3")
    names = [f"{name}/cifar10_{name}_{k}.aedat" for name in CLASSES for k in range(3)]
    chosen = split("random-90-10", np.repeat(np.arange(10), 3), 3, names)
    info = read(folder, "run.json")
    assert info["source"]["split random-90-10 seed 3"] == chosen.sha256
    assert "no official split" in info["note"]


@pytest.mark.parametrize("encoder", ["pixels", "permuted"])
def test_sequential_mnist_pixel_by_pixel_takes_the_settings_its_recipe_names(encoder, run):
    run("smnist", "arch=seq-long", f"encoder={encoder}", "num_steps=56", "window=28")


def test_neuromorphic_augmentation_goes_with_recordings(run):
    run("cifar10dvs-vgg7", "augment=nda")
