"""Curves for TensorBoard, where it is installed and works."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..machine.terminal import note


class Board:
    """Writes the numbers of the log as TensorBoard scalars, if TensorBoard is installed.

    A failure of TensorBoard never ends training: it is said once, and training goes on
    without curves.

    Args:
        folder: The run folder.
        wanted: Whether this process writes at all.
        done: Steps that an earlier sitting has done; what it drew after them is dropped.
    """

    def __init__(self, folder: Path, wanted: bool, done: int = 0) -> None:
        self.folder, self.wanted, self.done = folder, wanted, done
        self.writer: Any = None

    def open(self) -> None:
        """Begin to write; curves of an earlier sitting go on after its last step."""
        if not (self.wanted and _installed()):
            return
        try:
            from torch.utils.tensorboard.writer import SummaryWriter

            curves = str(self.folder / "tensorboard")
            self.writer = SummaryWriter(curves, purge_step=self.done + 1)
        except Exception as error:  # whatever it is, it is not training's affair
            self._give_up(error)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Add scalars: of a list its last entry, of layers a curve each."""
        if self.writer is None:
            return
        try:
            for name, value in _scalars(values):
                self.writer.add_scalar(name, value, step)
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what TensorBoard still holds back, which is lost if a program just ends."""
        if self.writer is None:
            return
        try:
            self.writer.close()
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.writer = None
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        note(
            f"Note: TensorBoard does not work here ({said}), so this run draws no curves "
            f"for it; log.jsonl has the same numbers."
        )


def _scalars(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _scalars({f"{name}/{layer}": of for layer, of in value.items()})
        elif isinstance(value, list):
            yield from ((name, last) for last in value[-1:])
        elif value is not None:
            yield name, value


def _installed() -> bool:
    """Whether TensorBoard is installed; an empty folder of its name is not it."""
    found = importlib.util.find_spec("tensorboard")
    return found is not None and found.origin is not None
