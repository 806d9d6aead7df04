"""Temporal norms: rules from per-step moments to a per-step scale and shift (M5, M8).

The heavy work on ``[T, N, C, *S]`` is the same for all of them and lives in ``ops``. A norm
says over which time-steps the moments are pooled, and turns ``[T, C]`` numbers into
``a, b`` so that the neuron's input is ``a·z + b``.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .ops import moments
from .processes import merge_moments


class TemporalNorm(nn.Module):
    """A rule that turns per-step moments into a per-step scale and shift.

    Subclasses say which statistics they keep (``rows``), how moments are pooled over time
    (``pool``) and what scale and shift follow (``rule``).

    Args:
        num_features: Channels ``C``.
        num_steps: ``T``, the length of every training sequence.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.

    Raises:
        ValueError: If a size is below 1, ``eps`` is not positive or ``momentum`` is
            outside ``[0, 1]``.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, num_features: int, num_steps: int, *, eps: float, momentum: float = 0.1
    ) -> None:
        super().__init__()
        if num_features < 1 or num_steps < 1:
            raise ValueError(
                f"A norm needs at least one channel and one time-step, got "
                f"num_features={num_features}, num_steps={num_steps}."
            )
        if not eps > 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"`eps` must be positive and `momentum` lie in [0, 1], got eps={eps}, "
                f"momentum={momentum}."
            )
        self.num_features, self.num_steps = num_features, num_steps
        self.eps, self.momentum = eps, momentum
        self.register_buffer("running_mean", torch.zeros(self.rows, num_features))
        self.register_buffer("running_var", torch.ones(self.rows, num_features))

    @property
    def rows(self) -> int:
        """Rows of the running statistics: one per time-step unless pooled."""
        return self.num_steps

    def pool(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, int]:
        """Moments pooled over time, and over how many time-steps."""
        return mean, var, 1

    def rule(self, mean: Tensor, var: Tensor, steps: slice) -> tuple[Tensor, Tensor]:
        """Scale and shift, each ``[T', C]``, of the time-steps ``steps``."""
        raise TypeError(f"{type(self).__name__} gives no rule; use a subclass.")

    def forward(
        self, x: Float[Tensor, "T N C *S"], start: int | None = None
    ) -> Float[Tensor, "T N C *S"]:
        """Normalise a sequence, or the part of one that begins at step ``start``.

        Args:
            x: Currents, time first.
            start: First time-step of ``x`` in the sequence. Omitted, ``x`` is the whole
                sequence, so that one too short to train on is an error.

        Raises:
            ValueError: If ``x`` has the wrong channels or time-steps.
        """
        z, a, b = self.affine(to_elements(x), start)
        y = a[:, None] * z.to(a.dtype) + b[:, None]
        return from_elements(y.to(x.dtype), x.shape)

    def affine(self, z: Tensor, start: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """``z`` (read this one), scale and shift for ``[T', M, C]`` currents."""
        steps = self._steps(z, start)
        if not self.training:
            return z, *self.rule(*self._running(steps), steps)
        z, mean, var = moments(z)
        mean, var, count = merge_moments(mean, var, z.shape[1])
        mean, var, pooled = self.pool(mean, var)
        self._track(mean.detach(), var.detach(), count * pooled, steps)
        return z, *self.rule(mean, var, steps)

    def extra_repr(self) -> str:
        """What distinguishes this layer, for ``print``."""
        return f"{self.num_features}, num_steps={self.num_steps}, eps={self.eps:g}"

    def _running(self, steps: slice) -> tuple[Tensor, Tensor]:
        rows = steps if self.rows > 1 else slice(None)
        return self.running_mean[rows], self.running_var[rows]

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: int, steps: slice) -> None:
        """Move the running statistics; their variance is unbiased (M5)."""
        if count < 2:
            raise ValueError(
                "Batch statistics of a single element have no variance: a batch of one "
                "image reached a layer without space. Train with batch_size of at least 2."
            )
        running_mean, running_var = self._running(steps)
        running_mean.lerp_(mean.to(running_mean.dtype), self.momentum)
        unbiased = var * (count / (count - 1))
        running_var.lerp_(unbiased.to(running_var.dtype), self.momentum)

    def _steps(self, z: Tensor, start: int | None) -> slice:
        T, _, C = z.shape
        if C != self.num_features:
            raise ValueError(
                f"{type(self).__name__} was built for {self.num_features} channels, got "
                f"{C}: the input is read as (T, N, C, ...)."
            )
        first = start or 0
        whole = T == self.num_steps and first == 0
        if first < 0 or first + T > self.num_steps or (self.training and not whole):
            self._refuse_steps(T, start)
        return slice(first, first + T)

    def _refuse_steps(self, T: int, start: int | None) -> None:
        first = start or 0
        if start is not None and 0 <= first and first + T <= self.num_steps:
            self._allow_chunk()
            return
        raise ValueError(
            f"{type(self).__name__} has statistics for {self.num_steps} time-steps, but "
            f"the input covers steps {first} to {first + T} (time is the first axis). "
            f"Training needs all {self.num_steps}, evaluation at most {self.num_steps}. "
            f"Encode to that length, build the layer with num_steps={first + T}, or, for "
            f"one part of a longer sequence, pass `start`."
        )

    def _allow_chunk(self) -> None:
        """Statistics of one time-step need no other: a sequence may come in parts."""


