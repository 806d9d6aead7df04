"""Caches and processes: one that is killed while it builds, two that start together."""

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from made_up_cache import CHUNK, ROWS, assert_whole, build, fill, refuse


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path))
    return tmp_path / "cache"


PROCESS = """
import os, sys, time, types
for name, path in (("bntt", sys.argv[1]), ("bntt.data", sys.argv[1] + "/data")):
    sys.modules[name] = types.ModuleType(name)  # spares the import of torch
    sys.modules[name].__path__ = [path]
from bntt.data.cache import cached

def fill(first, last, views):
    with open(sys.argv[2], "a") as log:
        log.write(f"{first}\\n")
    if sys.argv[3] == "hang" and first >= 50:
        time.sleep(600)
    time.sleep(0.02)
    for row in range(first, last):
        views["odd"][row - first] = row % 2
        for k in range(6):
            views["squares"][row - first, k // 3, k % 3] = row**2 + k

print("ready", flush=True)
sys.stdin.readline()
arrays = {"squares": ((95, 2, 3), "int64"), "odd": ((95,), "bool")}
cached("made", {"k": 1}, arrays, fill, chunk=10, what="Rows", quiet=True)
"""


def start(log, how):
    spec = find_spec("bntt")
    assert spec is not None
    assert spec.origin is not None
    command = [sys.executable, "-c", PROCESS, str(Path(spec.origin).parent), str(log), how]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def end(process):
    process.stdin.close()
    process.stdout.close()
    return process.wait()


def until(condition):
    patience = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.01)


def journalled(folder):
    texts = [path.read_text() for path in folder.glob("*.part/journal.jsonl")]
    return sum(len(text.splitlines()) - 1 for text in texts)


def test_a_process_that_is_killed_leaves_what_it_finished(tmp_path, folder):
    process = start(tmp_path / "log", "hang")
    go(process)
    until(lambda: journalled(folder) == 5)
    process.send_signal(signal.SIGKILL)
    assert end(process) == -signal.SIGKILL
    made_here = []
    assert_whole(build(lambda *rows: (made_here.append(rows[0]), fill(*rows))))
    assert sorted(made_here) == [50, 60, 70, 80, 90]
    assert not list(folder.glob("*.part"))


def test_two_processes_that_start_together_build_once(tmp_path):
    processes = [start(tmp_path / "log", "finish") for _ in range(2)]
    for process in processes:
        go(process)
    assert [end(process) for process in processes] == [0, 0]
    made = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert sorted(made) == list(range(0, ROWS, CHUNK))
    assert_whole(build(refuse))
