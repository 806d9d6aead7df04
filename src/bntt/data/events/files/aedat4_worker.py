"""Processes that decode AEDAT 4 files: a damaged file may end one of them, and not us.

The library that decodes is fast and trusts its files: a wrong bit ends the process, or
makes it ask for more memory than there is. So another process does it. One is started for
every thread that reads at the same time, is kept for the next file, and is replaced when it
dies.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from io import BufferedReader
from pathlib import Path
from threading import Lock, Timer
from typing import Any, BinaryIO, cast

import numpy as np

CHILD = Path(__file__).with_name("aedat4_child.py")
TABLE = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "u1")])
PATIENCE_S, PER_S = 60, 1 << 20
"""Seconds that decoding any file may take, and bytes of a file that grant one second
more."""
SAID = 2_000
"""Bytes of a dying process's last words that are looked at."""


class Worker:
    """One process, and the pipes to it."""

    def __init__(self) -> None:
        self.sys_path = list(sys.path)
        self.owner = os.getpid()
        self.words = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - open as long as the process
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            env=os.environ | threads,
            start_new_session=True,  # an interrupt of ours is not its own
        )
        self.requests = cast(BinaryIO, self.process.stdin)
        self.answers = cast(BufferedReader, self.process.stdout)

    @property
    def usable(self) -> bool:
        """Whether it lives, is ours and not a parent's, and finds the same packages."""
        alive = self.process.poll() is None
        return alive and self.owner == os.getpid() and self.sys_path == sys.path

    def decode(self, path: Path) -> tuple[dict[str, Any], np.ndarray]:
        """Return what is in a file, and the events of its first stream of events.

        Raises:
            ValueError: If the process refuses the file, or dies of it.
        """
        patience = PATIENCE_S + path.stat().st_size / PER_S
        timer = Timer(patience, self.process.kill)
        timer.daemon = True
        timer.start()
        before = self.words.seek(0, os.SEEK_END)
        request = {"file": os.fspath(path.absolute()), "sys_path": self.sys_path}
        try:
            self.requests.write(json.dumps(request).encode() + b"\n")
            self.requests.flush()
            line = self.answers.readline()
            if not line.endswith(b"\n"):
                raise OSError("its answer is cut short")
            found = json.loads(line)
            events = np.empty(found.get("events", 0), dtype=TABLE)
            if self.answers.readinto(events.view(np.uint8).data) != events.nbytes:
                raise OSError("its events are cut short")
        except OSError as error:
            raise ValueError(self._why_dead(before)) from error
        finally:
            timer.cancel()
        if "error" in found:
            raise ValueError(found["error"])
        return found, events

    def close(self) -> None:
        """End the process."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
        for pipe in (self.requests, self.answers, self.words):
            try:
                pipe.close()
            except OSError:  # what was to be written to a process that is gone
                continue

    def _why_dead(self, before: int) -> str:
        code = self.process.wait()
        self.words.seek(max(before, self.words.seek(0, os.SEEK_END) - SAID))
        words = self.words.read().decode(errors="replace").strip()
        last = words.splitlines()[-1] if words else "without a word"
        return f"the process that decodes it ended with {code}: {last}"


_idle: list[Worker] = []
_lock = Lock()


def decode(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Return what is in an AEDAT 4 file, and the events of its first stream of events.

    Raises:
        ValueError: If it cannot be decoded; with the library's words.
    """
    worker = _take()
    whole = False
    try:
        found = worker.decode(path)
        whole = True
        return found
    except ValueError:
        whole = worker.usable  # refused in words, or dead
        raise
    finally:
        if whole:
            with _lock:
                _idle.append(worker)
        else:  # of an answer that was broken off, the rest would come next
            worker.close()


def _take() -> Worker:
    """Return a process that is idle, or a new one."""
    while True:
        with _lock:
            worker = _idle.pop() if _idle else None
        if worker is None:
            return Worker()
        if worker.usable:
            return worker
        worker.close()


@atexit.register
def _close_all() -> None:
    while _idle:
        _idle.pop().close()
