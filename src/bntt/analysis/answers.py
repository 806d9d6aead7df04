"""Refuse answers of a network that are NaN or infinite."""

from torch import Tensor


def refuse_nonfinite(logits: Tensor) -> None:
    """Refuse read-outs of which the largest would mean nothing.

    Raises:
        FloatingPointError: If one is NaN or infinite.
    """
    if not logits.isfinite().all():
        raise FloatingPointError(
            "The network answers with NaN or infinity, so that no class is the likeliest. "
            "Its weights ran away in training: train again with a lower learning rate."
        )
