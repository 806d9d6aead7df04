"""What a network is, in plain values: those that build it and that its checkpoint holds."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, no_type_check

import numpy as np

from ..layers import encode
from ..ops.arguments import real, value_and_type, whole_number, yes_or_no
from ..ops.surrogate import KINDS, Surrogate, Triangle, from_config

if TYPE_CHECKING:  # the data rooms load much that a network does not need
    from ..data.geometry import Geometry

MOST = {
    "num_classes": 1 << 20,
    "num_steps": 1 << 16,
    "in_channels": 1 << 16,
    "image_size": 1 << 16,
}
"""The largest sizes that are built; a mistake is refused before it asks for memory."""

NORM_KEYS = ("norm", "window", "eps", "momentum")
"""What makes the norm of a layer."""

LIF_KEYS = ("leak", "v_threshold", "reset", "detach_reset", "surrogate")
"""What makes the neurons of a layer, by the names of :class:`bntt.LIF`'s arguments."""

LAYER_KEYS = NORM_KEYS + LIF_KEYS
"""What each layer has of its own: one value for all of them, or one for each."""

FORMAT_1_KEYS = (
    "arch", "num_classes", "num_steps", "leak", "in_channels", "image_size", "norm",
    "window", "encoder", "permutation", "v_threshold", "surrogate", "mean", "std",
    "class_names",
)  # fmt: skip
"""The keys in headers of the first format; everything else has its default."""


