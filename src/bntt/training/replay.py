"""A training step recorded once and replayed, so that a GPU need not wait for Python.

A step of a deep network is some hundred kernels. Python launches each in several
microseconds, and where the batch is small the GPU is done before the next one comes. A CUDA
graph holds all of them and is launched at once.
"""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[..., tuple[Tensor, ...]]
"""From tensors to tensors; whatever else it reads or changes stays where it is."""

Recorder = Callable[
    [Callable[[], tuple[Tensor, ...]]], tuple[Callable[[], object], Sequence[Tensor]]
]
"""From a function without arguments to what runs it again, and to where its results lie."""

WARM_UP = 3
"""Calls before the recording: kernels are compiled and libraries choose in the first."""


def refusal(device: torch.device, processes: int) -> str | None:
    """Why steps cannot be replayed, as a sentence; None if they can."""
    if device.type != "cuda":
        return f"Only CUDA devices replay training steps, and this run is on {device}."
    if processes > 1:
        return f"Steps are not replayed where processes share a run, and {processes} do."
    return None


def rate_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Put the learning rate where a recorded step can read it, in float32."""
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
        if "capturable" in group and device.type == "cuda":
            group["capturable"] = True


class Replayed:
    """A step that does what the given one does, from the fourth call on by replaying it.

    Args:
        step: From tensors, whose shapes and types never change, to tensors. What it reads
            beside them (weights, a learning rate, a generator) is read where it lies, at
            every call.
        record: How a function is recorded; see :func:`cuda_graph`.

    Where a step cannot be recorded, because something in it waits for the device, it is
    called as it is, and that is said once.
    """

    def __init__(self, step: Step, record: Recorder) -> None:
        self.step, self.record = step, record
        self.calls = 0
        self.inputs: list[Tensor] = []
        self.replay: Callable[[], object] | None = None
        self.outputs: Sequence[Tensor] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the step makes of the inputs."""
        self.calls += 1
        if self.calls == WARM_UP + 1:
            self._start(inputs)
        if self.replay is None:
            return self.step(*inputs)
        for place, new in zip(self.inputs, inputs, strict=True):
            place.copy_(new)
        self.replay()
        # the next replay writes over them
        return tuple(output.clone() for output in self.outputs)

    def _start(self, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = [x.clone() for x in inputs]
        try:
            self.replay, self.outputs = self.record(lambda: self.step(*self.inputs))
        except RuntimeError as error:
            logging.getLogger("bntt").warning(
                "bntt: training steps are not replayed, but launched one kernel at a time: "
                "they cannot be recorded (%s)",
                str(error).strip().splitlines()[0],
            )


def cuda_graph(generator: torch.Generator) -> Recorder:
    """Record as a CUDA graph which draws from the generator anew at every replay.

    Recording runs nothing. Seeded alike, the generator gives a replay the numbers that it
    gives the step itself.
    """

    def record(function: Callable[[], tuple[Tensor, ...]]):
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            outputs = function()
        return graph.replay, outputs

    return record
