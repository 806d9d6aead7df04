"""Spiking VGG: channel plans as data, one network class (M15)."""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from . import encode, norm
from .neuron import LIF, NormLIF, Readout
from .pool import average_pool
from .surrogate import Surrogate, Triangle, from_config

PLANS: dict[str, dict[str, Any]] = {
    "vgg5": {"convs": "64 A 128 128 A", "hidden": 512, "global_pool": False},
    "vgg9": {"convs": "64 64 A 128 128 A 256 256 256 A", "hidden": 1024,
             "global_pool": False},
    "vgg11": {"convs": "64 A 128 A 256 256 A 512 512 A 512 512", "hidden": 4096,
              "global_pool": True},
}  # fmt: skip
"""3x3 convolutions by width; ``A`` is 2x2 average pooling of the spikes before it."""


class VGG(nn.Module):
    """A feed-forward spiking network: convolutions, a hidden linear layer, a read-out.

    Every layer but the last is followed by a temporal norm and LIF neurons; pooling
    averages spikes. No layer has a bias, weights start Xavier-uniform with gain 2, as in
    the authors' code. Build one with :func:`vgg9`, :func:`vgg11`, :func:`vgg5`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        arch: str,
        *,
        num_classes: int,
        num_steps: int,
        leak: float,
        in_channels: int = 3,
        image_size: int = 32,
        norm: str = "bntt",
        encoder: str = "poisson",
        v_threshold: float = 1.0,
        surrogate: Surrogate | dict[str, Any] = Triangle(),
        mean: tuple[float, ...] | list[float] | None = None,
        std: tuple[float, ...] | list[float] | None = None,
        class_names: tuple[str, ...] | list[str] | None = None,
    ) -> None:
        super().__init__()
        plan = _plan(arch)
        pools = plan["convs"].split().count("A")
        _check_sizes(arch, num_classes, num_steps, in_channels, image_size, 2**pools)
        if isinstance(surrogate, dict):
            surrogate = from_config(surrogate)
        self.arch, self.num_classes, self.num_steps = arch, num_classes, num_steps
        self.in_channels, self.image_size, self.leak = in_channels, image_size, leak
        self.norm_name, self.encoder_name = norm, encoder
        self.encoder = encode.make(encoder)
        self.class_names = _class_names(class_names, num_classes)
        self.v_threshold, self.surrogate = v_threshold, surrogate
        self.global_pool = plan["global_pool"]
        self._build(plan, 1 if self.global_pool else (image_size >> pools) ** 2)
        self._set_normalisation(mean, std)

    def forward(
        self,
        x: Float[Tensor, "N C H W"] | Float[Tensor, "T N C H W"],
        *,
        per_step: bool = False,
        num_steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "N K"] | Float[Tensor, "T N K"]:
        """Logits of normalised images, which are encoded, or of spikes, fed as they are.

        Args:
            x: Images ``[N, C, H, W]`` (see :meth:`normalize`) or spikes
                ``[T, N, C, H, W]``.
            per_step: Whether to return ``[T, N, K]``, where entry ``t`` is the mean of the
                read-outs up to ``t``; the last one is what a plain call returns.
            num_steps: Run the first so many time-steps only. All of them if omitted, and
                then a training input that is shorter is an error.
            generator: Of the encoder's random numbers, on the images' device.

        Raises:
            ValueError: If the shape does not fit, or the number of time-steps does not.
        """
        self._check_input(x)
        if num_steps is not None:
            _at_least_one(num_steps=num_steps)
        if x.ndim == 4:
            x = self.encoder(x, num_steps or self.num_steps, generator)
        start = None if num_steps is None else 0
        logits = self.readout(self.read(x[:num_steps], start))
        return logits if per_step else logits[-1]

    def check_steps(self, num_steps: int | None) -> None:
        """Refuse more time-steps than there are statistics for.

        Raises:
            ValueError: If ``num_steps`` is given and outside 1 to ``self.num_steps``.
        """
        if num_steps is not None and not 1 <= num_steps <= self.num_steps:
            raise ValueError(
                f"The network was trained for {self.num_steps} time-steps and has "
                f"statistics of no more, but num_steps is {num_steps}. Ask for 1 to "
                f"{self.num_steps}, or train with --set num_steps={num_steps}."
            )

    def read(
        self, spikes: Float[Tensor, "T N C H W"], start: int | None = None
    ) -> Float[Tensor, "T N K"]:
        """The read-out of every single time-step, before any averaging over time.

        ``start=0`` says that these are the first of more time-steps.
        """
        T, N = spikes.shape[:2]
        x = spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for conv, layer, pooled in zip(self.convs, self.layers, self.pooled, strict=False):
            x = layer(conv(x).unflatten(0, (T, N)), start=start).flatten(0, 1)
            x = average_pool(x) if pooled else x
        x = x.mean((2, 3)) if self.global_pool else x.flatten(1)
        x = self.layers[-1](self.hidden(x).unflatten(0, (T, N)), start=start)
        return self.output(x)

    def normalize(self, images: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Images of 0 to 255 as the network learned them: ``(x / 255 − mean) / std``."""
        return (images / 255 - self.mean) / self.std

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which :func:`build` makes the same architecture."""
        return {
            "arch": self.arch,
            "num_classes": self.num_classes,
            "num_steps": self.num_steps,
            "leak": self.leak,
            "in_channels": self.in_channels,
            "image_size": self.image_size,
            "norm": self.norm_name,
            "encoder": self.encoder_name,
            "v_threshold": self.v_threshold,
            "surrogate": self.surrogate.to_config(),
            "mean": self.mean.flatten().tolist(),
            "std": self.std.flatten().tolist(),
            "class_names": list(self.class_names),
        }

    def extra_repr(self) -> str:
        """What a reader wants to know first, for ``print``."""
        weights = sum(p.numel() for p in self.parameters())
        return (
            f"{self.arch}: {self.in_channels}x{self.image_size}x{self.image_size} -> "
            f"{self.num_classes} classes in {self.num_steps} time-steps, "
            f"{self.encoder_name} input, {weights:,} parameters"
        )

    def _build(self, plan: dict[str, Any], area: int) -> None:
        self.convs, self.layers = nn.ModuleList(), nn.ModuleList()
        self.pooled: list[bool] = []
        channels = self.in_channels
        for entry in plan["convs"].split():
            if entry == "A":
                self.pooled[-1] = True
                continue
            self.convs.append(nn.Conv2d(channels, int(entry), 3, padding=1, bias=False))
            channels = int(entry)
            self.layers.append(self._layer(channels))
            self.pooled.append(False)
        self.hidden = nn.Linear(channels * area, plan["hidden"], bias=False)
        self.layers.append(self._layer(plan["hidden"]))
        self.output = nn.Linear(plan["hidden"], self.num_classes, bias=False)
        self.readout = Readout()
        weights = [p for name, p in self.named_parameters() if ".norm." not in name]
        for weight in weights:
            nn.init.xavier_uniform_(weight, gain=2)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def _layer(self, channels: int) -> NormLIF:
        lif = LIF(self.leak, self.v_threshold, surrogate=self.surrogate)
        return NormLIF(norm.make(self.norm_name, channels, self.num_steps), lif)

    def _set_normalisation(self, mean, std) -> None:
        for name, values, default in (("mean", mean, 0.0), ("std", std, 1.0)):
            values = [default] * self.in_channels if values is None else list(values)
            if len(values) != self.in_channels:
                raise ValueError(
                    f"`{name}` needs one number per input channel, {self.in_channels}, "
                    f"got {values}."
                )
            tensor = torch.tensor(values).reshape(-1, 1, 1)
            self.register_buffer(name, tensor, persistent=False)
        if not (self.std > 0).all():
            raise ValueError(f"`std` must be positive, got {std}.")

    def _check_input(self, x: Tensor) -> None:
        expected = (self.in_channels, self.image_size, self.image_size)
        if x.ndim not in (4, 5) or tuple(x.shape[-3:]) != expected:
            C, H, W = expected
            raise ValueError(
                f"{self.arch} was built for images (N, {C}, {H}, {W}) or spikes "
                f"(T, N, {C}, {H}, {W}), got shape {tuple(x.shape)}."
            )
        if not x.is_floating_point():
            raise ValueError(
                f"{self.arch} takes normalised floating-point images, got {x.dtype}. "
                f"Call net.normalize(images) first."
            )


def build(arch: str, **config: Any) -> VGG:
    """The network called ``arch``: ``"vgg5"``, ``"vgg9"`` or ``"vgg11"``.

    Args:
        arch: Name of the channel plan.
        config: As :func:`vgg9`.

    Raises:
        ValueError: If the name is unknown or a value is out of range.
    """
    return VGG(arch, **config)


def vgg5(**config: Any) -> VGG:
    """Three convolutions and two linear layers, for small images; as :func:`vgg9`."""
    return VGG("vgg5", **config)


def vgg9(**config: Any) -> VGG:
    """VGG9 of Kim & Panda (2021): seven convolutions and two linear layers (M15).

    Args:
        config: ``num_classes``, ``num_steps`` and ``leak`` are required; ``in_channels=3``,
            ``image_size=32`` (divisible by 8), ``norm="bntt"`` (``"shared"``, ``"none"``),
            ``encoder="poisson"`` (``"direct"``), ``v_threshold=1.0``,
            ``surrogate=Triangle(0.3)``, and ``mean``, ``std``, ``class_names``, which
            travel in checkpoints.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> net = vgg9(num_classes=10, num_steps=2, leak=0.95, image_size=8)
        >>> net(torch.randn(4, 3, 8, 8), per_step=True).shape
        torch.Size([2, 4, 10])
    """
    return VGG("vgg9", **config)


def vgg11(**config: Any) -> VGG:
    """VGG11 of Kim & Panda (2021), which ends in a global pool; as :func:`vgg9`.

    Any image size of 16 and up fits.
    """
    return VGG("vgg11", **config)


def _plan(arch: str) -> dict[str, Any]:
    if arch not in PLANS:
        raise ValueError(f"Unknown architecture {arch!r}. Known: {', '.join(PLANS)}.")
    return PLANS[arch]


def _check_sizes(arch, num_classes, num_steps, in_channels, image_size, shrink) -> None:
    _at_least_one(num_classes=num_classes, num_steps=num_steps, in_channels=in_channels)
    if image_size < shrink or (image_size % shrink and not PLANS[arch]["global_pool"]):
        raise ValueError(
            f"{arch} halves its images {shrink.bit_length() - 1} times, so `image_size` "
            f"must be a multiple of {shrink}, got {image_size}. Crop or pad the images."
        )


def _at_least_one(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")


def _class_names(names, num_classes: int) -> tuple[str, ...]:
    names = tuple(names or map(str, range(num_classes)))
    if len(names) != num_classes:
        raise ValueError(
            f"`class_names` needs one name per class, {num_classes}, got {len(names)}: "
            f"{', '.join(names)}."
        )
    return names
