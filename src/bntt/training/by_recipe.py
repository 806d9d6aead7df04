"""What a recipe says of training, as a loss, learning rates and an optimiser.

This is the one place that takes them out of a recipe; the functions themselves know none.
"""

import torch
from torch import Tensor, nn

from ..config import Recipe
from . import losses, schedule
from .activity import penalty
from .optimizer import gains_apart, make_optimizer


def recipe_loss(recipe: Recipe, means: Tensor, labels: Tensor) -> Tensor:
    """The loss that the recipe minimises (:func:`bntt.training.losses.loss`)."""
    return losses.loss(
        *(means, labels),
        kind=recipe.loss,
        label_smoothing=recipe.label_smoothing,
        step_growth=recipe.step_growth,
    )


def recipe_penalty(recipe: Recipe, rate: Tensor) -> Tensor:
    """What synaptic operations cost (:func:`bntt.training.activity.penalty`)."""
    weight, target = recipe.activity_penalty, recipe.target_rate
    return penalty(rate, weight=weight, target=target)


def recipe_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate of a training step (:func:`bntt.training.schedule.learning_rate`)."""
    return schedule.learning_rate(
        step,
        lr=recipe.lr,
        epochs=recipe.epochs,
        steps_per_epoch=steps_per_epoch,
        schedule=recipe.schedule,
        warmup=recipe.warmup,
    )


def recipe_optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a network (:func:`bntt.training.optimizer.make_optimizer`)."""
    decay = recipe.gain_decay
    return make_optimizer(
        net.parameters() if decay == "weight_decay" else gains_apart(net, decay),
        name=recipe.optimizer,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
