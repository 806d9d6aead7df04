"""The norms that BNTT is compared with (M8)."""

from typing import Any

import torch
from torch import Tensor, nn

from ...ops.reference import accumulator
from .temporal import TemporalNorm, pooled


class SharedBN(TemporalNorm):
    r"""Ordinary batch norm with statistics and gain shared by all time-steps (M8).

    .. math::
        y^t_c = \gamma_c \, \frac{x^t_c - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_c

    with mean and variance over time, batch and space. Arguments and errors are those of
    :class:`BNTT`, but ``eps`` is PyTorch's 1e-5. A training sequence cannot come in parts,
    because its statistics are pooled over all of it.
    """

    def __init__(
        self,
        num_features: int,
        num_steps: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        process_group: Any = None,
    ) -> None:
        super().__init__(
            *(num_features, num_steps),
            eps=eps,
            momentum=momentum,
            process_group=process_group,
        )
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    @property
    def rows(self) -> int:
        """One row, because time is pooled."""
        return 1

    def pool(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, int]:
        """Moments over all time-steps."""
        return *pooled(mean[None], var[None]), self.num_steps

    def rule(self, mean: Tensor, var: Tensor, steps: slice) -> tuple[Tensor, Tensor]:
        """The same ``a`` and ``b`` at every time-step."""
        a = self.weight * torch.rsqrt(var + self.eps)
        shape = (steps.stop - steps.start, self.num_features)
        return a.expand(shape), (self.bias - mean * a).expand(shape)

    def _allow_chunk(self, steps: slice) -> None:
        if self.training:
            raise ValueError(
                "SharedBN pools its statistics over all time-steps, so a training sequence "
                "cannot come in parts. Pass it whole, or use BNTT."
            )


class NoNorm(TemporalNorm):
    """No normalisation: ``a = 1`` and ``b = 0`` at any number of time-steps.

    It has no parameters and no statistics.

    Args:
        num_features: Channels ``C``.
        num_steps: As other norms have it; not a limit.
    """

    def __init__(self, num_features: int, num_steps: int) -> None:
        super().__init__(num_features, num_steps, eps=1.0)
        del self.running_mean, self.running_var

    def check_batch(self, elements: int) -> None:
        """Accept any batch, since nothing is averaged."""

    def affine(self, z: Tensor, start: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """``z``, ones and zeros."""
        ones = z.new_ones((z.shape[0], z.shape[2]), dtype=accumulator(z.dtype))
        return z, ones, torch.zeros_like(ones)