@no_type_check  # any value may come, and `__post_init__` says what is wrong with it
@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Everything that makes a network, except its weights and running statistics.

    The keys of :data:`LAYER_KEYS` take one value for all layers, or a list with one value
    for each layer, from the input on.

    Raises:
        TypeError: If a value is of another type.
        ValueError: If a value lies outside its range, or two contradict each other.
    """

    arch: str
    """Name of the architecture, which :func:`bntt.build` knows."""
    num_classes: int
    num_steps: int
    """``T``: time-steps of every training input."""
    leak: float
    """Fraction of membrane potential kept per time-step, in [0, 1]."""
    in_channels: int = 3
    image_size: int = 32
    """Side of the images, in pixels."""
    norm: str = "bntt"
    """``"bntt"``, ``"shared"`` or ``"none"``."""
    window: int = 1
    """Time-steps that share the statistics of ``"bntt"``; divides ``num_steps``."""
    eps: float | None = None
    """Added to variances; None for the norm's own, and always for ``norm="none"``."""
    momentum: float | None = None
    """Weight of the newest batch in the running statistics, in [0, 1]; None likewise."""
    v_threshold: float = 1.0
    """Firing threshold, positive, in units of the membrane potential."""
    reset: str = "soft"
    """What a spike does to the membrane potential: ``"soft"``, ``"hard"`` or ``"none"``."""
    detach_reset: bool = True
    """Whether backward ignores that a spike resets."""
    surrogate: Surrogate = Triangle()
    """What backward uses in place of the firing step's derivative."""
    encoder: encode.Encoder | str = "poisson"
    """The coding of images, or its name in recipes."""
    encoder_parameters: Mapping[str, Any] | None = None
    """Arguments that the coding is made with; its own defaults for those left out."""
    permutation: int = 0
    """Seed of the order of ``"permuted"`` pixels; 0 with every other encoder."""
    mean: tuple[float, ...] | None = None
    """Mean per channel of images in [0, 1], by which they are normalised; 0 if None."""
    std: tuple[float, ...] | None = None
    """Standard deviation per channel, likewise; 1 if None."""
    class_names: tuple[str, ...] | None = None
    """One name per class; the classes' numbers if None."""
    geometry: "Geometry | None" = None
    """How pictures and recordings become the input; None for arrays taken as they are."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of a registered network of the user's own, plain as JSON is."""

    def __post_init__(self) -> None:
        """Check the type and range of every value, and bring it into its one form."""
        _text("arch", self.arch)
        for name, most in MOST.items():
            self._set(name, _whole(name, getattr(self, name), 1, most))
        for name in LAYER_KEYS:
            self._set(name, _each(name, getattr(self, name)))
        encoder = _encoder(self.encoder, self.permutation)
        if self.encoder_parameters is not None:
            encoder = _with_parameters(encoder, self.encoder_parameters)
        self._set("encoder", encoder)
        self._set("encoder_parameters", encoder_parameters(encoder))
        self._set("permutation", getattr(self.encoder, "permutation", None) or 0)
        self._set("mean", _per_channel("mean", self.mean, 0.0, self.in_channels))
        std = _per_channel("std", self.std, 1.0, self.in_channels)
        if not all(value > 0 for value in std):
            raise ValueError(f"`std` must be positive, got {std}.")
        self._set("std", std)
        self._set("class_names", _class_names(self.class_names, self.num_classes))
        self._set("geometry", self._geometry())
        self._set("options", _options(self.options))

    @property
    def encoder_name(self) -> str:
        """The encoder's name in recipes."""
        return encoder_name(self.encoder)

    def of_layer(self, index: int) -> dict[str, Any]:
        """The values of :data:`LAYER_KEYS` for one layer, counted from 0 at the input.

        Raises:
            ValueError: If a list of values is too short.
        """
        return {name: _nth(name, getattr(self, name), index) for name in LAYER_KEYS}

    def check_layers(self, count: int) -> None:
        """Refuse a list that does not hold one value for each of ``count`` layers.

        Raises:
            ValueError: Naming the key of the list.
        """
        for name in LAYER_KEYS:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != count:
                raise _wrong_length(name, value, count)

    def to_config(self) -> dict[str, Any]:
        """Plain values for JSON, of which :meth:`from_config` makes an equal description.

        Raises:
            ValueError: If a surrogate is not one of this package.
        """
        config = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        config |= {name: list(config[name]) for name in ("mean", "std", "class_names")}
        for name in LAYER_KEYS:
            if isinstance(config[name], tuple):
                config[name] = list(config[name])
        config["surrogate"] = _plain_surrogates(self.surrogate)
        config["encoder"] = self.encoder_name
        config["encoder_parameters"] = dict(self.encoder_parameters or {})
        config["geometry"] = self.geometry and self.geometry.to_config()
        config["options"] = dict(self.options)
        return config

    @classmethod
    def from_config(cls, config: Any, keys: tuple[str, ...] | None = None):
        """The description that :meth:`to_config` wrote.

        Args:
            config: The object that JSON held.
            keys: Its keys; those that :meth:`to_config` writes if omitted.

        Raises:
            TypeError: If a value is of another type.
            ValueError: If a key is missing or unknown, or a value outside its range.
        """
        if not isinstance(config, Mapping):
            raise TypeError(f"`config` must be an object, got {value_and_type(config)}.")
        every = keys or [entry.name for entry in fields(cls)]
        if missing := [name for name in every if name not in config]:
            raise ValueError(f"`config` has no {', '.join(missing)}.")
        if unknown := sorted(map(str, set(config) - set(every))):
            raise ValueError(f"`config` has an unknown key {', '.join(unknown[:3])}.")
        for name in ("mean", "std", "class_names"):
            if not isinstance(config[name], list):
                raise TypeError(
                    f"`{name}` must be a list, got {value_and_type(config[name])}."
                )
        _text("encoder", config["encoder"])
        return cls(**{**config, "surrogate": _surrogates(config["surrogate"])})

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _geometry(self) -> "Geometry | None":
        if self.geometry is None:
            return None
        from ..data.geometry import Geometry

        geometry = self.geometry
        if not isinstance(geometry, Geometry):
            geometry = Geometry.from_config(geometry)
        for name in ("in_channels", "image_size"):
            there = getattr(geometry, name.removeprefix("in_"))
            if there != getattr(self, name):
                raise ValueError(
                    f"`geometry` makes images with {name}={there}, but the network takes "
                    f"{name}={getattr(self, name)}."
                )
        return geometry


def encoder_name(encoder: Any) -> str:
    """An encoder's name in recipes; that of its class if it is not of this package."""
    if type(encoder) is encode.Pixels and encoder.permutation is not None:
        return "permuted"
    for name, known in encode.ENCODERS.items():
        if known is type(encoder):
            return name
    return type(encoder).__name__


def encoder_parameters(encoder: encode.Encoder) -> dict[str, Any]:
    """The arguments that an encoder was made with, except the order of pixels."""
    names = (entry.name for entry in fields(encoder))
    return {n: _plain(getattr(encoder, n)) for n in names if n != "permutation"}


def _with_parameters(encoder: encode.Encoder, parameters: Any) -> encode.Encoder:
    """The encoder with other parameters.

    Raises:
        TypeError: If they are no mapping, or one is of another type.
        ValueError: If one is unknown or outside its range.
    """
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"`encoder_parameters` must be an object, got {value_and_type(parameters)}."
        )
    if unknown := sorted(set(parameters) - set(encoder_parameters(encoder))):
        raise ValueError(
            f"`encoder_parameters` of {encoder_name(encoder)!r} has an unknown key "
            f"{', '.join(unknown[:3])}."
        )
    return replace(encoder, **parameters)


def plain_number(name: str, value: Any) -> float:
    """A finite real number as a Python float, which JSON gives back unchanged.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not finite.
    """
    value = real(name, value)
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite, got {value}.")
    return value


