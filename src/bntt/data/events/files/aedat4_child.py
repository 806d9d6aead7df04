"""Decodes AEDAT 4 files for `aedat4_worker`: a program of its own, which may die.

It is run by its path and imports nothing of this package, so that it starts fast. From its
standard input it reads a request per line, and for each writes a line to its standard
output, and behind that the events as bytes. Both lines are JSON.
"""

import importlib
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

WITHIN = 64
"""Bytes of memory that are granted for each byte of a file, beside `AT_LEAST`."""
AT_LEAST = 1 << 30


def main() -> None:
    """Answer requests until there are no more."""
    # whatever else is printed must not come among the answers
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        for line in sys.stdin.buffer:
            request = json.loads(line)
            sys.path[:] = request["sys_path"]
            answer(request["file"], answers)


def answer(file: str, answers: BinaryIO) -> None:
    """Write what is in a file, or why it cannot be read."""
    try:
        limit_memory(os.stat(file).st_size)
        found, events = decode(file)
    except BaseException as error:  # what the library raises is not documented: panics too
        found, events = {"error": f"{type(error).__name__}: {error}"}, b""
    answers.write(json.dumps(found).encode() + b"\n")
    answers.write(events)
    answers.flush()


def decode(file: str) -> tuple[dict[str, Any], bytes]:
    """Return what is in a file, and the events of its first stream of events."""
    import numpy as np

    packets: dict[int, list[Any]] = {}
    others: Counter[str] = Counter()
    decoder = importlib.import_module("aedat").Decoder(file)
    for packet in decoder:
        if len(packet.get("events", ())):
            packets.setdefault(packet["stream_id"], []).append(packet["events"])
        for kind in ("imus", "triggers"):
            others[kind] += len(packet.get(kind, ()))
        others["frames"] += "frame" in packet
    streams = {
        int(number): {name: about.get(name) for name in ("type", "width", "height")}
        for number, about in decoder.id_to_stream().items()
    }
    chosen = min(packets, default=-1)
    for stream in sorted(packets):
        if stream != chosen:
            others[f"events of stream {stream}"] = sum(map(len, packets[stream]))
    table = np.zeros(sum(map(len, packets.get(chosen, ()))), "<u8,<u2,<u2,u1")
    table.dtype.names = "t", "x", "y", "on"
    first = 0
    for packet in packets.get(chosen, ()):
        part = table[first : first + len(packet)]
        for name in table.dtype.names:
            part[name] = packet[name]
        first += len(packet)
    found = {
        "streams": streams,
        "chosen": chosen,
        "events": len(table),
        "skipped": {kind: count for kind, count in others.items() if count},
    }
    return found, table.tobytes()


def limit_memory(size: int) -> None:
    """Let a damaged file ask for no more memory than an honest one of its size."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):  # not on every system
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * os.sysconf("SC_PAGESIZE") + AT_LEAST + WITHIN * size
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


if __name__ == "__main__":
    main()
