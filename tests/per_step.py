"""VGG9 and VGG11 with BNTT as the equations say them: one step after the other.

An independent second opinion, in plain PyTorch and without a line of the package: a batch
norm module per layer and time-step, membranes in a list, autograd for every derivative.
Modules carry the names of the authors' code, so ``state_dict()`` has their layout.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = {
    "vgg9": (64, 64, 128, 128, 256, 256, 256),
    "vgg11": (64, 128, 256, 256, 512, 512, 512, 512),
}
POOLED_AFTER = {"vgg9": (2, 4, 7), "vgg11": (1, 2, 4, 6)}  # convolutions, counted from 1
HIDDEN = {"vgg9": 1024, "vgg11": 4096}


class Step(torch.autograd.Function):
    """1 where positive, else 0; backward 0.3 max(0, 1 - |x|)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x > 0, 1.0, 0.0).to(x.dtype)

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return upstream * 0.3 * torch.relu(1 - x.abs())


def norms(kind, channels, num_steps):
    layers = nn.ModuleList(kind(channels, eps=1e-4, momentum=0.1) for _ in range(num_steps))
    for layer in layers:
        layer.register_parameter("bias", None)
    return layers


class PerStepVGG(nn.Module):
    def __init__(self, arch, classes, num_steps, image_size, leak, in_channels=3):
        super().__init__()
        self.arch, self.num_steps, self.leak = arch, num_steps, leak
        self.depth = len(WIDTHS[arch])
        fan_in = in_channels
        for i, width in enumerate(WIDTHS[arch], start=1):
            conv = nn.Conv2d(fan_in, width, kernel_size=3, padding=1, bias=False)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bntt{i}", norms(nn.BatchNorm2d, width, num_steps))
            fan_in = width
        self.halve = nn.AvgPool2d(2)
        self.squeeze = nn.AdaptiveAvgPool2d(1 if arch == "vgg11" else image_size // 8)
        area = 1 if arch == "vgg11" else (image_size // 8) ** 2
        self.fc1 = nn.Linear(fan_in * area, HIDDEN[arch], bias=False)
        self.bntt_fc = norms(nn.BatchNorm1d, HIDDEN[arch], num_steps)
        self.fc2 = nn.Linear(HIDDEN[arch], classes, bias=False)

    def forward(self, spikes, trace=None):
        """Logits after the last step; `trace[l]` collects (input, spikes) of layer l."""
        membranes = [0.0] * (self.depth + 1)
        total = 0.0
        for t, x in enumerate(spikes):
            for layer in range(self.depth + 1):
                if layer == self.depth:
                    x = torch.flatten(self.squeeze(x), start_dim=1)
                fed = x
                membranes[layer], x = self.neuron(layer, t, x, membranes[layer])
                if trace is not None:
                    trace.setdefault(layer, []).append((fed.detach(), x.detach()))
                if layer + 1 in POOLED_AFTER[self.arch]:
                    x = self.halve(x)
            total = total + self.fc2(x)
        return total / len(spikes)

    def neuron(self, layer, t, x, membrane):
        """Membrane and spikes of one layer at one step."""
        last = layer == self.depth
        current = (self.fc1 if last else self.get_submodule(f"conv{layer + 1}"))(x)
        norm = self.get_submodule(f"{'bntt_fc' if last else f'bntt{layer + 1}'}.{t}")
        charged = self.leak * membrane + norm(current)
        fired = Step.apply(charged - 1.0)
        return charged - fired.detach(), fired


def made_up(arch, *, classes, num_steps, image_size, leak, seed=0):
    """A lively network: gains that differ from step to step, statistics of a batch."""
    generator = torch.Generator().manual_seed(seed)
    net = PerStepVGG(arch, classes, num_steps, image_size, leak)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "bntt" in name:
                value.uniform_(0.3, 1.2, generator=generator)
            else:
                fan_in, fan_out = value[0].numel(), value.shape[0] * value[0, 0].numel()
                bound = 2 * math.sqrt(6 / (fan_in + fan_out))
                value.uniform_(-bound, bound, generator=generator)
        batch_norms = [
            m for m in net.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))
        ]
        for layer in batch_norms:
            layer.momentum = 1.0  # what evaluation will use is this one batch's
        net(ternary(num_steps, 8, image_size, seed=seed + 1))
        for layer in batch_norms:
            layer.momentum = 0.1
    return net


def ternary(num_steps, batch, image_size, *, seed=0, channels=3):
    """Spikes of -1, 0 and 1, as rate coding makes them."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, channels, image_size, image_size)
    images = torch.randn(shape, generator=generator)
    images = F.avg_pool2d(images, 3, stride=1, padding=1) * 3  # neighbours are alike
    drawn = torch.rand(num_steps, *shape, generator=generator)
    return images.sign() * (2 * drawn <= images.abs())
