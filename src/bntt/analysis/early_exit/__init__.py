"""When a network may stop: by its gains, once for all, or sample by sample."""

from .answers import Answers, answers_over_time, answers_until, early_answers
from .calibration import Operating, operating_points, promised, within_steps
from .gains import GainExit, exit_by_gains, mean_gains
from .rules import SCORES, SampleExit

__all__ = [
    "SCORES",
    "Answers",
    "GainExit",
    "Operating",
    "SampleExit",
    "answers_over_time",
    "answers_until",
    "early_answers",
    "exit_by_gains",
    "mean_gains",
    "operating_points",
    "promised",
    "within_steps",
]
