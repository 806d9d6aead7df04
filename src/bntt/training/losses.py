"""What training minimises (M13)."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ..config import Recipe
from ..layers.neuron import single_steps


def loss(
    means: Float[Tensor, "T N K"], labels: Int64[Tensor, " N"], recipe: Recipe
) -> Float[Tensor, ""]:
    """Cross-entropy of the read-outs that ``recipe.loss`` names (M13).

    Args:
        means: Running means of the read-outs, as ``net(x, per_step=True)`` returns them.
        labels: Classes.
        recipe: Its ``loss`` and ``label_smoothing`` are read.
    """
    match recipe.loss:
        case "last":
            logits = means[-1:]
        case "every_mean":
            logits = means
        case _:
            logits = single_steps(means)
    steps = len(logits)
    return F.cross_entropy(
        logits.flatten(0, 1), labels.repeat(steps), label_smoothing=recipe.label_smoothing
    )