class BNTT(TemporalNorm):
    r"""Batch Normalization Through Time (Kim & Panda 2021; M5).

    .. math::
        y^t_c = \gamma^t_c \, \frac{x^t_c - \mu^t_c}{\sqrt{(\sigma^t_c)^2 + \varepsilon}}

    Mean and variance are taken over batch and space, separately for every channel *and
    every time-step*; :math:`\gamma` is learned per channel and time-step. There is no
    shift. In evaluation the running statistics serve, and a sequence may be shorter.

    Args:
        num_features: Channels ``C``.
        num_steps: ``T``, the length of every training sequence.
        eps: Added to the variance. 1e-4, as in the authors' code, not PyTorch's 1e-5.
        momentum: Weight of the newest batch in the running statistics.

    Shape:
        ``(T, N, C, *S) -> (T, N, C, *S)``; in evaluation also ``T' < T`` time-steps.

    Attributes:
        weight: :math:`\gamma`, shape ``(num_steps, num_features)``, initially 1.
        running_mean, running_var: :math:`\mu` and unbiased :math:`\sigma^2`, same shape.

    Raises:
        ValueError: From the constructor as :class:`TemporalNorm`; from ``forward``, if the
            input has the wrong channels or time-steps, or one element per channel.

    Example:
        >>> norm = BNTT(num_features=2, num_steps=3)
        >>> norm(torch.randn(3, 4, 2, 8, 8)).shape
        torch.Size([3, 4, 2, 8, 8])
    """

    def __init__(
        self,
        num_features: int,
        num_steps: int,
        *,
        eps: float = 1e-4,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_features, num_steps, eps=eps, momentum=momentum)
        self.weight = nn.Parameter(torch.ones(num_steps, num_features))

    def rule(self, mean: Tensor, var: Tensor, steps: slice) -> tuple[Tensor, Tensor]:
        """``a = γ / sqrt(σ² + ε)``, ``b = −μ·a``."""
        a = self.weight[steps] * torch.rsqrt(var + self.eps)
        return a, -mean * a


class SharedBN(TemporalNorm):
    r"""Ordinary batch norm with statistics and gain shared by all time-steps (M8).

    .. math::
        y^t_c = \gamma_c \, \frac{x^t_c - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_c

    with mean and variance over time, batch and space. Arguments and errors as
    :class:`BNTT`; a training sequence cannot come in parts, since all of time is pooled.
    """

    def __init__(
        self,
        num_features: int,
        num_steps: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(num_features, num_steps, eps=eps, momentum=momentum)
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    @property
    def rows(self) -> int:
        """One: time is pooled."""
        return 1

    def pool(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, int]:
        """Moments over all time-steps."""
        pooled = mean.mean(0, keepdim=True)
        spread = var + (mean - pooled).square()
        return pooled, spread.mean(0, keepdim=True), self.num_steps

    def rule(self, mean: Tensor, var: Tensor, steps: slice) -> tuple[Tensor, Tensor]:
        """The same ``a`` and ``b`` at every time-step."""
        a = self.weight * torch.rsqrt(var + self.eps)
        shape = (steps.stop - steps.start, self.num_features)
        return a.expand(shape), (self.bias - mean * a).expand(shape)

    def _allow_chunk(self) -> None:
        if self.training:
            raise ValueError(
                "SharedBN pools its statistics over all time-steps, so a training sequence "
                "cannot come in parts. Pass it whole, or use BNTT."
            )


class NoNorm(TemporalNorm):
    """No normalisation: ``a = 1``, ``b = 0``, any number of time-steps, no parameters.

    Args:
        num_features: Channels ``C``.
        num_steps: Taken for uniformity; not a limit.
    """

    def __init__(self, num_features: int, num_steps: int) -> None:
        super().__init__(num_features, num_steps, eps=1.0)
        del self.running_mean, self.running_var

    def affine(self, z: Tensor, start: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """``z``, ones and zeros."""
        wide = torch.float64 if z.dtype == torch.float64 else torch.float32
        ones = z.new_ones((z.shape[0], z.shape[2]), dtype=wide)
        return z, ones, torch.zeros_like(ones)


NORMS: dict[str, Callable[[int, int], TemporalNorm]] = {
    "bntt": BNTT,
    "shared": SharedBN,
    "none": NoNorm,
}


def make(name: str, num_features: int, num_steps: int) -> TemporalNorm:
    """The norm called ``name`` in recipes: ``"bntt"``, ``"shared"`` or ``"none"``.

    Raises:
        ValueError: If there is no such norm.
    """
    if name not in NORMS:
        raise ValueError(f"Unknown norm {name!r}. Known: {', '.join(NORMS)}.")
    return NORMS[name](num_features, num_steps)


def to_elements(x: Float[Tensor, "T N C *S"]) -> Float[Tensor, "T M C"]:
    """``[T, M, C]``: a view where the channel is fastest in memory (channels_last)."""
    return x.movedim(2, -1).flatten(1, -2)


def from_elements(
    y: Float[Tensor, "T M C"], shape: torch.Size
) -> Float[Tensor, "T N C *S"]:
    """Undo :func:`to_elements`, as a view."""
    T, N, C, *space = shape
    return y.reshape(T, N, *space, C).movedim(-1, 2)
