"""The values that would build a network's layers as they are now, read from the layers."""

import inspect
from dataclasses import fields
from typing import Any

from ..layers.neuron import LIF, NormLIF
from ..layers.norms import NORMS
from .config import NetworkConfig


def value_of(name: str, where: str, layer: NormLIF) -> Any:
    """The value of one of :data:`bntt.networks.config.LAYER_KEYS`, read from a layer.

    Args:
        name: The key.
        where: The layer's name in its network, for the message.
        layer: The layer.

    Raises:
        ValueError: If its norm or its neurons are of a class of the user's own.
    """
    kinds = {kind: name for name, kind in NORMS.items()}
    kind = kinds.get(type(layer.norm))
    if type(layer.lif) is not LIF or kind is None:
        odd, part = (layer.norm, "norm") if kind is None else (layer.lif, "lif")
        raise ValueError(
            f"{where}.{part} is a {type(odd).__name__}, which no description has words "
            f"for. Save net.state_dict() instead, or write a network of your own with it "
            f"and register that (bntt.register)."
        )
    match name:
        case "norm":
            return kind
        case "window":
            return getattr(layer.norm, "window", 1)
        case "eps" | "momentum":
            return None if kind == "none" else getattr(layer.norm, name)
        case _:
            return getattr(layer.lif, name)


def of_layers(name: str, meaning: str, *, settable: bool = True) -> property:
    """A property of a network that is read from its layers, and set in all of them.

    Its value is that of all layers, or a tuple with one for each. The network keeps no copy
    that could disagree with the layers.

    Args:
        name: One of :data:`bntt.networks.config.LAYER_KEYS`.
        meaning: Its docstring.
        settable: Whether it can be set after building.
    """

    def read(net):
        return net._of_layers(name)

    def write(net, value):
        net._set_layers(name, value)

    return property(read, write if settable else None, doc=meaning)


def own_arguments(cls: type) -> list[str]:
    """The arguments of a user's network that :class:`NetworkConfig` does not have."""
    known = {"self", "arch", *(entry.name for entry in fields(NetworkConfig))}
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        name
        for base in cls.__mro__
        if "__init__" in vars(base) and base.__module__.partition(".")[0] != "torch"
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
        if parameter.kind in named and name not in known
    ]
