"""How fast training goes (M16)."""

import math

from ..config import Recipe


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of training step ``step``, from 0 (M16)."""
    total = recipe.epochs * steps_per_epoch
    match recipe.schedule:
        case "step":
            # whole numbers: 90 * 0.7 is 62.99..., and a drop decided by it never comes
            tenths = 10 * (step // steps_per_epoch)
            drops = sum(tenths >= share * recipe.epochs for share in (5, 7, 9))
            return recipe.lr * 0.1**drops
        case "cosine":
            return recipe.lr * _cosine(step / total)
        case _:
            rise = recipe.warmup * total
            if step < rise:
                return recipe.lr * (0.04 + 0.96 * step / rise)
            return recipe.lr * _cosine((step - rise) / (total - rise))


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2
