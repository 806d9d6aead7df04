"""From files to answers: predict sees in a saved picture what evaluate saw in the set."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from made_up_mnist import publish
from PIL import Image
from present import answered
from safetensors import safe_open
from safetensors.torch import save_file

from bntt.analysis.accuracy import evaluate_run
from bntt.analysis.predict import predict, predict_run
from bntt.config import Recipe
from bntt.data import load
from bntt.networks import checkpoint
from bntt.training.train import train

RECIPE = {
    "arch": "vgg5",
    "num_steps": 2,
    "leak": 0.9,
    "epochs": 2,
    "lr": 0.02,
    "encoder": "direct",
    "surrogate_height": 1.0,
    "precision": "float32",
}
TESTED = 24


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run on digits with a border, the arrays it was trained on, and test pictures."""
    folder, digits = tmp_path_factory.mktemp("digits"), load("digits")
    arrays: dict[str, Any] = {
        "x_train": digits.train_images[:400].squeeze(1).numpy(),
        "y_train": digits.train_labels[:400].numpy(),
        "x_test": digits.test_images[:TESTED].squeeze(1).numpy(),
        "y_test": digits.test_labels[:TESTED].numpy(),
    }
    np.savez(folder / "mine.npz", **arrays)
    recipe = Recipe(dataset="npz", image_size=12, batch_size=20, **RECIPE)
    options = {"device": "cpu", "quiet": True}
    train(recipe, folder / "run", data=folder / "mine.npz", **options)
    return folder, arrays


def saved(folder, images, factor):
    """The pictures in files, every pixel a square of so many."""
    folder.mkdir()
    paths = [folder / f"{k}.png" for k in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image.repeat(factor, 0).repeat(factor, 1)).save(path)
    return paths


@pytest.mark.parametrize("factor", [1, 8])
@pytest.mark.slow
def test_saved_digits_are_classified_as_those_of_the_set(digits, tmp_path, factor):
    folder, arrays = digits
    paths = saved(tmp_path / "pictures", arrays["x_test"], factor)
    answers = answered(predict_run(folder / "run", paths, quiet=True))
    right = sum(
        int(one.classes[-1]) == label
        for one, label in zip(answers, arrays["y_test"], strict=True)
    )
    options = {"data": folder / "mine.npz", "device": "cpu", "quiet": True}
    accuracy = evaluate_run(folder / "run", **options).mean[-1]
    assert right == round(accuracy * TESTED)
    assert right > TESTED // 2, "a network that learned nothing shows nothing"
    net = checkpoint.load(folder / "run" / "best.safetensors")
    data = load("npz", folder / "mine.npz", image_size=12)
    for one, image in zip(answers, data.test_images, strict=True):
        assert one.probabilities == predict(net, image).probabilities


def test_the_border_does_not_hide_that_a_picture_is_light(digits, tmp_path):
    folder, arrays = digits
    (path,) = saved(tmp_path / "pictures", 255 - arrays["x_test"][:1], 1)
    (light,) = answered(predict_run(folder / "run", [path], quiet=True))
    assert "try --invert" in light.note
    (dark,) = answered(predict_run(folder / "run", [path], quiet=True, invert=True))
    assert dark.note == ""


def without_geometry(path):
    """Make a checkpoint what it was before it held one."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["bntt"])
    header["format"] = 1
    old = json.loads(OLD_CONFIG)
    header["config"] = {name: header["config"][name] for name in old}
    save_file(tensors, path, {"bntt": json.dumps(header)})


OLD_CONFIG = """["arch", "num_classes", "num_steps", "leak", "in_channels", "image_size",
"norm", "window", "encoder", "permutation", "v_threshold", "surrogate", "mean", "std",
"class_names"]"""


@pytest.mark.slow
def test_an_old_run_is_told_by_its_recipe(tmp_path, monkeypatch):
    made = publish(monkeypatch, "mnist")
    made.write(tmp_path / "data")
    recipe = Recipe(dataset="mnist", image_size=32, batch_size=20, **RECIPE)
    run = tmp_path / "run"
    train(recipe, run, data=tmp_path / "data", device="cpu", quiet=True)
    without_geometry(run / "best.safetensors")
    paths = saved(tmp_path / "pictures", made.arrays["t10k-images"], 3)
    answers = answered(predict_run(run, paths, quiet=True))
    net = checkpoint.load(run / "best.safetensors")
    assert net.geometry is None
    for one, image in zip(
        answers, load("mnist", tmp_path / "data", image_size=32).test_images, strict=True
    ):
        assert one.probabilities == predict(net, image).probabilities
        assert "too old" not in one.note


def test_an_old_run_on_arrays_cannot_know_of_a_border_and_says_so(digits, tmp_path):
    folder, arrays = digits
    run = tmp_path / "run"
    run.mkdir()
    for path in (folder / "run").iterdir():
        if path.is_file():
            (run / path.name).write_bytes(path.read_bytes())
    without_geometry(run / "best.safetensors")
    (path,) = saved(tmp_path / "pictures", arrays["x_test"][:1], 1)
    (one,) = answered(predict_run(run, [path], quiet=True))
    assert "too old to say whether its arrays had a border" in one.note


def test_a_network_remembers_the_geometry_of_its_set(digits):
    folder, _ = digits
    net = checkpoint.load(folder / "run" / "best.safetensors")
    data = load("npz", folder / "mine.npz", image_size=12)
    assert net.geometry == data.geometry
    assert torch.equal(net.mean.flatten(), torch.tensor(data.mean))
