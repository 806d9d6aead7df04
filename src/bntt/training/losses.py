"""What training minimises: cross-entropies of the read-outs over time (M13)."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ..choices import one_of
from ..layers.neuron import single_steps


def loss(
    means: Float[Tensor, "T N K"],
    labels: Int64[Tensor, " N"] | Float[Tensor, "N K"],
    *,
    kind: str = "last",
    label_smoothing: float = 0.0,
    step_growth: float = 1.0,
) -> Float[Tensor, ""]:
    r"""Cross-entropy of the read-outs, averaged over samples and over what ``kind`` names.

    With :math:`A^t` the sum of the read-outs up to time-step ``t`` (M13 in
    ``docs/method.md``):

    .. math::
        \text{last: } \operatorname{CE}(A^T / T, y), \qquad
        \text{every\_mean: } \frac1T \sum_t \operatorname{CE}(A^t / t, y), \qquad
        \text{every\_step: } \frac1T \sum_t \operatorname{CE}(A^t - A^{t-1}, y)

    With a ``step_growth`` ``g`` other than 1, step ``t`` has the weight
    :math:`g^t / \sum_\tau g^\tau` in the place of ``1/T``.

    Args:
        means: Running means :math:`A^t / t` of the read-outs of ``T`` time-steps, as a
            network returns them (``net(x, per_step=True)``).
        labels: The class of each sample, or the probability of each of its ``K`` classes.
        kind: ``"last"``, ``"every_mean"`` or ``"every_step"`` (Deng et al. 2022, TET).
        label_smoothing: Share of the label that is spread over all classes, in [0, 1).
        step_growth: Weight of a time-step's loss against that of the step before, positive:
            below 1 early answers count more, above 1 late ones. ``"last"`` has one loss.

    Raises:
        ValueError: If ``kind`` is none of these, or ``step_growth`` is not positive, or not
            1 for ``"last"``.

    Example:
        >>> import torch
        >>> means = torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]])
        >>> round(loss(means, torch.tensor([1]), kind="every_step").item(), 4)
        0.6931
    """
    one_of("loss", kind, ("last", "every_mean", "every_step"))
    _check_growth(kind, step_growth)
    if kind == "last":
        logits = means[-1:]
    else:
        logits = means if kind == "every_mean" else single_steps(means)
    steps = len(logits)
    every = labels.repeat(steps, *(1,) * (labels.ndim - 1))
    flat, smoothing = logits.flatten(0, 1), label_smoothing
    if step_growth == 1:
        return F.cross_entropy(flat, every, label_smoothing=smoothing)
    each = F.cross_entropy(flat, every, label_smoothing=smoothing, reduction="none")
    return each.unflatten(0, (steps, -1)).mean(1) @ _step_weights(each, steps, step_growth)


def _step_weights(like: Tensor, steps: int, growth: float) -> Tensor:
    """Weights of the time-steps, each ``growth`` times that of the one before; sum 1."""
    powers = torch.arange(steps, device=like.device, dtype=like.dtype) * math.log(growth)
    return powers.softmax(0)


def _check_growth(kind: str, growth: float) -> None:
    if not 0 < growth < math.inf:
        raise ValueError(
            f"`step_growth` must be positive and finite, such as 0.9 for early answers or "
            f"1.1 for late ones, got {growth}."
        )
    if kind == "last" and growth != 1:
        raise ValueError(
            f"`step_growth` weighs the losses of all time-steps, but kind='last' has one, "
            f"got {growth}. Use 'every_step' or 'every_mean', or step_growth=1."
        )
