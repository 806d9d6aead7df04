"""Networks by the names that recipes and checkpoints give them; users may add their own."""

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
    """A new network by its name, its weights drawn at random.

    Args:
        arch: Its name, such as ``"vgg9"`` or ``"seq"``.
        options: Further arguments of a network of the user's own, by their names.
        config: Values of :class:`bntt.networks.config.NetworkConfig`; ``num_classes``,
            ``num_steps`` and ``leak`` are required.

    Raises:
        TypeError: If a value is of another type.
        ValueError: If the name is unknown or a value is out of range.
    """
    return architecture(arch)(arch, **(options or {}), **config)


def architecture(arch: str) -> type[Network]:
    """The class of the network that is called ``arch``.

    Raises:
        ValueError: If no network has that name.
    """
    own = (
        f". If it is a network of your own, import its class first, and write "
        f"@bntt.register({arch!r}) above it"
    )
    one_of("architecture", arch, ARCHITECTURES, own)
    return ARCHITECTURES[arch]


def register(arch: str) -> Callable[[N], N]:
    """Give a network of your own a name, so that it can be built, saved and loaded by it.

    Its constructor takes ``arch`` and arguments of its own by name, keeps each of these as
    an attribute of the same name, and passes all others on. What the network computes must
    follow from these arguments, its parameters and its buffers. Checkpoints hold the name
    and never the class, so register the class before loading one.

    Args:
        arch: The name.

    Returns:
        A decorator that returns the class unchanged.

    Raises:
        TypeError: If what is decorated is no subclass of :class:`bntt.Network`.
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
