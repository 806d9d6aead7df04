"""Runs of a second: a few made-up pictures, a recipe for them, and what a run left."""

import json
import signal
from dataclasses import replace

import torch
from safetensors import safe_open

import bntt.training.loop as loop
from bntt.config import Recipe
from bntt.data import Dataset
from bntt.training.train import train

PER_EPOCH = 5
RECIPE = Recipe(
    dataset="digits",
    arch="vgg5",
    num_steps=3,
    leak=0.9,
    epochs=3,
    batch_size=8,
    lr=0.01,
    surrogate_height=1.0,
    schedule="one_cycle",
    loss="every_step",
    augment="shift",
    validation=8,
    precision="float32",
)
"""With :func:`pictures`: 48 train, 5 batches an epoch, 8 held out; Poisson coding."""


def pictures(train=48, test=8, *, channels=1, size=8, classes=4, seed=0):
    """Noise with a bright row that tells the class, so that there is something to learn."""
    random = torch.Generator().manual_seed(seed)
    count = train + test
    labels = torch.arange(count) % classes
    images = torch.randint(0, 100, (count, channels, size, size), generator=random)
    images[torch.arange(count), :, labels % size] += 120
    images = images.to(torch.uint8)
    return Dataset(
        name="made-up",
        train_images=images[:train],
        train_labels=labels[:train],
        test_images=images[train:],
        test_labels=labels[train:],
        class_names=tuple(f"class {k}" for k in range(classes)),
        mean=(0.25,) * channels,
        std=(0.2,) * channels,
        source={"made up": str(seed)},
    )


def recordings(count=24, steps=3, classes=4):
    """Frames of events, more or fewer of them."""
    random = torch.Generator().manual_seed(3)
    frames = torch.randint(0, 9, (count + 8, steps, 2, 4, 4), generator=random).byte()
    few = {"train_images": frames[:count], "test_images": frames[count:]}
    return replace(pictures(count, channels=2, classes=classes), **few)


def go(out, recipe=RECIPE, *, resume=False, log_every=None, **changes):
    """Train by the recipe with changes, unseen, on the CPU."""
    recipe = replace(recipe, **changes)
    options = {"resume": resume, "log_every": log_every}
    return train(recipe, out, device="cpu", quiet=True, **options)


def tensors(path):
    """Everything in a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def info(path):
    """The plain values that travel in a checkpoint, but for the time it took."""
    with safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()["bntt"])["info"]
    return {name: value for name, value in values.items() if name != "seconds"}


def log(out):
    """The entries of a run's log, but for how long anything took."""
    entries = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    timing = ("seconds", "images_per_s")
    return [{k: v for k, v in entry.items() if k not in timing} for entry in entries]


def same(left, right):
    """Whether two dictionaries hold the same tensors, bit for bit."""
    return left.keys() == right.keys() and all(
        torch.equal(value, right[name]) for name, value in left.items()
    )


def status(out):
    """What ``run.json`` says of how far the run is."""
    return json.loads((out / "run.json").read_text())["status"]


class Killed(BaseException):
    """What no part of a run catches, as a power cut."""


def at_step(monkeypatch, number, do):
    """Do something at one training step of the next run."""
    step = loop.TrainingLoop.step

    def watched(self, at):
        if at == number:
            do()
        return step(self, at)

    monkeypatch.setattr(loop.TrainingLoop, "step", watched)


def kill():
    raise Killed


def interrupt():
    signal.raise_signal(signal.SIGINT)


def stopped(out, monkeypatch, number, do, **changes):
    """A run that something happens to at a step."""
    with monkeypatch.context() as patch:
        at_step(patch, number, do)
        return go(out, **changes)
