"""Every network by its name, as recipes and checkpoints call it."""

from typing import Any

from .network import Network
from .sequence import DELAYS, SequenceNet
from .vgg import PLANS, VGG

ARCHITECTURES: dict[str, type[Network]] = {
    **dict.fromkeys(PLANS, VGG),
    **dict.fromkeys(DELAYS, SequenceNet),
}


def build(arch: str, **config: Any) -> Network:
    """The network called ``arch``, such as ``"vgg9"`` or ``"seq"``.

    Args:
        arch: Its name.
        config: As :func:`bntt.vgg9`.

    Raises:
        ValueError: If the name is unknown or a value is out of range.
    """
    if arch not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"Unknown architecture {arch!r}. Known: {known}.")
    return ARCHITECTURES[arch](arch, **config)
