"""How long a training step waits for its images, and an epoch for its first batch.

    python scripts/input_time.py DATA [--out FILE] [--steps 8] [RECIPE ...]

DATA holds the sets as their users have them; a recipe whose set is not there is left out,
which is said. For each recipe: seconds from nothing to the first batch with a cold and a
warm cache, milliseconds to cut, augment and normalise a batch, and the same as a share of a
whole training step on this machine. Batches have at most `--batch` images, since both grow
with their number.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bntt import Recipe, load_recipe
from bntt.config import recipe_names
from bntt.machine.hardware import keep_freed_memory, precision
from bntt.runs.opened import dataset_of
from bntt.runs.provenance import circumstances
from bntt.training.batches import Batches, generator
from bntt.training.by_recipe import recipe_loss, recipe_optimizer
from bntt.training.start import new_network


def main() -> None:
    """Measure every recipe named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("recipes", nargs="*", default=recipe_names())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BNTT_DATA"] = cache  # so that the first load is a cold one
        for name in arguments.recipes:
            recipe = load_recipe(name)
            try:
                size = min(recipe.batch_size, arguments.batch)
                recipe = replace(recipe, batch_size=size, validation=0)
                rows[name] = row = measure(recipe, arguments.data, arguments.steps)
            except FileNotFoundError as error:
                print(f"{name}: left out: {error}")
                continue
            print(f"{name}: {json.dumps(row)}")
    if arguments.out:
        result = {"rows": rows, "steps": arguments.steps, **circumstances()}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def measure(recipe: Recipe, data: Path, steps: int) -> dict[str, Any]:
    """Seconds to the first batch, and milliseconds of a step and of its input."""
    begun = [first_batch(recipe, data) for _ in range(2)]
    batches, net = begun[-1][1], new_network(recipe, begun[-1][2])
    inputs, whole = [], []
    optimizer = recipe_optimizer(recipe, net)
    number, _ = precision("auto")
    for step in range(steps + 1):  # the first one compiles, and does not count
        start = time.perf_counter()
        images, labels = batches.batch(step % batches.steps_per_epoch)
        x = net.normalize(images)
        inputs.append(time.perf_counter() - start)
        coding = generator(recipe.seed, "coding", step)
        with torch.autocast("cpu", torch.bfloat16, enabled=number == "bfloat16"):
            means = net(x, per_step=True, generator=coding)
            value = recipe_loss(recipe, means, labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        whole.append(time.perf_counter() - start)
    waited, taken = statistics.median(inputs[1:]), statistics.median(whole[1:])
    return {
        "cold_seconds": round(begun[0][0], 2),
        "warm_seconds": round(begun[1][0], 2),
        "input_ms": round(1000 * waited, 2),
        "step_ms": round(1000 * taken, 1),
        "share": round(waited / taken, 4),
        "precision": number,
        "training_images": len(batches.images),
    }


def first_batch(recipe: Recipe, data: Path) -> tuple[float, Batches, Any]:
    """Load, cut the first batch, and say how long that took."""
    start = time.perf_counter()
    dataset = dataset_of(recipe, data)
    batches = Batches(recipe, dataset, torch.device("cpu"))
    batches.batch(0)
    return time.perf_counter() - start, batches, dataset


if __name__ == "__main__":
    main()
