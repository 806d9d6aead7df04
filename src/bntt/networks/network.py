"""What every network shares: coding before its layers, the running mean behind them."""

from copy import copy
from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..layers.encode import Encoder
from ..layers.neuron import LIF, NormLIF, Readout
from ..layers.norms import make_norm
from ..ops.arguments import has_values, whole_number
from ..ops.reference import accumulator
from .config import LAYER_KEYS, LIF_KEYS, NetworkConfig, encoder_name
from .layer_values import of_layers, own_arguments, value_of


class Network(nn.Module):
    """A spiking network: images or spikes in, logits after every time-step out.

    A subclass builds its layers with :meth:`layer` and computes its read-outs in
    :meth:`read`. No layer has a bias, and weights start Xavier-uniform with gain 2 (M15).
    :attr:`config` holds everything about the network except weights and statistics, mean
    and class names included.
    """

    mean: Tensor
    std: Tensor
    layers: nn.ModuleList
    """Norm and neurons behind every convolution or linear layer but the last."""
    output: nn.Linear
    """The read-out."""

    def __init__(self, arch: str, **config: Any) -> None:
        super().__init__()
        self._given = given = NetworkConfig(arch=arch, **config)
        self._made = 0
        self.arch, self.num_classes = given.arch, given.num_classes
        self.num_steps = given.num_steps
        self.in_channels, self.image_size = given.in_channels, given.image_size
        self.encoder = cast(Encoder, given.encoder)  # no longer a name
        self.class_names: tuple[str, ...] = given.class_names or ()  # never none
        self.geometry = given.geometry
        self.readout = Readout()
        for name in ("mean", "std"):
            values = torch.tensor(getattr(given, name), dtype=torch.float32)
            self.register_buffer(name, values.reshape(-1, 1, 1), persistent=False)

    leak = of_layers("leak", "Fraction of membrane potential kept per time-step.")
    v_threshold = of_layers("v_threshold", "Firing threshold.")
    reset = of_layers("reset", "What a spike does to the membrane potential.")
    detach_reset = of_layers("detach_reset", "Whether backward ignores the reset.")
    surrogate = of_layers("surrogate", "The slope that backward uses for the firing step.")
    norm_name = of_layers("norm", "The norms' name in recipes.", settable=False)
    window = of_layers("window", "Time-steps that share statistics.", settable=False)

    @property
    def encoder_name(self) -> str:
        """The encoder's name in recipes."""
        return encoder_name(self.encoder)

    @property
    def permutation(self) -> int:
        """Seed of the order of permuted pixels; 0 if pixels come in reading order."""
        return getattr(self.encoder, "permutation", None) or 0

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights, in which :meth:`normalize` returns images."""
        types = (p.dtype for p in self.parameters() if p.is_floating_point())
        return next(types, torch.float32)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.in_channels, self.image_size, self.image_size

    @property
    def step_shape(self) -> tuple[int, ...]:
        """Shape of the coded input of one sample at one time-step."""
        return self.image_shape

    @property
    def layer_areas(self) -> list[int]:
        """Pixels of each layer, from the input on; empty if a subclass does not say.

        With them, a training batch that is too small for the statistics of a late layer is
        refused before an early one has moved its own.
        """
        return []

    def read(self, spikes: Tensor, start: int | None = None) -> Float[Tensor, "T N K"]:
        """The read-outs of single time-steps, before any averaging over time.

        Args:
            spikes: Coded input, ``[T, N, *step_shape]``.
            start: Index of its first time-step in the sequence, if more may follow; None if
                it is the whole sequence.
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
        """Logits of normalised images, which are coded first, or of coded input.

        Args:
            x: Images ``[N, C, H, W]`` (see :meth:`normalize`), or spikes or frames of
                events ``[T, N, *step_shape]``.
            per_step: Whether to return ``[T, N, K]``, where entry ``t`` is the mean of the
                read-outs up to ``t``; the last one is what a plain call returns.
            num_steps: Number of time-steps to run, the first ones. If it is omitted, all of
                them run, and a training input that is shorter is an error.
            generator: Source of the encoder's random numbers, on the images' device.

        Raises:
            TypeError: If ``num_steps`` is no whole number.
            ValueError: If the shape, the type or the number of time-steps does not fit, or
                a training batch has too few elements for the statistics of a layer.
        """
        coded = self.is_coded(x)
        self._check_layers(samples=x.shape[1] if coded else x.shape[0])
        if num_steps is not None:
            whole_number("num_steps", num_steps, at_least=1)
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

    def is_coded(self, x: Tensor) -> bool:
        """Whether ``x`` is the input of time-steps, rather than images to be coded.

        Raises:
            ValueError: If it is neither, or holds no floating-point numbers.
        """
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

    def check_steps(self, num_steps: int | None) -> None:
        """Refuse more time-steps than the network has statistics for.

        Raises:
            ValueError: If ``num_steps`` is given and outside 1 to ``self.num_steps``.
        """
        if num_steps is not None and not 1 <= num_steps <= self.num_steps:
            raise ValueError(
                f"The network was trained for {self.num_steps} time-steps and has "
                f"statistics of no more, but num_steps is {num_steps}. Ask for 1 to "
                f"{self.num_steps}, or train with --set num_steps={num_steps}."
            )

    def normalize(self, images: Tensor) -> Tensor:
        """Images in the form that :meth:`forward` takes: ``(x − mean) / std``.

        Args:
            images: ``[N, C, H, W]``, or frames of events ``[N, T, C, H, W]``, as bytes
                (255 is white) or as floating-point numbers in [0, 1].

        Returns:
            Images in the same shape, or frames with time first, in the type of the weights.

        Raises:
            ValueError: If the shape does not fit, the images are neither of the two types,
                or numbers lie outside [0, 1]. That last is not looked at while a graph is
                traced (``torch.compile``, ``torch.export``), nor on meta tensors.
        """
        if images.ndim not in (4, 5) or images.shape[-3] != self.in_channels:
            raise ValueError(
                f"`normalize` takes images (N, {self.in_channels}, H, W) or frames "
                f"(N, T, {self.in_channels}, H, W), got shape {tuple(images.shape)}."
            )
        # statistics of images deserve more digits than half precision has
        wide = accumulator(self.dtype)
        x = _unit(images, wide)
        x = ((x - self.mean.to(wide)) / self.std.to(wide)).to(self.dtype)
        return x.transpose(0, 1) if x.ndim == 5 else x

    @property
    def description(self) -> NetworkConfig:
        """What this network is now, as its layers have it; all but weights and statistics.

        Raises:
            ValueError: If a layer, the encoder or an attribute cannot be described by plain
                values.
        """
        try:
            return NetworkConfig(
                arch=self.arch,
                num_classes=self.num_classes,
                num_steps=self.num_steps,
                in_channels=self.in_channels,
                image_size=self.image_size,
                encoder=self.encoder,
                permutation=self.permutation,
                mean=tuple(self.mean.flatten().tolist()),
                std=tuple(self.std.flatten().tolist()),
                class_names=self.class_names,
                geometry=self.geometry,
                **self.built_values(),
            )
        except (TypeError, RuntimeError) as error:  # such as a tensor for a number
            raise ValueError(f"{self.arch} cannot be described: {error}") from error

    def built_values(self) -> dict[str, Any]:
        """The part of the description that layers hold, and options of a user's network.

        Raises:
            ValueError: As :attr:`description`.
        """
        values = {name: self._of_layers(name) for name in LAYER_KEYS}
        options = {name: self._option(name) for name in own_arguments(type(self))}
        return {**values, "options": options}

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which :func:`build` makes the same network with other weights.

        Raises:
            ValueError: As :attr:`description`, and if a surrogate is not of this package.
        """
        return self.description.to_config()

    def extra_repr(self) -> str:
        """Name, sizes, coding and number of parameters, for ``print``."""
        weights = sum(p.numel() for p in self.parameters())
        return (
            f"{self.arch}: {self.in_channels}x{self.image_size}x{self.image_size} -> "
            f"{self.num_classes} classes in {self.num_steps} time-steps, "
            f"{self.encoder_name} input, {weights:,} parameters"
        )

    def layer(self, channels: int) -> NormLIF:
        """A new norm with its neurons, to follow a convolution or linear layer.

        Call this for one layer after the other from the input on, because lists of values
        are in this order.

        Args:
            channels: Channels or features of that convolution or linear layer.
        """
        value = self._given.of_layer(self._made)
        self._made += 1
        norm = make_norm(
            *(value["norm"], channels, self.num_steps, value["window"]),
            eps=value["eps"],
            momentum=value["momentum"],
        )
        return NormLIF(norm, LIF(**{name: value[name] for name in LIF_KEYS}))

    def draw_weights(self) -> None:
        """Draw all weights, except those of norms, Xavier-uniform with gain 2 (M15).

        Call this as the last step of building.

        Raises:
            ValueError: If a list of values is longer than there are layers.
        """
        self._given.check_layers(self._made)
        for name, weight in self.named_parameters():
            if ".norm." not in name:
                nn.init.xavier_uniform_(weight, gain=2)

    def _of_layers(self, name: str) -> Any:
        """The value of a key that all layers share, or a tuple with that of each layer."""
        values = [value_of(name, *layer) for layer in self._norms_and_neurons()]
        if not values:
            return getattr(self._given, name)
        return values[0] if all(v == values[0] for v in values[1:]) else tuple(values)

    def _set_layers(self, name: str, value: Any) -> None:
        """Set a key of all layers to one value, or of each layer to its own of a list."""
        neurons = [layer.lif for _, layer in self._norms_and_neurons()]
        if not neurons:
            raise ValueError(f"{self.arch} has no layers whose `{name}` could be set.")
        config = replace(self._given, **{name: value})
        config.check_layers(len(neurons))
        values = [config.of_layer(index) for index in range(len(neurons))]
        for value in values:
            LIF(**{name: value[name] for name in LIF_KEYS})  # which checks the ranges
        for lif, value in zip(neurons, values, strict=True):
            setattr(lif, name, copy(value[name]))

    def _norms_and_neurons(self) -> list[tuple[str, NormLIF]]:
        return [(n, m) for n, m in self.named_modules() if isinstance(m, NormLIF)]

    def _option(self, name: str) -> Any:
        if not hasattr(self, name):
            raise ValueError(
                f"{type(self).__name__} takes `{name}`, but keeps no attribute of that "
                f"name, so it cannot be described. Write self.{name} = {name} in __init__."
            )
        return getattr(self, name)

    def _check_layers(self, samples: int) -> None:
        """Refuse what a late layer would, before an early one has moved its statistics."""
        layers = [module for module in self.modules() if isinstance(module, NormLIF)]
        for layer in layers:
            layer.check_settings()
        areas = self.layer_areas
        if len(areas) == len(layers):  # unless a user has put something else in one's place
            for layer, area in zip(layers, areas, strict=True):
                layer.norm.check_batch(samples * area)


def _shape(*sizes: int | str) -> str:
    return f"({', '.join(map(str, sizes))})"


def _unit(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Images of bytes or of floating-point numbers, as numbers in [0, 1]."""
    if images.dtype == torch.uint8:
        return images.to(dtype) / 255
    if not images.is_floating_point():
        raise ValueError(
            f"`normalize` takes bytes (uint8), or floating-point numbers in [0, 1], got "
            f"{images.dtype}. Convert numbers from 0 to 255 with .to(torch.uint8)."
        )
    if has_values(images) and images.numel():
        low, high = (bound.item() for bound in images.aminmax())
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"`normalize` takes floating-point images in [0, 1], as ToTensor leaves "
                f"them, got numbers from {low:g} to {high:g}. Divide by what white is, or "
                f"give bytes (uint8); images that are normalised already go to the network "
                f"as they are."
            )
    return images.to(dtype)
