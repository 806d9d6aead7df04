"""The check before any timing: do the implementations compute the same thing?

They get the same weights and the same input spikes. In float64 this package and the loop
must agree in logits and gradients; in float32 a sum that rounds across the threshold is
passed on and multiplies, so each layer is also compared on the same given input.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .implementations import answer, bntt, loop
from .implementations.job import Job
from .launch import run_job
from .plan import BASELINES, Setting

TOLERANCE = 1e-9
"""Largest difference that counts as rounding in float64."""

MODULES = {"bntt": bntt, "loop": loop}


def check(setting: Setting) -> dict[str, Any]:
    """How far each baseline is from this package, on a small case, by precision.

    Returns:
        ``case``, its size, and per precision the differences of every baseline, as
        :func:`compare` gives them, or the ``error`` of one that failed.

    Raises:
        RuntimeError: If the loop disagrees in float64: timings would mean nothing.
    """
    job = small(setting)
    case = make_case(job)
    result: dict[str, Any] = {"case": describe(job)}
    for precision in ("float64", "float32"):
        exact = replace(job, precision=precision)
        own = answer.answer(bntt.Network(exact), case, exact)
        result[precision] = {
            baseline: _compared(baseline, own, case, exact, setting)
            for baseline in setting.implementations()
            if baseline in BASELINES
        }
    _insist(result["float64"]["loop"])
    return result


def small(setting: Setting) -> Job:
    """A job of the same architecture that takes a second."""
    size = 16 if setting.job("bntt").global_pool else 8
    # SpikingJelly's triangle has height 1
    return setting.job("bntt", num_steps=5, batch_size=4, image_size=size, height=1.0)


def make_case(job: Job) -> answer.Case:
    """Weights and running statistics unlike their initial values, and input spikes."""
    exact = replace(job, precision="float64")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = bntt.Network(exact)
        for name, tensor in network.net.state_dict().items():
            if "norm.weight" in name or "running_var" in name:
                tensor.uniform_(0.5, 1.5)
            elif "running_mean" in name:
                tensor.normal_(0, 0.3)
        images = torch.randn(
            job.batch_size, job.in_channels, job.image_size, job.image_size
        ).double()
        spikes = network.net.encoder(images, job.num_steps)
    # a snapshot: passing spikes through moves the running statistics
    state = {k: v.clone() for k, v in network.net.state_dict().items()}
    return {"state": state, "spikes": spikes, "inputs": answer.inputs_of(network, spikes)}


def compare(own: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Largest differences of logits and gradients, and the share of spikes that differ.

    Logits differ absolutely, gradients relative to the largest of their tensor; of the
    spikes the layer counts in which the share is largest.
    """
    spikes = [(a != b).double().mean().item() for a, b in _pairs(own, other, "stages")]
    grads = [_relative(a, b) for a, b in _pairs(own, other, "grads")]
    return {
        "logits": _largest(own["logits"] - other["logits"]),
        "inference_logits": _largest(own["inference"] - other["inference"]),
        "gradients": max(grads),
        "spikes_that_differ": max(spikes),
    }


def describe(job: Job) -> dict[str, int | str]:
    """The size of the case, for the result."""
    names = ("arch", "num_steps", "batch_size", "image_size")
    return {name: getattr(job, name) for name in names}


def _compared(
    implementation: str, own: dict[str, Any], case: answer.Case, job: Job, setting: Setting
) -> dict[str, Any]:
    if implementation in MODULES:
        network = MODULES[implementation].Network(job)
        return compare(own, answer.answer(network, case, job))
    try:
        return compare(own, _answer_elsewhere(implementation, case, job, setting))
    except RuntimeError as error:
        return {"error": str(error)}


def _answer_elsewhere(
    implementation: str, case: answer.Case, job: Job, setting: Setting
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "agreement")
        torch.save(case, f"{file}.case")
        job = replace(job, implementation=implementation, kind="answer", file=file)
        run_job(job, setting.baseline_python)
        return torch.load(f"{file}.{implementation}", weights_only=True)


def _insist(differences: dict[str, float]) -> None:
    for what in ("logits", "inference_logits", "gradients"):
        if not differences[what] <= TOLERANCE:
            raise RuntimeError(
                f"The per-step loop and this package disagree: {what} differ by "
                f"{differences[what]:.2g} in float64, where at most {TOLERANCE:g} is "
                f"rounding. Nothing is timed until they compute the same. Run the tests."
            )


def _pairs(own: dict[str, Any], other: dict[str, Any], key: str):
    return zip(own[key], other[key], strict=True)


def _largest(difference: Tensor) -> float:
    return difference.abs().max().item()


def _relative(a: Tensor, b: Tensor) -> float:
    return _largest(a - b) / max(_largest(a), 1e-30)
