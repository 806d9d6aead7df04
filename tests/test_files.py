"""Files replaced whole: the old or the new one, and nothing left of writers killed."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from bntt.machine import files
from bntt.machine.files import clear_leftovers, replacing
from bntt.machine.not_written import NotWritten, naming, writing

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")

KILLED_WHILE_WRITING = """
import os, signal, sys
from bntt.machine.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path, "another disk could not be renamed from"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    temporary = replacing(path)
    temporary.__enter__().write_text("ne")
    temporary.__exit__(RuntimeError, RuntimeError(), None)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@posix
def test_what_a_killed_writer_left_goes_with_the_next_file(tmp_path):
    where = os.pathsep.join([str(os.path.dirname(files.__file__)) + "/..", *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path / "a")],
        env=os.environ | {"PYTHONPATH": where},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1, "nothing was left, so this would prove nothing"
    with replacing(tmp_path / "another") as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == ["another"]


@posix
def test_what_a_living_writer_writes_stays(tmp_path):
    living = f".a.{files._HOST}.{os.getppid()}.0.tmp"
    foreign = ".a.another-machine.1.0.tmp"
    mine = ".notes.txt"
    reused = f".a.{files._HOST}.{os.getpid()}.999999.tmp"
    old = ".a.another-machine.1.1.tmp"
    for name in (living, foreign, mine, reused, old):
        (tmp_path / name).write_text("")
    yesterday = time.time() - files.DAY - 60
    os.utime(tmp_path / old, (yesterday, yesterday))
    os.utime(tmp_path / mine, (0, 0))
    clear_leftovers(tmp_path)
    assert set(os.listdir(tmp_path)) == {living, foreign, mine}


def test_writers_at_the_same_time_do_not_meet(tmp_path):
    path, texts = tmp_path / "a", [str(n) * 10_000 for n in range(8)]

    def write(text):
        for _ in range(20):
            with replacing(path) as temporary:
                temporary.write_text(text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_text() in texts
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["a"]


def test_the_content_is_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    done = []
    flush, rename = files.os.fsync, files.os.replace

    def fsync(number):
        done.append("flushed")
        flush(number)

    def replace(*paths):
        done.append("renamed")
        rename(*paths)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert done[:2] == ["flushed", "renamed"]


def test_the_longest_name_that_a_folder_takes(tmp_path):
    path = tmp_path / ("ü" * 127)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_only_what_fails_to_be_written_is_said_to_want_another_folder(tmp_path):
    target = tmp_path / "run"
    with pytest.raises(PermissionError) as caught, writing(target, "a copy"):
        raise PermissionError(errno.EACCES, "Permission denied", str(target / "best"))
    assert not isinstance(caught.value, NotWritten), "it was read"
    elsewhere = str(tmp_path / "run2" / "x")
    with pytest.raises(NotWritten) as caught, writing(target, "a copy"), naming(elsewhere):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, elsewhere)
    with (
        pytest.raises(
            NotWritten, match=r"No space is left for .*best: .* or take a copy\."
        ),
        writing(target, "a copy"),
        naming(target / "best"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(NotWritten, match=r"Read-only file system: .*run\. .* take a copy\."),
        writing(target, "a copy"),
        naming(target),
    ):
        raise OSError(errno.EROFS, "Read-only file system")


def half_of_it(file):
    file.write_text("half")
    raise OSError(errno.EIO, "Input/output error")


def test_a_file_that_is_not_replaced_is_named(tmp_path):
    file = tmp_path / "file"
    with pytest.raises(NotWritten) as caught, replacing(file) as temporary:
        half_of_it(temporary)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(file))
    assert list(tmp_path.iterdir()) == []
