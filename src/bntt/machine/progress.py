"""What a person sees of a long task: a bar on a terminal, now and then a line elsewhere."""

import time
from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .terminal import Beside, shown

PAUSE = 60.0
"""Seconds from one line to the next where there is no terminal: logs are kept and read."""


class Display:
    """A progress bar with a line of figures; on no terminal, a line every minute.

    Args:
        label: What is being done.
        total: Steps in all.
        done: Steps already done.
        quiet: Whether to show nothing at all.
    """

    def __init__(
        self, label: str, total: int, done: int = 0, *, quiet: bool = False
    ) -> None:
        self.console = Beside(quiet=quiet)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.shown = self.console.is_terminal and not quiet
        self.progress = Progress(*columns, console=self.console, disable=not self.shown)
        self.task = self.progress.add_task(
            shown(label), total=total, completed=done, figures=""
        )
        self.label, self.total, self.done = label, total, done
        self.spoke = time.monotonic()
        self.reported = False

    def __enter__(self) -> "Display":
        """Show the bar, if there is a terminal to show it on."""
        if self.shown:  # a bar that is not shown leaves an empty line in older versions
            self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar on the screen as it stands."""
        if self.shown:
            self.progress.stop()

    def advance(self, figures: str = "", steps: int = 1) -> None:
        """Move on by so many steps and show these figures beside the bar."""
        self.done += steps
        self.progress.update(self.task, advance=steps, figures=shown(figures))
        if not self.shown and self.due():
            share = f" {self.done}/{self.total}" if self.total else ""
            self.say(f"{self.label}{share}  {figures}".rstrip())

    def say(self, line: str) -> None:
        """Print one line, above the bar if there is one."""
        self.spoke = time.monotonic()
        self.console.print(Text(shown(line)), soft_wrap=True)

    def report(self, line: str, *, last: bool = False) -> None:
        """Print one of many lines; on no terminal the first, the last and one a minute."""
        if self.shown or last or self.due() or not self.reported:
            self.reported = True
            self.say(line)

    def due(self) -> bool:
        """Whether nothing was said for a minute."""
        return time.monotonic() - self.spoke >= PAUSE