def _each(name: str, value: Any) -> Any:
    """The value of a key of :data:`LAYER_KEYS` in its one form, or a tuple of such."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError(f"`{name}` needs one value, or one per layer, got none.")
        return tuple(_layer_value(name, one) for one in value)
    return _layer_value(name, value)


def _layer_value(name: str, value: Any) -> Any:
    match name:
        case "norm" | "reset":
            return _text(name, value)
        case "window":
            return _whole(name, value, 1, MOST["num_steps"])
        case "detach_reset":
            yes_or_no(name, value)
            return value
        case "surrogate":
            if isinstance(value, Mapping):
                return from_config(dict(value))
            if not isinstance(value, Surrogate):
                raise TypeError(
                    f"`surrogate` must be a Surrogate, got {value_and_type(value)}."
                )
            return value
        case "eps" | "momentum" if value is None:
            return None
        case _:
            return plain_number(name, value)


def _nth(name: str, value: Any, index: int) -> Any:
    if not isinstance(value, tuple):
        return value
    if index >= len(value):
        raise _wrong_length(name, value, index + 1)
    return value[index]


def _wrong_length(name: str, value: tuple[Any, ...], count: int) -> ValueError:
    more = " or more" if count > len(value) else ""
    return ValueError(
        f"`{name}` needs one value, or one per layer, of which there are {count}{more}; "
        f"got {len(value)}."
    )


def _plain_surrogates(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_surrogates(one) for one in value]
    if KINDS.get(type(value).__name__) is not type(value):
        raise ValueError(
            f"The surrogate {value} is not one of this package ({', '.join(KINDS)}), so it "
            f"cannot be described in a checkpoint. Give the layers one of these before "
            f"saving (net.surrogate = ...): it makes no difference to what the network "
            f"answers."
        )
    return {name: _plain(entry) for name, entry in value.to_config().items()}


def _plain(value: Any) -> Any:
    """The value, as a Python float if it is a number of NumPy."""
    return float(value) if isinstance(value, np.floating) else value


def _surrogates(value: Any) -> Any:
    if isinstance(value, list):
        return [_surrogates(one) for one in value]
    if not isinstance(value, dict):
        raise TypeError(f"`surrogate` must be an object, got {value_and_type(value)}.")
    return from_config(value)


def _encoder(value: Any, permutation: Any) -> encode.Encoder:
    _whole("permutation", permutation, 0, (1 << 32) - 1)
    if isinstance(value, str):
        return encode.make(value, int(permutation))
    if type(value) not in encode.ENCODERS.values():
        raise ValueError(
            f"`encoder` must be one of this package, or its name, got "
            f"{value_and_type(value)}. Set one of your own afterwards (net.encoder = ...); "
            f"such a network cannot be saved as a checkpoint."
        )
    if getattr(value, "permutation", None) is not None:
        _whole("permutation", value.permutation, 0, (1 << 32) - 1)
    return value


def _per_channel(name: str, values: Any, default: float, count: int) -> tuple[float, ...]:
    if values is None:
        return (default,) * count
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"`{name}` must be a list of numbers, got {value_and_type(values)}."
        )
    if len(values) != count:
        raise ValueError(
            f"`{name}` needs one number per input channel, {count}, got "
            f"{list(values[:10])}."
        )
    return tuple(plain_number(name, value) for value in values)


def _class_names(names: Any, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(map(str, range(count)))
    if not isinstance(names, (list, tuple)):
        raise TypeError(
            f"`class_names` must be a list of names, got {value_and_type(names)}."
        )
    if len(names) != count:
        shown = ", ".join(map(str, names[:10]))
        raise ValueError(
            f"`class_names` needs one name per class, {count}, got {len(names)}: {shown}."
        )
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"`class_names` must be names, got {value_and_type(name)}.")
    return tuple(names)


def _options(values: Any) -> dict[str, Any]:
    """The options in the form in which JSON gives them back."""
    if not isinstance(values, Mapping):
        raise TypeError(f"`options` must be an object, got {value_and_type(values)}.")
    plain = {}
    for name, value in values.items():
        try:
            plain[_text("options", name)] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`{name}` must be a plain value, such as a number, a word or a list, so "
                f"that a checkpoint can hold it, got {value_and_type(value)}."
            ) from error
    return plain


def _whole(name: str, value: Any, at_least: int, most: int) -> int:
    whole_number(name, value, at_least=at_least)
    if value > most:
        raise ValueError(f"`{name}` must be at most {most}, got {value_and_type(value)}.")
    return int(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a word, got {value_and_type(value)}.")
    return value
