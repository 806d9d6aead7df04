"""What all temporal norms share: from moments to a scale and a shift per time-step (M5)."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...machine.processes import merge_moments, merging
from ...ops import from_elements, moments, to_elements
from ...ops.arguments import floats, number, whole_number
from ...ops.reference import accumulator


class TemporalNorm(nn.Module):
    """A rule that turns per-step moments into a per-step scale and shift.

    A subclass says how many rows its running statistics have (:attr:`rows`), how moments
    are pooled over time (:meth:`pool`), and what scale and shift follow (:meth:`rule`).

    Args:
        num_features: Channels ``C``.
        num_steps: ``T``, the length of every training sequence.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.
        process_group: Processes of ``torch.distributed`` whose batch statistics are merged,
            as in ``SyncBatchNorm`` (M12); all processes if omitted. A group of one keeps
            its statistics to itself. The attribute of this name may be set at any time.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a size is below 1, ``eps`` is not positive or ``momentum`` is
            outside ``[0, 1]``.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: int,
        num_steps: int,
        *,
        eps: float,
        momentum: float = 0.1,
        process_group: Any = None,
    ) -> None:
        super().__init__()
        whole_number("num_features", num_features)
        whole_number("num_steps", num_steps)
        if num_features < 1 or num_steps < 1:
            raise ValueError(
                f"A norm needs at least one channel and one time-step, got "
                f"num_features={num_features}, num_steps={num_steps}."
            )
        self.num_features, self.num_steps = num_features, num_steps
        self.eps, self.momentum, self.process_group = eps, momentum, process_group
        self.check_settings()
        self.register_buffer("running_mean", torch.zeros(self.rows, num_features))
        self.register_buffer("running_var", torch.ones(self.rows, num_features))

    @property
    def rows(self) -> int:
        """Rows of the running statistics: one per time-step, unless time is pooled."""
        return self.num_steps

    def pool(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, int]:
        """Moments pooled over time, and the number of time-steps in each of them.

        Args:
            mean: Mean per time-step and channel, ``[T', C]``.
            var: Biased variance, same shape.
        """
        return mean, var, 1

    def rule(self, mean: Tensor, var: Tensor, steps: slice) -> tuple[Tensor, Tensor]:
        """Scale and shift of the time-steps ``steps``, each ``[T', C]``.

        Args:
            mean: Mean, one row for each row of the statistics that these steps use.
            var: Biased variance, same shape.
            steps: Indices of the time-steps in the sequence.
        """
        raise TypeError(f"{type(self).__name__} gives no rule; use a subclass.")

    def forward(
        self, x: Float[Tensor, "T N C *S"], start: int | None = None
    ) -> Float[Tensor, "T N C *S"]:
        """Normalise a sequence, or the part of one that begins at step ``start``.

        Args:
            x: Currents, time first.
            start: Index of the first time-step of ``x`` in the sequence. If it is omitted,
                ``x`` is the whole sequence, and a training sequence that is too short is
                an error.

        Raises:
            TypeError: If ``x`` is no tensor or ``start`` no whole number.
            ValueError: If ``x`` holds no floating-point numbers, has the wrong channels or
                time-steps, or trains on one element per channel.
        """
        self.check_settings()
        self.check_currents(x, start)
        z, a, b = self.affine(to_elements(x), start)
        wide = accumulator(torch.promote_types(a.dtype, z.dtype))
        y = a[:, None].to(wide) * z.to(wide) + b[:, None].to(wide)
        return from_elements(y.to(x.dtype), x.shape)

    def affine(self, z: Tensor, start: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """The currents, and the scale and shift of their time-steps.

        Use the returned currents: their gradient also carries that of the statistics. In
        training, running statistics move. Settings and currents have been checked.

        Args:
            z: Currents ``[T', M, C]``.
            start: As in :meth:`forward`.

        Returns:
            ``(z, a, b)``, where ``a`` and ``b`` are ``[T', C]``.
        """
        steps = self._steps(z, start)
        if not self.training:
            mean, var = (x.to(accumulator(x.dtype)) for x in self._running(steps))
            return z, *self.rule(mean, var, steps)
        z, mean, var = self._moments(z)
        mean, var, count = merge_moments(mean, var, z.shape[1], self.process_group)
        mean, var, pooled = self.pool(mean, var)
        self._track(mean.detach(), var.detach(), count * pooled, steps)
        return z, *self.rule(mean, var, steps)

    def check_settings(self) -> None:
        """Refuse attributes that no norm can have; they may have been set after building.

        Raises:
            TypeError: If one is of another type.
            ValueError: If one is out of range.
        """
        number("eps", self.eps)
        number("momentum", self.momentum)
        if not 0 < self.eps < math.inf or not 0 <= self.momentum <= 1:
            raise ValueError(
                f"`eps` must be positive and `momentum` lie in [0, 1], got eps={self.eps}, "
                f"momentum={self.momentum}."
            )
        merging(self.process_group)  # refuses what is no group

    def check_currents(self, x: Any, start: Any = None) -> None:
        """Refuse a value that cannot be read as currents ``[T, N, C, *S]``.

        Raises:
            TypeError: If ``x`` is no tensor or ``start`` no whole number.
            ValueError: If the type, axes, channels or device of ``x`` do not fit.
        """
        name = type(self).__name__
        if start is not None:
            whole_number("start", start)
        floats(name, x, "(T, N, C, ...), time first", 3)
        if len(x) == 0:
            raise ValueError(
                f"{name} needs at least one time-step, the first axis, got shape "
                f"{tuple(x.shape)}."
            )
        home = getattr(self, "running_mean", x).device
        if x.device != home:
            raise ValueError(
                f"{name} has its statistics on {home}, but the input is on {x.device}. "
                f"Move one of them with .to()."
            )
        if x.shape[2] != self.num_features:
            raise ValueError(
                f"{name} was built for {self.num_features} channels, got {x.shape[2]}: the "
                f"input is read as (T, N, C, ...)."
            )

    def check_batch(self, elements: int) -> None:
        """Refuse a training batch with too few elements per channel and time-step.

        A network asks this of all its layers before the first one moves its statistics.

        Args:
            elements: Elements of this process: samples times pixels.

        Raises:
            ValueError: If there would be no variance.
        """
        pooled = self.num_steps // self.rows
        if self.training and elements * pooled * merging(self.process_group) < 2:
            _refuse_few(elements)

    def extra_repr(self) -> str:
        """What distinguishes this layer, for ``print``."""
        return f"{self.num_features}, num_steps={self.num_steps}, eps={self.eps:g}"

    def rows_of(self, steps: slice) -> slice:
        """The rows of the statistics that these time-steps use."""
        return steps if self.rows > 1 else slice(None)

    def _running(self, steps: slice) -> tuple[Tensor, Tensor]:
        rows = self.rows_of(steps)
        return self.running_mean[rows], self.running_var[rows]

    def _moments(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if z.shape[1] or merging(self.process_group) == 1:
            return moments(z)
        # the other processes wait for this one, which has no sample, in backward too
        nothing = z.sum(1, dtype=accumulator(z.dtype))
        return z, nothing, nothing.square()

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: int, steps: slice) -> None:
        """Move the running statistics; the variance in them is unbiased (M5)."""
        if count < 2:
            _refuse_few(count)
        running_mean, running_var = self._running(steps)
        running_mean.lerp_(mean.to(running_mean.dtype), self.momentum)
        unbiased = var * (count / (count - 1))
        running_var.lerp_(unbiased.to(running_var.dtype), self.momentum)

    def _steps(self, z: Tensor, start: int | None) -> slice:
        T = len(z)
        first = start or 0
        whole = T == self.num_steps and first == 0
        if first < 0 or first + T > self.num_steps or (self.training and not whole):
            self._refuse_steps(T, start)
        return slice(first, first + T)

    def _refuse_steps(self, T: int, start: int | None) -> None:
        first = start or 0
        if start is not None and 0 <= first and first + T <= self.num_steps:
            self._allow_chunk(slice(first, first + T))
            return
        if first < 0:
            raise ValueError(f"`start` must be at least 0, got {start}.")
        raise ValueError(
            f"{type(self).__name__} has statistics for {self.num_steps} time-steps, but "
            f"the input covers steps {first} to {first + T} (time is the first axis). "
            f"Training needs all {self.num_steps}, evaluation at most {self.num_steps}. "
            f"Encode to that length, build the layer with num_steps={first + T}, or, for "
            f"one part of a longer sequence, pass `start`."
        )

    def _allow_chunk(self, steps: slice) -> None:
        """Refuse a part of a training sequence if its statistics need the other parts.

        Those of single time-steps do not.
        """


def _refuse_few(elements: int) -> None:
    if elements == 0:
        raise ValueError(
            "Batch statistics need at least one element, but no sample came. Drop empty "
            "batches, or call .eval()."
        )
    raise ValueError(
        "Batch statistics of a single element have no variance: a batch of one image "
        "reached a layer without space. Train with batch_size of at least 2, or call "
        ".eval()."
    )


def pooled(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Moments ``[R, W, C]``, each of equally many elements, pooled over ``W`` (M8)."""
    over = mean.mean(1)
    return over, (var + (mean - over[:, None]).square()).mean(1)
