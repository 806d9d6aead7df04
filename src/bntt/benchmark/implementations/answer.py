"""What an implementation computes on a given case: the check before any timing."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .job import Job

Case = dict[str, Any]
"""``state``: weights; ``spikes``: of the input; ``inputs``: of every layer."""


def answer(network, case: Case, job: Job) -> dict[str, Any]:
    """Logits, gradients and each layer's spikes on the same inputs, in ``job.wide``.

    Returns:
        ``inference`` and ``logits`` [N, K], in evaluation and in training; ``grads``, of
        all weights; ``stages``, the spikes [T, N, ...] of every layer on its own input.
    """
    network.load({k: v.to(job.wide) for k, v in case["state"].items()})
    spikes = case["spikes"].to(job.wide)
    network.train(False)
    with torch.no_grad():
        inference = network(spikes)
    network.train(True)
    logits = network(spikes)
    grads = torch.autograd.grad(_loss(logits), network.weights())
    return {
        "inference": inference,
        "logits": logits.detach(),
        "grads": list(grads),
        "stages": stages(network, case["inputs"], job),
    }


@torch.no_grad()
def stages(network, inputs: list[Tensor], job: Job) -> list[Tensor]:
    """The spikes of each layer on its own given input."""
    return [network.stage(i, x.to(job.wide)) for i, x in enumerate(inputs)]


@torch.no_grad()
def inputs_of(network, spikes: Tensor) -> list[Tensor]:
    """What each layer of the whole network receives."""
    inputs = [spikes]
    for i in range(network.num_stages - 1):
        inputs.append(network.stage(i, inputs[-1]))
    return inputs


def _loss(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[1])
