"""Memory that ran out: how to tell, how much was asked for, and how much there is."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORDS = (
    "out of memory",  # CUDA's
    "not enough memory",
    "can't allocate memory",  # the last two are torch's on processors
    "alloc_failed",  # cuBLAS and cuDNN, which ask by themselves
    "storage size calculation overflowed",
)
"""What libraries say, in lower case, when memory has run out."""

TITLE = "Out of memory"
"""How our own messages begin."""

KEYS = "Lower batch_size, num_steps or image_size"
"""What helps in general: the keys of a recipe that decide how much memory it takes."""

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, whichever library raised it."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in message for word in WORDS)


def described(error: BaseException, remedy: str = KEYS) -> str:
    """What was asked for, what there is, and what to do, in one or two sentences.

    Args:
        error: An exception for which `ran_out` holds.
        remedy: What to do, as a sentence without its full stop.
    """
    message = str(error)
    if message.startswith(TITLE):  # it has been described
        return message
    sides = [_asked(message), _left(message)]
    facts = ", ".join(side for side in sides if side)
    return f"{TITLE}{': ' if facts else ''}{facts}. {remedy}."


@contextmanager
def fitting(remedy: str) -> Iterator[None]:
    """Say what to lower if memory runs out in the block.

    Args:
        remedy: What to do, as a sentence without its full stop.

    Raises:
        MemoryError: In place of what the library raised, with the remedy.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise MemoryError(described(error, remedy)) from error


def free_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not say."""
    found = [_free_on_machine(), _free_in_group(), _free_in_limit()]
    return min((size for size in found if size is not None), default=None)


def _asked(message: str) -> str:
    """How much was asked for: PyTorch's messages say it in bytes, others' in units."""
    if size := re.search(r"tried to allocate (\d+) bytes", message):
        return f"{_size(int(size[1]))} were asked for"
    if size := re.search(r"(?:Tried|Unable) to allocate ([\d.]+) ?(\w+)", message):
        return f"{float(size[1]):g} {size[2]} were asked for"
    if "overflowed" in message:
        return "more was asked for than any machine can address"
    return ""


def _left(message: str) -> str:
    """How much is free, on the GPU if the message is about one."""
    if size := re.search(r"of which ([\d.]+ \w+) is free", message):
        return f"{size[1]} are free on the GPU"
    if "CU" in message:  # CUDA, cuBLAS or cuDNN without numbers: not this machine's memory
        return ""
    left = free_memory()
    return "" if left is None else f"{_size(left)} are free"


def _free_on_machine() -> int | None:
    """Bytes available on the machine; where only Linux would tell, all that is built in."""
    entries = _numbers(Path("/proc/meminfo"))
    if "MemAvailable:" in entries:
        return entries["MemAvailable:"] * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _free_in_group() -> int | None:
    """Bytes that the container (Linux's control group) may still take."""
    group = Path("/sys/fs/cgroup")
    try:
        most = int((group / "memory.max").read_text(encoding="ascii"))
        return max(0, most - int((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is none, or its limit is called "max"
        return None


def _free_in_limit() -> int | None:
    """Bytes of address space that the limit of ``ulimit -v`` leaves."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = _numbers(Path("/proc/self/status")).get("VmSize:")
    if most == resource.RLIM_INFINITY or taken is None:
        return None
    return max(0, most - taken * 1024)


def _numbers(path: Path) -> dict[str, int]:
    """The numbers in one of Linux's tables by their names, as in ``MemTotal: 16 kB``."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {w[0]: int(w[1]) for w in words if len(w) > 1 and w[1].isdigit()}


def _size(count: float) -> str:
    for unit in UNITS[:-1]:
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} {UNITS[-1]}"
