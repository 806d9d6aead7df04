"""What a person sees of a long task: a bar on a terminal, plain lines elsewhere."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Display:
    """A progress bar with a line of figures; on no terminal, only what is said.

    Args:
        label: What is being done.
        total: Steps in all.
        done: Steps already done.
        quiet: Whether to show nothing at all.
    """

    def __init__(
        self, label: str, total: int, done: int = 0, *, quiet: bool = False
    ) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        shown = self.console.is_terminal and not quiet
        self.progress = Progress(*columns, console=self.console, disable=not shown)
        self.task = self.progress.add_task(label, total=total, completed=done, figures="")

    def __enter__(self) -> "Display":
        """Start to show."""
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()

    def advance(self, figures: str = "", steps: int = 1) -> None:
        """Move on by so many steps, with these figures beside the bar."""
        self.progress.update(self.task, advance=steps, figures=figures)

    def say(self, line: str) -> None:
        """Print one line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            sys.stderr.flush()
