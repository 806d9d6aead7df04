"""What every network shares: coding before its layers, the running mean behind them."""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from . import encode, norm
from .neuron import LIF, NormLIF, Readout
from .surrogate import Surrogate, Triangle, from_config


class Network(nn.Module):
    """A spiking network: images or spikes in, logits after every time-step out.

    Subclasses build their layers, of :meth:`layer`, and read the spikes in :meth:`read`.
    No layer has a bias, weights start Xavier-uniform with gain 2 (M15). What a reader or a
    user of the network needs, mean and class names included, is in :attr:`config`.
    """

    mean: Tensor
    std: Tensor
    layers: nn.ModuleList
    """Norm and neurons behind every convolution or linear layer but the last."""
    output: nn.Linear
    """The read-out."""

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
        window: int = 1,
        encoder: str = "poisson",
        permutation: int = 0,
        v_threshold: float = 1.0,
        surrogate: Surrogate | dict[str, Any] = Triangle(),
        mean: tuple[float, ...] | list[float] | None = None,
        std: tuple[float, ...] | list[float] | None = None,
        class_names: tuple[str, ...] | list[str] | None = None,
    ) -> None:
        super().__init__()
        at_least_one(
            num_classes=num_classes,
            num_steps=num_steps,
            in_channels=in_channels,
            image_size=image_size,
        )
        if isinstance(surrogate, dict):
            surrogate = from_config(surrogate)
        self.arch, self.num_classes, self.num_steps = arch, num_classes, num_steps
        self.in_channels, self.image_size, self.leak = in_channels, image_size, leak
        self.norm_name, self.window = norm, window
        self.encoder_name, self.permutation = encoder, permutation
        self.encoder = encode.make(encoder, permutation)
        self.class_names = _class_names(class_names, num_classes)
        self.v_threshold, self.surrogate = v_threshold, surrogate
        self.readout = Readout()
        self._set_normalisation(mean, std)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.in_channels, self.image_size, self.image_size

    @property
    def step_shape(self) -> tuple[int, ...]:
        """What one sample feeds at one time-step, once coded."""
        return self.image_shape

    def read(self, spikes: Tensor, start: int | None = None) -> Float[Tensor, "T N K"]:
        """The read-out of every single time-step, before any averaging over time.

        ``start=0`` says that these are the first of more time-steps.
        """
        raise TypeError(f"{type(self).__name__} reads nothing; use a subclass.")

    def forward(
        self,
        x: Tensor,
        *,
        per_step: bool = False,
        num_steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "N K"] | Float[Tensor, "T N K"]:
        """Logits of normalised images, which are encoded, or of spikes, fed as they are.

        Args:
            x: Images ``[N, C, H, W]`` (see :meth:`normalize`), or spikes or frames of
                events ``[T, N, *step_shape]``.
            per_step: Whether to return ``[T, N, K]``, where entry ``t`` is the mean of the
                read-outs up to ``t``; the last one is what a plain call returns.
            num_steps: Run the first so many time-steps only. All of them if omitted, and
                then a training input that is shorter is an error.
            generator: Of the encoder's random numbers, on the images' device.

        Raises:
            ValueError: If the shape does not fit, or the number of time-steps does not.
        """
        coded = self._check_input(x)
        if num_steps is not None:
            at_least_one(num_steps=num_steps)
        if not coded:
            x = self.encoder(x, num_steps or self.num_steps, generator)
        elif num_steps is not None and len(x) < num_steps:
            raise ValueError(
                f"num_steps={num_steps} asks for more time-steps than the input has, which "
                f"are {len(x)} (time is its first axis)."
            )
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

    def normalize(
        self, images: UInt8[Tensor, "N C H W"] | UInt8[Tensor, "N T C H W"]
    ) -> Float[Tensor, "N C H W"] | Float[Tensor, "T N C H W"]:
        """Bytes as the network learned them: ``(x / 255 − mean) / std``.

        Frames of events ``[N, T, C, H, W]`` also come out time first, as :meth:`forward`
        takes them.
        """
        x = (images / 255 - self.mean) / self.std
        return x.transpose(0, 1) if x.ndim == 5 else x

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
            "window": self.window,
            "encoder": self.encoder_name,
            "permutation": self.permutation,
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

    def layer(self, channels: int) -> NormLIF:
        """The norm and the neurons that follow a convolution or linear layer."""
        lif = LIF(self.leak, self.v_threshold, surrogate=self.surrogate)
        rule = norm.make(self.norm_name, channels, self.num_steps, self.window)
        return NormLIF(rule, lif)

    def draw_weights(self) -> None:
        """Start every weight that is not a norm's Xavier-uniform with gain 2 (M15)."""
        for name, weight in self.named_parameters():
            if ".norm." not in name:
                nn.init.xavier_uniform_(weight, gain=2)

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

    def _check_input(self, x: Tensor) -> bool:
        """Whether ``x`` is coded already; refuse what fits neither way."""
        image, step = self.image_shape, self.step_shape
        coded = x.ndim == 2 + len(step) and tuple(x.shape[2:]) == step
        if not coded and (x.ndim != 4 or tuple(x.shape[1:]) != image):
            raise ValueError(
                f"{self.arch} was built for images {_shape('N', *image)} or spikes "
                f"{_shape('T', 'N', *step)}, got shape {tuple(x.shape)}."
            )
        if not x.is_floating_point():
            raise ValueError(
                f"{self.arch} takes normalised floating-point images, got {x.dtype}. "
                f"Call net.normalize(images) first."
            )
        return coded


def at_least_one(**sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        ValueError: Naming the first.
    """
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")


def _shape(*sizes: int | str) -> str:
    return f"({', '.join(map(str, sizes))})"


def _class_names(names, num_classes: int) -> tuple[str, ...]:
    names = tuple(names or map(str, range(num_classes)))
    if len(names) != num_classes:
        raise ValueError(
            f"`class_names` needs one name per class, {num_classes}, got {len(names)}: "
            f"{', '.join(names)}."
        )
    return names
