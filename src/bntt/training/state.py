"""How far a run has come."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

EARLIER_NAMES = {"right": "correct"}
"""What version 0.1 called an entry of ``last.safetensors``, and what it is called now."""


@dataclass
class Progress:
    """How far a run has come; it travels in ``last.safetensors``."""

    step: int = 0
    """Training steps done."""
    seconds: float = 0.0
    """Seconds spent on training, over all sittings."""
    best: float = -1.0
    """The best validation accuracy so far, in [0, 1], or without images held out the number
    of epochs done; -1 before the first epoch ends."""
    loss_sum: float = 0.0
    """Sum of the losses of this epoch's steps."""
    correct: int = 0
    """Training images of this epoch that were classified correctly."""
    seen: int = 0
    """Training images of this epoch that were classified at all."""

    def count(self, losses: list[float], correct: int, seen: int) -> None:
        """Add what the last steps of this epoch gave."""
        self.loss_sum += sum(losses)
        self.correct, self.seen = self.correct + correct, self.seen + seen

    def start_epoch(self) -> None:
        """Forget what the epoch that is over gave."""
        self.loss_sum, self.correct, self.seen = 0.0, 0, 0

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values, of which :meth:`read` makes an equal one."""
        return asdict(self)

    @classmethod
    def read(cls, info: Mapping[str, Any], total: int, path: Path) -> "Progress":
        """The progress that travelled in a checkpoint.

        Args:
            info: The plain values of the checkpoint.
            total: Training steps of the whole run.
            path: The file, for messages.

        Raises:
            ValueError: If it holds no progress, as a copy of the best checkpoint does not,
                or one that cannot be.
        """
        values = {EARLIER_NAMES.get(name, name): value for name, value in info.items()}
        if len(values) != len(info) or values.keys() != {e.name for e in fields(cls)}:
            raise ValueError(
                f"{path} does not say how far training came, as a run's last checkpoint "
                f"does; it says {', '.join(map(str, info)) or 'nothing'}. Is it a copy of "
                f"another file? Put back the run's own, or start again in another folder."
            )
        if not _possible(values, total):
            raise ValueError(
                f"{path} says that training came to {dict(info)}, which cannot be in a run "
                f"of {total} steps: it was changed. Start again in another folder."
            )
        return cls(**values)


def _possible(values: Mapping[str, Any], total: int) -> bool:
    """Whether a run of so many steps can have come to these values."""
    numbers = [values[name] for name in ("seconds", "best", "loss_sum")]
    counts = [values[name] for name in ("step", "correct", "seen")]
    return (
        all(type(n) in (int, float) and math.isfinite(n) for n in numbers)
        and all(type(n) is int and n >= 0 for n in counts)
        and 0 < values["step"] <= total
        and values["correct"] <= values["seen"]
    )
