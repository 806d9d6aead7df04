"""Surrogate gradients: a step in the forward pass, a slope in the backward pass (M4).

The kernels know the formulas of this file. A surrogate of one's own, a subclass of these
included, runs on the reference path, where its :meth:`Surrogate.derivative` is called.
"""

import math
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..choices import one_of
from .arguments import number
from .function import Function


@dataclass(frozen=True)
class Surrogate:
    r"""A slope that stands in for the derivative of the firing step.

    With :math:`x = u / v_{th} - 1`, backward uses
    :math:`\partial s / \partial u = \sigma'(x) / v_{th}`. Subclasses give
    :math:`\sigma'`; one of your own needs nothing but :meth:`derivative`. A surrogate of
    this file travels through a registered operator as its ``kind`` and ``parameters``, and
    the kernels compute its formula from two ``constants``.

    Example:
        >>> @dataclass(frozen=True)
        ... class Gaussian(Surrogate):
        ...     width: float = 0.5
        ...
        ...     def derivative(self, x):
        ...         return torch.exp(-((x / self.width) ** 2))
        >>> u = torch.tensor([1.0], requires_grad=True)
        >>> Gaussian().fire(u, v_threshold=1.0).backward()
        >>> u.grad
        tensor([1.])
    """

    kind: ClassVar[int]

    @property
    def parameters(self) -> tuple[float, float]:
        """The values of the fields, filled up with zeros to two numbers."""
        p, q, *_ = (*astuple(self), 0.0, 0.0)
        return p, q

    @property
    def constants(self) -> tuple[float, float]:
        """The two numbers in the kernels' formula, such as height and steepness."""
        raise TypeError(f"{type(self).__name__} is not a surrogate; use a subclass.")

    def derivative(self, x: Tensor) -> Tensor:
        """The slope at ``x = u / v_threshold - 1``, elementwise."""
        raise TypeError(f"{type(self).__name__} is not a surrogate; use a subclass.")

    def fire(self, u: Tensor, v_threshold: float | Tensor) -> Tensor:
        """1 where ``u > v_threshold`` (strictly), else 0; backward uses the slope.

        The slope depends on ``x = u / v_threshold - 1``, so that a threshold which is a
        tensor of shape ``()`` learns.
        """
        return _Fire.apply(u, v_threshold, self)  # pyright: ignore[reportReturnType]

    def to_config(self) -> dict[str, Any]:
        """Plain values from which :func:`from_config` builds an equal surrogate."""
        return {"name": type(self).__name__, **asdict(self)}


