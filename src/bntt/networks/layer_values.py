"""What a network's layers say of themselves, as the values that built them."""

import inspect
from dataclasses import fields
from typing import Any

from ..layers.neuron import LIF, NormLIF
from ..layers.norms import NORMS
from .config import NetworkConfig


def value_of(name: str, where: str, layer: NormLIF) -> Any:
    """One of :data:`bntt.networks.config.LAYER_KEYS`, read from a layer.

    Args:
        name: The key.
        where: The layer's place in its network, for the message.
        layer: The norm and its neurons.

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
    """A value that a network has from its layers, one for all or a tuple of one for each.

    Setting it sets it in every layer, so that it is never said without being so.
    """

    def read(net):
        return net._of_layers(name)

    def write(net, value):
        net._set_layers(name, value)

    return property(read, write if settable else None, doc=meaning)


def own_arguments(cls: type) -> list[str]:
    """What the constructor of a user's network takes beyond :class:`NetworkConfig`."""
    known = {"self", "arch", *(entry.name for entry in fields(NetworkConfig))}
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        name
        for base in cls.__mro__
        if "__init__" in vars(base) and base.__module__.partition(".")[0] != "torch"
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
        if parameter.kind in named and name not in known
    ]
