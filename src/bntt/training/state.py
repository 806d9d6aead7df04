"""How far a run has come."""

from dataclasses import dataclass


@dataclass
class Progress:
    """How far a run has come; travels in ``last.safetensors``."""

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    loss_sum: float = 0.0
    right: int = 0
    seen: int = 0

    def count(self, losses: list[float], right: int, seen: int) -> None:
        """Add what the last steps of this epoch gave."""
        self.loss_sum += sum(losses)
        self.right, self.seen = self.right + right, self.seen + seen

    def start_epoch(self) -> None:
        """Forget what the epoch that is over gave."""
        self.loss_sum, self.right, self.seen = 0.0, 0, 0