class _Fire(Function):
    @staticmethod
    def forward(u, v_threshold, surrogate):
        return (u > v_threshold).to(u.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        u, v_threshold, ctx.surrogate = inputs
        learned = isinstance(v_threshold, Tensor)
        ctx.save_for_backward(u, v_threshold if learned else None)
        ctx.v_threshold = None if learned else v_threshold

    @staticmethod
    def backward(ctx, grad):
        u, learned = ctx.saved_tensors
        v_threshold = ctx.v_threshold if learned is None else learned
        slope = ctx.surrogate.derivative(u / v_threshold - 1) / v_threshold
        du = grad * slope
        dv_threshold = None if learned is None else -(du * (u / learned)).sum().to(learned)
        return du, dv_threshold, None


@dataclass(frozen=True)
class Triangle(Surrogate):
    r"""``height · max(0, 1 − |x| / width)``.

    Height 0.3 and width 1 are those of Kim & Panda (2021), after Bellec et al. (2018).

    Raises:
        ValueError: If ``height`` or ``width`` is not positive.
    """

    height: float = 0.3
    width: float = 1.0
    kind: ClassVar[int] = 0

    def __post_init__(self) -> None:
        _positive(self, "height", "width")

    @property
    def constants(self) -> tuple[float, float]:
        """``height`` and ``1 / width``."""
        return self.height, 1 / self.width

    def derivative(self, x: Tensor) -> Tensor:
        """``height · max(0, 1 − |x| / width)``."""
        height, steepness = self.constants
        return height * (1 - x.abs() * steepness).clamp(min=0)


@dataclass(frozen=True)
class Rectangle(Surrogate):
    r"""``1 / width`` where ``|x| < width / 2``, else 0 (Wu et al. 2018).

    Raises:
        ValueError: If ``width`` is not positive.
    """

    width: float = 1.0
    kind: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _positive(self, "width")

    @property
    def constants(self) -> tuple[float, float]:
        """``1 / width`` and ``width / 2``."""
        return 1 / self.width, self.width / 2

    def derivative(self, x: Tensor) -> Tensor:
        """``1 / width`` where ``|x| < width / 2``."""
        height, half = self.constants
        return height * (x.abs() < half).to(x.dtype)


@dataclass(frozen=True)
class ATan(Surrogate):
    r"""``(alpha / 2) / (1 + (π alpha x / 2)²)`` (Fang et al. 2021).

    Raises:
        ValueError: If ``alpha`` is not positive.
    """

    alpha: float = 2.0
    kind: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _positive(self, "alpha")

    @property
    def constants(self) -> tuple[float, float]:
        """``alpha / 2`` and ``π alpha / 2``."""
        return self.alpha / 2, math.pi * self.alpha / 2

    def derivative(self, x: Tensor) -> Tensor:
        """``(alpha / 2) / (1 + (π alpha x / 2)²)``."""
        height, steepness = self.constants
        return height / (1 + (steepness * x).square())


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    r"""``1 / (1 + slope · |x|)²`` (Zenke & Ganguli 2018).

    Raises:
        ValueError: If ``slope`` is not positive.
    """

    slope: float = 25.0
    kind: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _positive(self, "slope")

    @property
    def constants(self) -> tuple[float, float]:
        """1 and ``slope``."""
        return 1.0, self.slope

    def derivative(self, x: Tensor) -> Tensor:
        """``1 / (1 + slope · |x|)²``."""
        height, steepness = self.constants
        return height / (1 + steepness * x.abs()).square()


KINDS: dict[str, type[Surrogate]] = {
    kind.__name__: kind for kind in (Triangle, Rectangle, ATan, FastSigmoid)
}


def is_built_in(surrogate: Surrogate) -> bool:
    """Whether the kernels know its formula: it is of a class above, not of a subclass."""
    return type(surrogate) in KINDS.values()


def check_surrogate(value: Any) -> None:
    """Refuse a value that is no surrogate.

    Raises:
        TypeError: Saying what came.
    """
    if not isinstance(value, Surrogate):
        raise TypeError(
            f"`surrogate` must be one such as Triangle(), or an instance of a class of "
            f"your own derived from bntt.Surrogate, got {value!r}."
        )


def from_parameters(kind: int, p: float, q: float) -> Surrogate:
    """The surrogate with this ``kind`` and these ``parameters``."""
    cls = list(KINDS.values())[kind]
    return cls(*(p, q)[: len(fields(cls))])


def from_config(config: dict[str, Any]) -> Surrogate:
    """The surrogate that :meth:`Surrogate.to_config` described.

    Raises:
        ValueError: If the name is not that of a known surrogate.
    """
    values = dict(config)
    name = values.pop("name", None)
    one_of("surrogate", name, KINDS)
    return KINDS[name](**values)


def _positive(surrogate: Surrogate, *names: str) -> None:
    kind = type(surrogate).__name__
    for name in names:
        value = getattr(surrogate, name)
        number(name, value)
        if not 0 < value < math.inf:
            raise ValueError(
                f"{kind} needs a positive `{name}`, got {value}, which must be finite too: "
                f"otherwise no gradient passes a spike. Leave it out for the default."
            )
    limits = torch.finfo(torch.float32)
    if not all(limits.tiny <= value <= limits.max for value in surrogate.constants):
        raise ValueError(
            f"{surrogate} has a slope beyond what float32 holds, {limits.tiny:g} to "
            f"{limits.max:g}: it would be 0, infinite or NaN. Take values nearer to 1."
        )
