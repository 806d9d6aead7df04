"""Which exit is wanted: its rule, and the threshold or the promise that chooses one."""

from dataclasses import dataclass

from ...choices import one_of
from .gains import THRESHOLD
from .rules import SCORES, check_threshold

GAMMA = "gamma"
RULES = (GAMMA, *SCORES, *(f"{GAMMA}+{rule}" for rule in SCORES))


@dataclass(frozen=True, kw_only=True)
class ExitChoice:
    """What is asked of an exit. At most one of threshold, loss and steps may be given.

    Raises:
        ValueError: If there is no such rule, a number is out of range, or what is given
            does not choose one threshold.
    """

    rule: str
    """``"gamma"`` (M23), a key of :data:`bntt.analysis.early_exit.rules.SCORES` (M24), or
    both as in ``"gamma+confidence"``: at most the time-steps that the gains keep by the
    paper's threshold, and fewer for who is sure."""
    threshold: float | None = None
    """What the rule's score, or for ``"gamma"`` some layer's mean gain, must reach."""
    max_loss: float | None = None
    """Share of images that may be lost, in [0, 1): the threshold is chosen on images held
    out."""
    mean_steps: float | None = None
    """Time-steps that an image may take in the mean: the threshold is chosen likewise."""
    delta: float | None = None
    """Probability, in (0, 1), that the promise of ``max_loss`` fails on new images; None
    for the threshold that would have kept it on those held out, which promises nothing."""

    def __post_init__(self) -> None:
        one_of("exit rule", self.rule, RULES)
        given = [
            name
            for name in ("threshold", "max_loss", "mean_steps")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(
                f"One of threshold, max_loss and mean_steps chooses an exit, got "
                f"{' and '.join(given)}. Leave out all but one."
            )
        if not given and self.rule != GAMMA:
            raise ValueError(
                f"The exit by {self.rule!r} needs a threshold, or max_loss or mean_steps, "
                f"by which one is chosen on images held out. Give one of them."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.max_loss is not None and not 0 <= self.max_loss < 1:
            raise ValueError(
                f"`max_loss` must lie in [0, 1), that is below 100 points, got "
                f"{self.max_loss:g}."
            )
        if self.delta is not None and self.max_loss is None:
            raise ValueError(
                f"`delta` is the probability that the promise of max_loss fails, got "
                f"{self.delta:g} without one. Give max_loss too, or leave it out."
            )
        if self.delta is not None and not 0 < self.delta < 1:
            raise ValueError(f"`delta` must lie in (0, 1), got {self.delta:g}.")
        if self.threshold is None:
            return
        if self.sample_rule is not None:
            check_threshold(self.sample_rule, self.threshold)
        elif not 0 < self.threshold < float("inf"):
            raise ValueError(
                f"The threshold of gains must be positive and finite, such as the paper's "
                f"{THRESHOLD}, got {self.threshold:g}."
            )

    @property
    def by_gains(self) -> bool:
        """Whether the gains say when everyone stops."""
        return self.rule.split("+")[0] == GAMMA

    @property
    def sample_rule(self) -> str | None:
        """The rule by which one sample stops; None if the gains alone decide."""
        rule = self.rule.split("+")[-1]
        return None if rule == GAMMA else rule

    @property
    def calibrates(self) -> bool:
        """Whether a threshold has to be chosen on images held out."""
        return self.max_loss is not None or self.mean_steps is not None
