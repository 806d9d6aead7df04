"""The same network as a good user of PyTorch writes it: eager, one time-step at a time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .job import Job, Layer, poisson


class Fire(torch.autograd.Function):
    """A step at 0 forward, a triangle for its derivative backward."""

    @staticmethod
    def forward(ctx, u, height):
        """1 where ``u`` is above 0, else 0."""
        ctx.save_for_backward(u)
        ctx.height = height
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):
        """``height · max(0, 1 − |u|)``."""
        (u,) = ctx.saved_tensors
        return grad * ctx.height * (1 - u.abs()).clamp(min=0), None


class Layers(nn.Module):
    """The layers, and one time-step of each."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job, (hidden, output) = job, job.linears()
        self.plan = list(job.convolutions())
        self.convs = nn.ModuleList(
            nn.Conv2d(c.inputs, c.outputs, 3, padding=1, bias=False) for c in self.plan
        )
        self.hidden = nn.Linear(hidden.inputs, hidden.outputs, bias=False)
        self.output = nn.Linear(output.inputs, output.outputs, bias=False)
        self.norms = nn.ModuleList(self._norms(c) for c in (*self.plan, hidden))
        for weight in self.weights():
            nn.init.xavier_uniform_(weight, gain=2)

    def weights(self) -> list[Tensor]:
        """The weights of all convolutions and linear layers, in order."""
        layers = (*self.convs, self.hidden, self.output)
        return [layer.get_parameter("weight") for layer in layers]

    def forward(self, x: Tensor) -> Tensor:
        """Mean read-out of images, coded as it goes, or of spikes."""
        v: list[Tensor | float] = [0.0] * len(self.norms)
        total: Tensor | float = 0.0
        for t in range(self.job.num_steps):
            s = poisson(x) if x.ndim == 4 else x[t]
            for i in range(len(self.norms)):
                s, v[i] = self.step(i, t, s, v[i])
            total = total + self.output(s)
        assert isinstance(total, Tensor)
        return total / self.job.num_steps

    def step(self, i: int, t: int, s: Tensor, v: Tensor | float) -> tuple[Tensor, Tensor]:
        """Layer ``i`` at time-step ``t``: its spikes, pooled, and its membrane."""
        if i == len(self.convs):
            s = s.mean((2, 3)) if self.job.global_pool else s.flatten(1)
            return self.lif(self.norms[i][t](self.hidden(s)), v)  # pyright: ignore
        s, v = self.lif(self.norms[i][t](self.convs[i](s)), v)  # pyright: ignore
        return (F.avg_pool2d(s, 2) if self.plan[i].pooled else s), v

    def lif(self, x: Tensor, v: Tensor | float) -> tuple[Tensor, Tensor]:
        """Leak, integrate, fire, and subtract the threshold (detached)."""
        u = self.job.leak * v + x
        s = Fire.apply(u - 1, self.job.height)
        return s, u - s.detach()

    def _norms(self, layer: Layer) -> nn.ModuleList:
        kind = nn.BatchNorm2d if layer.size else nn.BatchNorm1d
        norms = [kind(layer.outputs, eps=1e-4) for _ in range(self.job.num_steps)]
        for norm in norms:
            norm.register_parameter("bias", None)
        return nn.ModuleList(norms)


class Network:
    """:class:`Layers` behind the interface that all implementations share."""

    def __init__(self, job: Job) -> None:
        self.net = Layers(job).to(job.wide)
        self.net.to(memory_format=job.memory_format)  # pyright: ignore[reportCallIssue]
        self.num_stages = len(self.net.norms)

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of images or of spikes."""
        return self.net(x)

    def train(self, mode: bool) -> None:
        """Choose batch statistics, or running ones if false."""
        self.net.train(mode)

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take the weights of a ``state_dict`` of this package."""
        names = [f"convs.{i}" for i in range(len(self.net.convs))] + ["hidden", "output"]
        for weight, name in zip(self.weights(), names, strict=True):
            weight.copy_(state[f"{name}.weight"])
        for i, norms in enumerate(self.net.norms.children()):
            for t, norm in enumerate(norms.children()):
                for key in ("weight", "running_mean", "running_var"):
                    getattr(norm, key).copy_(state[f"layers.{i}.norm.{key}"][t])

    def weights(self) -> list[Tensor]:
        """The weights of all convolutions and linear layers, in order."""
        return self.net.weights()

    def stage(self, i: int, x: Tensor) -> Tensor:
        """Layer ``i`` on a whole sequence ``[T, N, ...]``, with the pooling behind it."""
        v: Tensor | float = 0.0
        spikes = []
        for t in range(len(x)):
            s, v = self.net.step(i, t, x[t], v)
            spikes.append(s)
        return torch.stack(spikes)
