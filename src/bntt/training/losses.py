"""What training minimises: cross-entropies of the read-outs over time (M13)."""

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
) -> Float[Tensor, ""]:
    r"""Cross-entropy of the read-outs, averaged over samples and over what ``kind`` names.

    With :math:`A^t` the sum of the read-outs up to time-step ``t`` (M13 in
    ``docs/method.md``):

    .. math::
        \text{last: } \operatorname{CE}(A^T / T, y), \qquad
        \text{every\_mean: } \frac1T \sum_t \operatorname{CE}(A^t / t, y), \qquad
        \text{every\_step: } \frac1T \sum_t \operatorname{CE}(A^t - A^{t-1}, y)

    Args:
        means: Running means :math:`A^t / t` of the read-outs of ``T`` time-steps, as a
            network returns them (``net(x, per_step=True)``).
        labels: The class of each sample, or the probability of each of its ``K`` classes.
        kind: ``"last"``, ``"every_mean"`` or ``"every_step"`` (Deng et al. 2022, TET).
        label_smoothing: Share of the label that is spread over all classes, in [0, 1).

    Raises:
        ValueError: If ``kind`` is none of these.

    Example:
        >>> import torch
        >>> means = torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]])
        >>> round(loss(means, torch.tensor([1]), kind="every_step").item(), 4)
        0.6931
    """
    one_of("loss", kind, ("last", "every_mean", "every_step"))
    if kind == "last":
        logits = means[-1:]
    else:
        logits = means if kind == "every_mean" else single_steps(means)
    steps = len(logits)
    every = labels.repeat(steps, *(1,) * (labels.ndim - 1))
    return F.cross_entropy(logits.flatten(0, 1), every, label_smoothing=label_smoothing)
