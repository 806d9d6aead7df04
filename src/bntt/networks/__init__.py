"""Every network by its name, as recipes and checkpoints call it; and those of users."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..choices import one_of
from .network import Network
from .sequence import DELAYS, SequenceNet
from .vgg import PLANS, VGG

ARCHITECTURES: dict[str, type[Network]] = {
    **dict.fromkeys(PLANS, VGG),
    **dict.fromkeys(DELAYS, SequenceNet),
}

N = TypeVar("N", bound=type[Network])


def build(arch: str, *, options: dict[str, Any] | None = None, **config: Any) -> Network:
    """The network called ``arch``, such as ``"vgg9"`` or ``"seq"``.

    Args:
        arch: Its name.
        options: Further arguments, of a network of the user's own.
        config: As :func:`bntt.vgg9`.

    Raises:
        ValueError: If the name is unknown or a value is out of range.
    """
    return architecture(arch)(arch, **(options or {}), **config)


def architecture(arch: str) -> type[Network]:
    """The class of that name.

    Raises:
        ValueError: If there is none.
    """
    own = (
        f". If it is a network of your own, import its class first, and write "
        f"@bntt.register({arch!r}) above it"
    )
    one_of("architecture", arch, ARCHITECTURES, own)
    return ARCHITECTURES[arch]


def register(arch: str) -> Callable[[N], N]:
    """Give a network of your own a name, so that it can be built, saved and loaded by it.

    Its constructor takes ``arch``, arguments of its own by name, each of which it keeps as
    an attribute of that name, and hands the rest on. What it computes must follow from
    these, its parameters and its buffers. Files hold the name, never the class: register
    it before loading.

    Args:
        arch: The name.

    Raises:
        TypeError: If what follows is no subclass of :class:`bntt.Network`.
        ValueError: If another class has that name.

    Example:
        >>> from torch import nn
        >>> @register("shallow")
        ... class Shallow(Network):
        ...     def __init__(self, arch, *, width=16, **config):
        ...         super().__init__(arch, **config)
        ...         self.width = width
        ...         channels, height, height = self.image_shape
        ...         self.hidden = nn.Linear(channels * height**2, width, bias=False)
        ...         self.first = self.layer(width)
        ...         self.output = nn.Linear(width, self.num_classes, bias=False)
        ...         self.draw_weights()
        ...
        ...     def read(self, spikes, start=None):
        ...         current = self.hidden(spikes.flatten(2))
        ...         return self.output(self.first(current, start=start))
        >>> net = build("shallow", width=4, num_classes=2, num_steps=3, leak=0.9)
        >>> net.config["options"]
        {'width': 4}
    """

    def add(cls: N) -> N:
        if not isinstance(cls, type) or not issubclass(cls, Network):
            raise TypeError(
                f"A registered network must subclass bntt.Network, got {cls!r}."
            )
        known = ARCHITECTURES.get(arch, cls)
        # a class that is defined once more, as notebooks do, takes the place of the first
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(
                f"The name {arch!r} belongs to {known.__qualname__} of {known.__module__}. "
                f"Register {cls.__qualname__} under another."
            )
        ARCHITECTURES[arch] = cls
        return cls

    return add
