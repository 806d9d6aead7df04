"""What must be settled before the slow imports, if this process is our command line.

It happens when this module is imported. Importing the rest takes seconds. Ctrl-C meanwhile
has nothing to save, so the system may end the process as it ends any other, without a
traceback from the middle of an import.
"""

import signal
import sys
import threading
from collections.abc import Sequence


def is_command(words: Sequence[str]) -> bool:
    """Whether these words start Python as the command line, however that is written.

    Example:
        >>> is_command(["python", "/usr/bin/bntt", "recipes"])
        True
        >>> is_command(["python", "mine.py", "bntt"])
        False
    """
    rest = iter(words[1:])
    for word in rest:
        if word in ("-W", "-X"):  # the flags of Python that take a word
            next(rest, "")
        elif word == "-m":
            return next(rest, "") == "bntt"
        elif word == "-c":
            return "bntt.commands.main" in next(rest, "")
        elif not word.startswith("-"):
            name = word.replace("\\", "/").rpartition("/")[2]
            return name.partition(".")[0] == "bntt"
    return False


def let_interrupts_end() -> None:
    """Until `bntt.commands.main.main` takes over, Ctrl-C ends the process at once."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if is_command(sys.orig_argv):
    let_interrupts_end()
