"""Rules by which one sample stops: how sure its running answer is."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ...choices import one_of


@dataclass(frozen=True)
class Score:
    """How sure an answer is: the larger, the surer."""

    meaning: str
    """What the number is, for people."""
    lowest: float
    """A threshold that every answer reaches."""
    highest: float
    """The largest that there is."""
    of: Callable[[Tensor], Tensor]
    """From running means of the read-outs ``[T, N, K]`` to scores ``[T, N]``."""


def confidence(logits: Float[Tensor, "T N K"]) -> Float[Tensor, "T N"]:
    """The probability of the likeliest class: the largest softmax."""
    return logits.double().softmax(-1).amax(-1)


def certainty(logits: Float[Tensor, "T N K"]) -> Float[Tensor, "T N"]:
    r"""One less the entropy as a share of what it is for equal probabilities.

    .. math::
        1 - \frac{-\sum_k p_k \ln p_k}{\ln K}
    """
    logs = logits.double().log_softmax(-1)
    return 1 + (logs.exp() * logs).sum(-1) / math.log(max(2, logits.shape[-1]))


def gap(logits: Float[Tensor, "T N K"]) -> Float[Tensor, "T N"]:
    """How much likelier the best class is than the next: a difference of softmaxes."""
    likelihood = logits.double().softmax(-1)
    if likelihood.shape[-1] < 2:
        return torch.ones_like(likelihood[..., 0])
    best, second = likelihood.topk(2, -1).values.unbind(-1)
    return best - second


def stable_steps(logits: Float[Tensor, "T N K"]) -> Float[Tensor, "T N"]:
    """For how many time-steps in a row the answer has been this one; 1 if it is new."""
    answers = logits.argmax(-1)
    counts = [torch.ones_like(answers[0])]
    for now, before in zip(answers[1:], answers[:-1], strict=True):
        counts.append(torch.where(now == before, counts[-1] + 1, 1))
    return torch.stack(counts).double()


SCORES = {
    "confidence": Score("softmax of the likeliest class", 0.0, 1.0, confidence),
    "entropy": Score("1 - entropy / ln(classes)", 0.0, 1.0, certainty),
    "gap": Score("softmax of the best class less the second's", 0.0, 1.0, gap),
    "stable": Score("time-steps with the same answer", 1.0, math.inf, stable_steps),
}


def score(rule: str) -> Score:
    """The score of a rule.

    Raises:
        ValueError: If there is no such rule.
    """
    one_of("exit rule", rule, SCORES)
    return SCORES[rule]


def check_threshold(rule: str, threshold: float) -> None:
    """Refuse a threshold that no answer, or every answer, would pass by mistake.

    Raises:
        ValueError: If it lies outside the range of the rule's score.
    """
    known = score(rule)
    if not known.lowest <= threshold <= known.highest or math.isnan(threshold):
        top = "" if math.isinf(known.highest) else f" and at most {known.highest:g}"
        raise ValueError(
            f"The threshold of {rule!r} is a {known.meaning}, so it must be at least "
            f"{known.lowest:g}{top}, got {threshold:g}."
        )


@dataclass(frozen=True)
class SampleExit:
    """A rule and its threshold: when one sample is sure enough (M24).

    Raises:
        ValueError: If there is no such rule, or its score has no such threshold.
    """

    rule: str
    """A key of :data:`SCORES`."""
    threshold: float
    """What the rule's score must reach."""

    def __post_init__(self) -> None:
        check_threshold(self.rule, self.threshold)

    def sure(self, logits: Float[Tensor, "T N K"]) -> Bool[Tensor, " N"]:
        """Which samples stop after the last of these time-steps.

        Args:
            logits: Running means of the read-outs, of all time-steps so far.
        """
        return score(self.rule).of(logits)[-1] >= self.threshold


def exit_steps(scores: Float[Tensor, "T N"], threshold: float) -> Int64[Tensor, " N"]:
    """The time-step, from 1, after which each sample stops; the last one for the unsure."""
    sure = scores >= threshold
    sure[-1] = True
    return sure.int().argmax(0) + 1
