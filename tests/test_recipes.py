"""Every recipe that ships trains on what its images look like; and one golden curve."""

import math
from dataclasses import replace

import pytest
import torch
from small_runs import go, info, log, pictures, tensors

import bntt.training.train as training
from bntt.config import load_recipe, recipe_names
from bntt.data import load
from bntt.networks import checkpoint
from bntt.training.start import new_network

SHAPES = {
    "digits": {"channels": 1, "size": 8, "classes": 10},
    "cifar10": {"channels": 3, "size": 32, "classes": 10},
    "cifar100": {"channels": 3, "size": 32, "classes": 100},
}


# The batches and the time of the paper's recipes are cut, which nothing else depends on:
# whole, two batches of cifar10-vgg9 take half a minute.
IMAGES = [name for name in recipe_names() if load_recipe(name).dataset in SHAPES]


@pytest.mark.parametrize("name", IMAGES)
def test_two_batches_of_a_shipped_recipe(name, tmp_path, monkeypatch):
    recipe = load_recipe(name)
    data = pictures(18, 4, **SHAPES[recipe.dataset])
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: data)
    steps, validation = min(recipe.num_steps, 2), 2 * (recipe.validation > 0)
    early = bool(recipe.early_epochs)  # then the two batches lie around the hand-over
    cut = {
        "num_steps": steps,
        "batch_size": 16 if early else 8,
        "validation": validation,
        "early_epochs": int(early),
        "epochs": 2 if early else 1,
        "precision": "float32",
    }
    assert go(tmp_path, recipe, **cut)["step"] == 2
    losses = [entry["loss"] for entry in log(tmp_path) if "loss" in entry]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    net = checkpoint.load(tmp_path / "best.safetensors")
    assert net.num_classes == SHAPES[recipe.dataset]["classes"]
    new = new_network(replace(recipe, **cut), data)
    for name, tensor in new.state_dict().items():
        assert not torch.equal(tensor, net.state_dict()[name]), f"{name} learned nothing"
    assert info(tmp_path / "best.safetensors") == {"epoch": cut["epochs"]}
    assert all(t.isfinite().all() for t in tensors(tmp_path / "last.safetensors").values())


# The first losses on real digits. Two correct programs agree until a sum that they round
# apart crosses the threshold, and then they part: so few images and two time-steps. With
# these rates all 20 losses agreed to 3e-7, with AVX-512, AVX2 and SSE, one thread and two,
# compiled operators and reference; with others only the first three did.
GOLDEN = {
    "poisson": ("sgd", 0.01, [2.81274, 2.81580, 2.66093, 2.29652, 2.80263, 3.01270, 2.33350,
                              2.75352, 2.55390, 2.79382]),
    "direct": ("adamw", 0.003, [2.91848, 2.89456, 2.97581, 1.84489, 2.56463, 2.29584,
                                1.73413, 2.01547, 1.57205, 1.40908]),
}  # fmt: skip


@pytest.mark.parametrize("encoder", GOLDEN)
def test_losses_are_what_they_have_always_been(encoder, tmp_path, monkeypatch):
    optimizer, lr, golden = GOLDEN[encoder]
    digits = load("digits")
    few = {
        "train_images": digits.train_images[:328],
        "train_labels": digits.train_labels[:328],
    }
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: replace(digits, **few))
    changes = {"optimizer": optimizer, "lr": lr, "batch_size": 16, "epochs": 1}
    go(tmp_path, encoder=encoder, num_steps=2, **changes)
    losses = [entry["loss"] for entry in log(tmp_path) if "loss" in entry]
    assert len(losses) == 20
    assert losses[: len(golden)] == pytest.approx(golden, rel=1e-3)
    assert sum(losses[-5:]) < sum(losses[:5]), "it learns nothing"
