"""The learning rate of every training step (M16)."""

import math

from ..choices import one_of


def learning_rate(
    step: int,
    *,
    lr: float,
    epochs: int,
    steps_per_epoch: int,
    schedule: str = "step",
    warmup: float = 0.2,
) -> float:
    """The learning rate of one training step by one of three schedules (M16).

    Args:
        step: The training step, from 0 to ``epochs * steps_per_epoch - 1``.
        lr: The initial rate of ``"step"`` and ``"cosine"``, the peak of ``"one_cycle"``.
        epochs: How many there are in all.
        steps_per_epoch: Training steps in each of them.
        schedule: ``"step"``, ``"cosine"`` or ``"one_cycle"``.
        warmup: Share of all steps over which ``"one_cycle"`` rises, in (0, 1).

    Raises:
        ValueError: If ``schedule`` is none of these.

    Example:
        >>> learning_rate(0, lr=0.5, epochs=10, steps_per_epoch=4, schedule="cosine")
        0.5
    """
    one_of("schedule", schedule, ("step", "cosine", "one_cycle"))
    total = epochs * steps_per_epoch
    if schedule == "step":
        return step_decay(step // steps_per_epoch, lr=lr, epochs=epochs)
    if schedule == "cosine":
        return cosine(step, lr=lr, total=total)
    return one_cycle(step, lr=lr, total=total, warmup=warmup)


def step_decay(epoch: int, *, lr: float, epochs: int) -> float:
    """A tenth of the rate after 50, 70 and 90 % of the epochs each (M16).

    Args:
        epoch: The epoch, from 0.
        lr: The initial rate.
        epochs: How many there are in all.
    """
    # whole numbers: 90 * 0.7 is 62.99..., and a drop decided by it never comes
    drops = sum(10 * epoch >= tenths * epochs for tenths in (5, 7, 9))
    return lr * 0.1**drops


def cosine(step: int, *, lr: float, total: int) -> float:
    """Half a cosine from ``lr`` down to 0 over ``total`` steps (M16)."""
    return lr * _half_cosine(step / total)


def one_cycle(step: int, *, lr: float, total: int, warmup: float) -> float:
    """A straight line from ``lr / 25`` up to ``lr``, then half a cosine to 0 (M16).

    Args:
        step: The training step, from 0.
        lr: The peak.
        total: Steps in all.
        warmup: Share of them over which the rate rises, in (0, 1).
    """
    rise = warmup * total
    if step < rise:
        return lr * (0.04 + 0.96 * step / rise)
    return lr * _half_cosine((step - rise) / (total - rise))


def _half_cosine(progress: float) -> float:
    """1 at 0, 0 at 1."""
    return (1 + math.cos(math.pi * progress)) / 2
