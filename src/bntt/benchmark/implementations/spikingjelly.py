"""The same network in SpikingJelly 2.0, multi-step mode, its fastest way on a CPU."""

import torch
from torch import Tensor, nn

from .job import Job, Layer, poisson


class Network:
    """Multi-step modules behind the interface that all implementations share."""

    def __init__(self, job: Job) -> None:
        from spikingjelly.activation_based import functional, layer  # pyright: ignore

        self.job, self.reset = job, functional.reset_net
        last, output = job.linears()
        stages = [self._convolution(c) for c in job.convolutions()]
        if job.global_pool:
            stages[-1].append(layer.AdaptiveAvgPool2d((1, 1), step_mode="m"))
        flatten = layer.Flatten(step_mode="m")
        hidden = layer.Linear(last.inputs, last.outputs, bias=False, step_mode="m")
        stages.append(nn.Sequential(flatten, hidden, self._norm(last), self._neuron()))
        self.output = layer.Linear(output.inputs, output.outputs, bias=False, step_mode="m")
        self.num_stages = len(stages)
        self.net = nn.Sequential(*stages, self.output)
        for weight in self.weights():
            nn.init.xavier_uniform_(weight, gain=2)
        self.net.to(job.wide)
        self.net.to(memory_format=job.memory_format)  # pyright: ignore[reportCallIssue]

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of images, coded before they go in, or of spikes."""
        if x.ndim == 4:
            x = torch.stack([poisson(x) for _ in range(self.job.num_steps)])
        self.reset(self.net)
        return self.net(self._laid_out(x)).mean(0)

    def train(self, mode: bool) -> None:
        """Choose batch statistics, or running ones if false."""
        self.net.train(mode)

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take the weights of a ``state_dict`` of the package under test."""
        names = [f"convs.{i}" for i in range(self.num_stages - 1)] + ["hidden", "output"]
        for weight, name in zip(self.weights(), names, strict=True):
            weight.copy_(state[f"{name}.weight"])
        for i, norms in enumerate(self._norms()):
            for t, norm in enumerate(norms):
                for key in ("weight", "running_mean", "running_var"):
                    getattr(norm, key).copy_(state[f"layers.{i}.norm.{key}"][t])

    def weights(self) -> list[Tensor]:
        """The weights of all convolutions and linear layers, in order."""
        return [
            m.weight for m in self.net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))
        ]

    def stage(self, i: int, x: Tensor) -> Tensor:
        """Layer ``i`` on a whole sequence ``[T, N, ...]``, with the pooling behind it."""
        self.reset(self.net)
        return self.net[i](self._laid_out(x))

    def _laid_out(self, x: Tensor) -> Tensor:
        if x.ndim != 5:
            return x
        flat = x.flatten(0, 1).contiguous(memory_format=self.job.memory_format)
        return flat.unflatten(0, x.shape[:2])

    def _convolution(self, c: Layer) -> nn.Sequential:
        from spikingjelly.activation_based import layer  # pyright: ignore

        conv = layer.Conv2d(c.inputs, c.outputs, 3, padding=1, bias=False, step_mode="m")
        pool = [layer.AvgPool2d(2, step_mode="m")] if c.pooled else []
        return nn.Sequential(conv, self._norm(c), self._neuron(), *pool)

    def _norm(self, c: Layer) -> nn.Module:
        from spikingjelly.activation_based import layer  # pyright: ignore

        kind = layer.BatchNormThroughTime2d if c.size else layer.BatchNormThroughTime1d
        return kind(self.job.num_steps, c.outputs, eps=1e-4, step_mode="m")

    def _neuron(self) -> nn.Module:
        from spikingjelly.activation_based import neuron, surrogate  # pyright: ignore

        return neuron.LIFNode(
            tau=1 / (1 - self.job.leak),
            decay_input=False,
            v_reset=None,
            detach_reset=True,
            # a triangle of height 1: the library ties height to width
            surrogate_function=surrogate.PiecewiseQuadratic(alpha=1.0),
            step_mode="m",
        )

    def _norms(self) -> list[nn.ModuleList]:
        lists = (m for m in self.net.modules() if isinstance(m, nn.ModuleList))
        return list(lists)
