"""When a network may stop: by its gains, once for all, or sample by sample."""

from .answers import Answers, answers_over_time, early_answers
from .calibration import Operating, operating_points, promised, within_steps
from .gains import GainExit, exit_by_gains, mean_gains
from .rules import SCORES

__all__ = [
    "SCORES",
    "Answers",
    "GainExit",
    "Operating",
    "answers_over_time",
    "early_answers",
    "exit_by_gains",
    "mean_gains",
    "operating_points",
    "promised",
    "within_steps",
]
