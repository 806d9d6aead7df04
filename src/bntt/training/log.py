"""What a run tells: its log, TensorBoard, and the lines and bar that a person sees."""

import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..config import Recipe
from ..machine.progress import Display
from ..networks.checkpoint import first_nonfinite
from ..runs.folder import RunFolder
from .board import Board
from .by_recipe import recipe_rate
from .state import Progress


class TrainingLog:
    """Writes down how a run goes; in a process that is not the main one, nothing.

    Args:
        recipe: The recipe of the run.
        folder: The run folder, in which the log lies.
        steps_per_epoch: Training steps in an epoch.
        done: Steps that an earlier sitting has done.
        main: Whether this process tells anything.
        quiet: Whether to show nothing on the screen.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        steps_per_epoch: int,
        done: int,
        *,
        main: bool,
        quiet: bool,
    ) -> None:
        self.recipe, self.folder, self.main = recipe, folder, main
        self.steps_per_epoch = steps_per_epoch
        total = recipe.epochs * steps_per_epoch
        self.display = Display(recipe.dataset, total, done, quiet=quiet or not main)
        self.board = Board(folder.path, main, done)
        self.clock = time.monotonic()

    def __enter__(self) -> "TrainingLog":
        """Begin to show, and to count seconds: what went before is not training."""
        self.display.__enter__()
        self.board.open()
        self.clock = time.monotonic()
        return self

    def __exit__(self, *error: Any) -> None:
        """Show and write no more."""
        self.display.__exit__(*error)
        self.board.close()

    def lap(self) -> float:
        """Seconds since training began, or since this was last asked."""
        before, self.clock = self.clock, time.monotonic()
        return self.clock - before

    def steps(self, step: int, losses: list[float], progress: Progress) -> None:
        """Tell of the training steps up to ``step``, whose losses these are."""
        seconds = self.lap()
        progress.seconds += seconds
        mean, accuracy = sum(losses) / len(losses), progress.correct / progress.seen
        speed = len(losses) * self.recipe.batch_size / seconds
        figures = f"loss {mean:.3f}  acc {accuracy:.1%}  {speed:.0f} images/s"
        self.display.advance(figures, len(losses))
        rate = recipe_rate(self.recipe, step, self.steps_per_epoch)
        self._write(step, loss=mean, lr=rate, images_per_s=round(speed, 1))

    def epoch(self, step: int, validation: list[float], progress: Progress) -> None:
        """Tell of the epoch that ends with ``step``; its accuracy after each time-step."""
        epoch = (step + 1) // self.steps_per_epoch
        mean = progress.loss_sum / self.steps_per_epoch
        accuracy, seconds = progress.correct / progress.seen, round(progress.seconds, 1)
        self._write(
            step,
            train_loss=mean,
            train_accuracy=accuracy,
            validation_accuracy=validation,
            seconds=seconds,
        )
        held_out = (
            f"  validation {validation[-1]:.2%} (after step 1: {validation[0]:.2%})"
            if validation
            else ""
        )
        self.display.report(
            f"epoch {epoch}/{self.recipe.epochs}  loss {mean:.4f}  accuracy "
            f"{accuracy:.2%}{held_out}  {seconds:.0f} s",
            last=epoch == self.recipe.epochs,
        )

    def refuse_nan(self, first: int, losses: list[float]) -> None:
        """Stop at the first loss that is not finite, before anything of it is saved.

        Raises:
            FloatingPointError: With the step and the likely cause.
        """
        for step, value in enumerate(losses, first):
            if not abs(value) < float("inf"):
                raise FloatingPointError(
                    self._diverged(f"The loss became {value} at step {step}", step)
                )

    def refuse_nonfinite(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Stop where a weight, statistic or state of the optimiser is no number.

        The loss may not show it: no membrane that is NaN passes the threshold, so that
        later layers see silence.

        Args:
            step: The last one done, from 0.
            tensors: What is about to be relied on, by name.

        Raises:
            FloatingPointError: With the tensor, the step and the likely cause.
        """
        name = first_nonfinite(tensors)
        if name is not None:
            what = f"Training diverged: {name} holds NaN or infinity at step {step}"
            raise FloatingPointError(self._diverged(what, step))

    def _diverged(self, what: str, step: int) -> str:
        """What to say of a training that ran away."""
        rate = recipe_rate(self.recipe, step, self.steps_per_epoch)
        single = self.recipe.precision == "float32"
        precision = "" if single else ", or with --set precision=float32"
        return (
            f"{what} (epoch {step // self.steps_per_epoch}), where the learning rate was "
            f"{rate:.3g}: most likely it is too high. What was saved before is whole. "
            f"Start again in another folder (--out) with a lower one, such as "
            f"--set lr={self.recipe.lr / 3:.2g}{precision}."
        )

    def _write(self, step: int, **values: Any) -> None:
        if self.main:
            epoch = step // self.steps_per_epoch
            self.folder.log(step=step + 1, epoch=epoch, **values)
            self.board.write(step + 1, values)
