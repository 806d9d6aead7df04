"""The paper's early exit: when to stop is read off the learned gains, once and for all."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...layers.norms import BNTT

THRESHOLD = 0.1
"""The paper's: a layer whose mean gain lies below passes nothing on that would matter."""


@dataclass(frozen=True)
class GainExit:
    """How many time-steps a network's gains say are worth running."""

    threshold: float
    magnitude: bool
    """Whether means are of the gains' magnitudes rather than of the gains."""
    steps_kept: int
    num_steps: int
    layers: tuple[str, ...]
    gains: tuple[tuple[float, ...], ...]
    """One row per layer, one entry per time-step: the mean over channels."""


def mean_gains(net: nn.Module, *, magnitude: bool = False) -> dict[str, list[float]]:
    r"""The gain of every BNTT layer at every time-step, averaged over its channels (M23).

    .. math::
        \bar\gamma_l^t = \frac{1}{C} \sum_c \gamma_{l,c}^t

    Args:
        net: Any module with BNTT layers in it.
        magnitude: Average :math:`|\gamma|` instead: a gain may be negative, and negative
            ones still pass spikes on.

    Returns:
        One list of ``num_steps`` numbers per layer, by the layer's name, from the input on.

    Raises:
        ValueError: If there is no BNTT layer, or the layers know different numbers of
            time-steps.
    """
    norms = {name: m for name, m in net.named_modules() if isinstance(m, BNTT)}
    if not norms:
        raise ValueError(
            "The exit by gains needs a network with BNTT layers, whose gains differ from "
            "step to step; this one has none. Ask for an exit by confidence, entropy, gap "
            "or stable answers."
        )
    if len(steps := {norm.num_steps for norm in norms.values()}) > 1:
        raise ValueError(
            f"The exit by gains needs layers that all know the same number of time-steps, "
            f"got layers of {', '.join(map(str, sorted(steps)))}."
        )
    return {name: _mean_gain(norm, magnitude) for name, norm in norms.items()}


def exit_by_gains(
    net: nn.Module, threshold: float = THRESHOLD, *, magnitude: bool = False
) -> GainExit:
    """The time-steps that are worth running, by the paper's rule (M23).

    Kept are all steps up to the last one at which some layer's mean gain reaches the
    threshold, and at least one. The search is from the end, because the early steps of deep
    layers have small gains too.

    Args:
        net: Any module with BNTT layers in it.
        threshold: Positive.
        magnitude: As :func:`mean_gains`.

    Raises:
        ValueError: As :func:`mean_gains`, or if the threshold is not positive and finite.
    """
    if not 0 < threshold < float("inf"):
        raise ValueError(
            f"The threshold of gains must be positive and finite, such as the paper's "
            f"{THRESHOLD}, got {threshold}."
        )
    gains = mean_gains(net, magnitude=magnitude)
    table = torch.tensor(list(gains.values()), dtype=torch.float64)
    return GainExit(
        threshold=threshold,
        magnitude=magnitude,
        steps_kept=steps_kept(table, threshold),
        num_steps=table.shape[1],
        layers=tuple(gains),
        gains=tuple(map(tuple, gains.values())),
    )


def steps_kept(gains: Float[Tensor, "L T"], threshold: float) -> int:
    """1 + the last time-step, from 0, at which some layer's mean gain is large enough.

    At least 1; all of them if the last step still qualifies.
    """
    (reached,) = (gains >= threshold).any(0).nonzero(as_tuple=True)
    return int(reached[-1]) + 1 if len(reached) else 1


def thresholds_of_gains(gains: Float[Tensor, "L T"]) -> list[tuple[float, int]]:
    """The thresholds at which gains keep fewer time-steps, and how many they keep.

    Each stands in the middle of the range of those that keep as many, so that it can be
    written down in a few digits. They follow from the gains alone, before any image is
    seen, and the surest comes first: 0, which keeps all.
    """
    largest = gains.double().amax(0).tolist()
    found, later = [(0.0, len(largest))], 0.0
    for steps in range(len(largest), 0, -1):
        gain = largest[steps - 1]
        if gain > later:
            if steps < len(largest):
                found.append(((gain + later) / 2, steps))
            later = gain
    return found


def _mean_gain(norm: BNTT, magnitude: bool) -> list[float]:
    gain = norm.weight.detach().double()
    rows = (gain.abs() if magnitude else gain).mean(1)
    return rows.repeat_interleave(norm.window).tolist()
