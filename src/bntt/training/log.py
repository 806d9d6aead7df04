"""What training reports: the log, TensorBoard, and what is shown on the screen."""

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
    """Reports how training goes; in a process that is not the main one it does nothing.

    Args:
        recipe: The recipe of the run.
        folder: The run folder, in which the log lies.
        steps_per_epoch: Training steps in an epoch.
        done: Steps that an earlier sitting has done.
        main: Whether this process reports at all.
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
        """Stop showing, and write what TensorBoard still holds back."""
        self.display.__exit__(*error)
        self.board.close()

    def lap(self) -> float:
        """Seconds since training began, or since this was last asked."""
        before, self.clock = self.clock, time.monotonic()
        return self.clock - before

    def steps(
        self,
        step: int,
        losses: list[float],
        progress: Progress,
        activity: Mapping[str, float],
    ) -> None:
        """Report the training steps since the last report.

        Args:
            step: The last of them, from 0.
            losses: Their losses, one each.
            progress: How far the run has come; the seconds are added to it.
            activity: What else there is to tell of them, by name; often nothing.
        """
        seconds = self.lap()
        progress.seconds += seconds
        mean, accuracy = sum(losses) / len(losses), progress.correct / progress.seen
        speed = len(losses) * self.recipe.batch_size / seconds
        figures = f"loss {mean:.3f}  acc {accuracy:.1%}  {speed:.0f} images/s"
        self.display.advance(figures, len(losses))
        rate = recipe_rate(self.recipe, step, self.steps_per_epoch)
        self._write(step, loss=mean, lr=rate, images_per_s=round(speed, 1), **activity)

    def epoch(
        self,
        step: int,
        validation: list[float],
        progress: Progress,
        layers: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Report an epoch.

        Args:
            step: Its last training step, from 0.
            validation: Accuracy after each time-step on the images held out, in [0, 1];
                empty if none are held out.
            progress: How far the run has come.
            layers: Numbers of every layer by its name, under the name of what they are; one
                number, or a list with one for every time-step.
        """
        epoch = (step + 1) // self.steps_per_epoch
        mean = progress.loss_sum / self.steps_per_epoch
        accuracy, seconds = progress.correct / progress.seen, round(progress.seconds, 1)
        self._write(
            step,
            train_loss=mean,
            train_accuracy=accuracy,
            validation_accuracy=validation,
            seconds=seconds,
            **{name: _rounded(values) for name, values in layers.items() if values},
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
        """Refuse losses that are not finite, before anything that they led to is saved.

        Args:
            first: The training step of the first of them, from 0.
            losses: The losses of the steps from there on.

        Raises:
            FloatingPointError: With the step and the likely cause.
        """
        for step, value in enumerate(losses, first):
            if not abs(value) < float("inf"):
                raise FloatingPointError(
                    self._diverged(f"The loss became {value} at step {step}", step)
                )

    def refuse_nonfinite(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Refuse weights, statistics or states of the optimiser that are not finite.

        The loss may not show it: no membrane that is NaN passes the threshold, so that
        later layers see silence.

        Args:
            step: The last one done, from 0.
            tensors: What is about to be used or saved, by name.

        Raises:
            FloatingPointError: With the tensor, the step and the likely cause.
        """
        name = first_nonfinite(tensors)
        if name is not None:
            what = f"Training diverged: {name} holds NaN or infinity at step {step}"
            raise FloatingPointError(self._diverged(what, step))

    def _diverged(self, what: str, step: int) -> str:
        """The message for training that diverged."""
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


def _rounded(layers: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers with as many digits as a curve shows: there are many, and files are read."""
    return {
        name: [round(n, 4) for n in value] if isinstance(value, list) else round(value, 4)
        for name, value in layers.items()
    }
