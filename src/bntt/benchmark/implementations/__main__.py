"""Run one job, given as JSON, and print its result as the last line."""

import importlib
import json
import sys
from dataclasses import replace
from typing import Any

import torch

from . import answer, convolutions_only, measure, profiling
from .job import Job
from .versions import versions


def make(job: Job):
    """The implementation's network.

    Its module is found by name: one lives in another environment than the others.
    """
    torch.manual_seed(0)
    module = importlib.import_module(f".{job.implementation}", __package__)
    return module.Network(job)


def run_time(job: Job) -> dict[str, Any]:
    """Seconds of each pass asked for, and how busy others kept the machine."""
    if job.implementation == "convolutions_only":
        layers = convolutions_only.Layers(job)
        ways = {"inference": layers.inference, "training": layers.training}
    else:
        ways = measure.passes(job, make(job))
    timed = {k: measure.seconds(ways[k], job.seconds) for k in job.passes}
    return {
        "seconds": {k: samples for k, (samples, _) in timed.items()},
        "taken_by_others": {k: others for k, (_, others) in timed.items()},
    }


def run_memory(job: Job) -> dict[str, Any]:
    """Peak resident memory of two training steps, after a small one, in bytes."""
    network = make(job)
    measure.passes(replace(job, batch_size=2), network)["training"]()
    training = measure.passes(job, network)["training"]
    training()
    training()
    return {"peak_bytes": measure.peak_bytes()}


def run_profile(job: Job) -> dict[str, Any]:
    """Seconds of each pass by the part of the network in which they are spent."""
    network = make(job)
    ways = measure.passes(job, network)
    return {"profile": {k: profiling.profile(ways[k], network) for k in job.passes}}


def run_answer(job: Job) -> dict[str, Any]:
    """Logits, gradients and spikes for given weights and spikes."""
    case = torch.load(f"{job.file}.case", weights_only=True)
    torch.save(answer.answer(make(job), case, job), f"{job.file}.{job.implementation}")
    return {}


KINDS = {
    "time": run_time,
    "memory": run_memory,
    "profile": run_profile,
    "answer": run_answer,
}


def main(text: str) -> None:
    """Run the job and print the result with what it ran on."""
    fields = json.loads(text)
    job = Job(**{**fields, "passes": tuple(fields["passes"])})
    if job.keep_freed_memory:
        measure.keep_freed_memory()
    result = KINDS[job.kind](job)
    print(json.dumps(result | {"threads": torch.get_num_threads(), "versions": versions()}))


if __name__ == "__main__":
    main(sys.argv[1])
