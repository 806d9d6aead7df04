"""Batch Normalization Through Time: every time-step, or window of them, on its own (M5)."""

from typing import Any

import torch
from torch import Tensor, nn

from ...ops.arguments import whole_number
from .temporal import TemporalNorm, pooled


class BNTT(TemporalNorm):
    r"""Batch Normalization Through Time (Kim & Panda 2021; M5).

    .. math::
        y^t_c = \gamma^t_c \, \frac{x^t_c - \mu^t_c}{\sqrt{(\sigma^t_c)^2 + \varepsilon}}

    Mean and variance are taken over batch and space, separately for every channel *and
    every time-step*; :math:`\gamma` is learned per channel and time-step. There is no
    shift. In evaluation the running statistics are used, and a sequence may be shorter.

    Args:
        num_features: Channels ``C``.
        num_steps: ``T``, the length of every training sequence.
        window: Time-steps in a row that share statistics and gain, for long sequences; it
            must divide ``num_steps``. 1 is the paper's norm (M19).
        eps: Added to the variance. 1e-4, as in the authors' code, not PyTorch's 1e-5.
        momentum: Weight of the newest batch in the running statistics.
        process_group: Processes that merge their statistics, as in :class:`TemporalNorm`.

    Shape:
        ``(T, N, C, *S) -> (T, N, C, *S)``; in evaluation also ``T' < T`` time-steps.

    Attributes:
        weight: :math:`\gamma`, shape ``(num_steps / window, num_features)``, initially 1.
        running_mean, running_var: :math:`\mu` and unbiased :math:`\sigma^2`, same shape.

    Raises:
        ValueError: From the constructor, if a value is out of range or ``window`` does not
            divide ``num_steps``; from ``forward``, if the input has the wrong channels or
            time-steps, or trains on one element per channel.

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
        window: int = 1,
        eps: float = 1e-4,
        momentum: float = 0.1,
        process_group: Any = None,
    ) -> None:
        whole_number("window", window)
        whole_number("num_steps", num_steps)
        if window < 1 or num_steps % window:
            raise ValueError(
                f"`window` must be at least 1 and divide num_steps, so that all windows "
                f"are whole, got window={window} for num_steps={num_steps}."
            )
        self.window = window
        super().__init__(
            *(num_features, num_steps),
            eps=eps,
            momentum=momentum,
            process_group=process_group,
        )
        self.weight = nn.Parameter(torch.ones(self.rows, num_features))

    @property
    def rows(self) -> int:
        """One row per window."""
        return self.num_steps // self.window

    def rows_of(self, steps: slice) -> slice:
        """The rows of the windows that these time-steps lie in."""
        return slice(steps.start // self.window, -(-steps.stop // self.window))

    def pool(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, int]:
        """Moments over the time-steps of each window."""
        if self.window == 1:
            return mean, var, 1
        shape = (-1, self.window, self.num_features)
        return *pooled(mean.reshape(shape), var.reshape(shape)), self.window

    def rule(self, mean: Tensor, var: Tensor, steps: slice) -> tuple[Tensor, Tensor]:
        """``a = γ / sqrt(σ² + ε)``, ``b = −μ·a``."""
        rows = self.rows_of(steps)
        a = self.weight[rows] * torch.rsqrt(var + self.eps)
        b = -mean * a
        if self.window == 1:
            return a, b
        first = steps.start - rows.start * self.window
        here = slice(first, first + steps.stop - steps.start)
        return tuple(x.repeat_interleave(self.window, 0)[here] for x in (a, b))  # pyright: ignore[reportReturnType]

    def _allow_chunk(self, steps: slice) -> None:
        if self.training and (steps.start % self.window or steps.stop % self.window):
            raise ValueError(
                f"BNTT with window={self.window} trains on whole windows, but this part "
                f"covers steps {steps.start} to {steps.stop}. Cut where a window ends."
            )
