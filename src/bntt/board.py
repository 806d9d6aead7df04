"""Curves for TensorBoard, where it is installed."""

import importlib.util
from pathlib import Path
from typing import Any


class Board:
    """Writes the log's numbers as TensorBoard scalars; without TensorBoard, nothing.

    Args:
        folder: The run folder.
        wanted: Whether this process writes at all.
    """

    def __init__(self, folder: Path, wanted: bool) -> None:
        self.writer = None
        if wanted and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard.writer import SummaryWriter

            self.writer = SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Add scalars, and of a list its last entry."""
        if self.writer is None:
            return
        for name, value in values.items():
            if isinstance(value, list):
                value = value[-1] if value else None
            if value is not None:
                self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what still waits: TensorBoard does not by itself when a program ends."""
        if self.writer is not None:
            self.writer.close()
