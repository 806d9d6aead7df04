"""The lines of text at the head of an AEDAT file: which version it is, where they end."""

import re
from pathlib import Path

VERSION = re.compile(rb"#!AER-DAT(\d+\.\d+)[ \t\r]*\n")

# a line begins with '#' and is text: a body may begin with the byte of '#' too, but soon
# has a byte that no text has
LINES = re.compile(rb"(?:#[^\x00-\x08\x0a-\x1f\x7f]*\r*\n)*")
LAST_OF_AEDAT2 = re.compile(rb"^# ?End [Oo]f ASCII Header\r*\n", re.MULTILINE)
"""The line that jAER writes since 2015; what follows it is body, whatever it looks like."""
LAST_OF_AEDAT3 = re.compile(rb"^#!END-HEADER\r?\n", re.MULTILINE)

READERS = {"2.0": "read_aedat2", "3.1": "read_aedat3", "4.0": "read_aedat4"}


def version_of(data: bytes) -> str:
    """Return the version that the first line names, such as ``"2.0"``, or nothing."""
    found = VERSION.match(data)
    return found[1].decode() if found else ""


def check_version(path: Path, data: bytes, wanted: str) -> None:
    """Refuse a file whose first line does not name the version `wanted`.

    Raises:
        ValueError: Saying which version it is and which reader takes it, or what is there.
    """
    version = version_of(data)
    if version == wanted:
        return
    if not version:
        raise ValueError(
            f"{path} is not AEDAT {wanted}: at byte 0 the line '#!AER-DAT{wanted}' is "
            f"expected, but there {_beginning(data)}. Truncated, AEDAT 1.0 (which has no "
            f"such line and is not read), or not a recording?"
        )
    reader = READERS.get(version)
    what_to_do = f"{reader} reads it" if reader else f"only {', '.join(READERS)} are read"
    raise ValueError(
        f"{path} is not AEDAT {wanted}: its first line, at byte 0, says AEDAT {version}; "
        f"{what_to_do}."
    )


def _beginning(data: bytes) -> str:
    return f"is {data[:16]!r}" if data else "is nothing, the file is empty"


def body_of_aedat2(path: Path, data: bytes) -> int:
    """Return at which byte the events of an AEDAT 2.0 file begin.

    Raises:
        ValueError: If the file ends within a header line.
    """
    end = _end_of_lines(data)
    if last := LAST_OF_AEDAT2.search(data, 0, end):
        return last.end()
    rest = data[end:]
    if rest.startswith(b"#") and _end_of_lines(rest + b"\n") > len(rest):
        raise ValueError(
            f"{path} ends at byte {len(data)}, within the header line that begins at byte "
            f"{end}. Truncated? Get the file again."
        )
    return end


def body_of_aedat3(path: Path, data: bytes) -> int:
    """Return at which byte the packets of an AEDAT 3.1 file begin.

    Raises:
        ValueError: If the header does not end with the line that ends it.
    """
    end = _end_of_lines(data)
    last = LAST_OF_AEDAT3.search(data, 0, end)
    if not last:
        raise ValueError(
            f"{path}: the header must end with the line '#!END-HEADER', but its lines end "
            f"without it at byte {end} of {len(data)}. Truncated? Get the file again."
        )
    return last.end()


def _end_of_lines(data: bytes) -> int:
    found = LINES.match(data)
    return found.end() if found else 0
