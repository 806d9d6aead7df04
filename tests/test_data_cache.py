"""Caches: built once, whole or not at all, resumed after a kill, checked when opened."""

import errno
import json
import os
import sys
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_up_cache import ARRAYS, CHUNK, ROWS, assert_whole, build, fill, refuse

from bntt.data import cache
from bntt.data.cache import building, folder_of, room, verify
from bntt.data.cache import plan as planning
from bntt.data.cache.arrays import read_meta, write_meta
from bntt.data.cache.plan import Plan
from bntt.machine import files


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path))
    return tmp_path / "cache"


def test_what_is_built_is_opened_afterwards(folder):
    assert_whole(build())
    assert_whole(build(refuse))
    (made,) = folder.glob("made-*[0-9a-f]")
    assert sorted(path.name for path in made.iterdir()) == [
        "meta.json",
        "odd.npy",
        "squares.npy",
    ]
    assert len(made.name) == len("made-") + 12
    assert folder_of(build(refuse)["odd"][3:]) == made
    verify(made)


def test_each_key_and_each_shape_has_a_cache_of_its_own(folder):
    build()
    build(key=2)
    build(arrays=ARRAYS | {"odd": ((ROWS,), "uint8")})
    assert len(list(folder.glob("made-*/meta.json"))) == 3


def test_how_many_rows_are_made_at_a_time_changes_nothing(folder):
    build(chunk=7)
    assert_whole(build(refuse, chunk=50))


def test_what_is_written_to_the_arrays_stays_in_this_process():
    made = build()
    torch.from_numpy(made["squares"]).zero_()
    assert made["squares"].sum() == 0
    assert_whole(build(refuse))


def test_rows_that_are_not_filled_are_zero():
    assert build(lambda *_: None)["squares"].sum() == 0


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="must have one number of rows, at least 1"):
        build(arrays={"a": ((3,), "int64"), "b": ((4,), "int64")})
    with pytest.raises(ValueError, match="must have one number of rows, at least 1"):
        build(arrays={"a": ((0, 3), "int64")})


def test_the_first_chunk_that_fails_is_reported_and_the_others_stay():
    calls = []

    def broken(first, last, views):
        calls.append(first)
        if first in (30, 60):
            time.sleep(0.05 if first == 30 else 0)
            raise OSError(f"{first}.png cannot be read")
        fill(first, last, views)

    with pytest.raises(OSError, match=r"^30\.png cannot be read"):
        build(broken)
    finished = set(calls) - {30, 60}
    calls.clear()
    assert_whole(build(lambda *rows: (calls.append(rows[0]), fill(*rows))))
    assert set(calls) == set(range(0, ROWS, CHUNK)) - finished


def test_after_a_damaged_file_nothing_is_left(folder):
    def broken(first, last, views):
        fill(first, last, views)
        if last == ROWS:
            raise ValueError("cat.png is damaged")

    with pytest.raises(ValueError, match=r"cat\.png"):
        build(broken)
    assert [path.suffix for path in folder.iterdir()] in ([], [".lock"])


JOURNALS = {
    "empty": "",
    "of other chunks": '{"chunk": 3}',
    "cut short": '{"chunk": 10}\n{"first": 0, "sh',
    "of other lines": '{"chunk": 10}\n[]\n7\n{"first": "x", "sha256": 1}\n{"first": 0}',
    "of lies": '{"chunk": 10}\n{"first": 0, "sha256": {"odd": "00", "squares": "00"}}',
}


@pytest.mark.parametrize("journal", JOURNALS.values(), ids=JOURNALS)
def test_a_journal_that_does_not_fit_starts_over(folder, journal):
    with pytest.raises(RuntimeError):
        build(lambda *_: (_ for _ in ()).throw(RuntimeError))
    (part,) = folder.glob("*.part")
    (part / "journal.jsonl").write_text(journal)
    assert_whole(build())


def test_rows_that_were_lost_after_they_were_journalled_are_made_again(folder):
    def stop_at_the_last(first, last, views):
        if last == ROWS:
            raise RuntimeError("the power fails")
        fill(first, last, views)

    with pytest.raises(RuntimeError):
        build(stop_at_the_last)
    (part,) = folder.glob("*.part")
    lost = np.lib.format.open_memmap(part / "squares.npy", "r+")
    lost[20:25] = 0
    lost.flush()
    made = build()
    assert_whole(made)
    verify(folder_of(made["odd"]))


def test_no_more_than_the_chunks_at_work_are_in_memory():
    rows = {"images": ((400, 40_000), "uint8")}  # 16 MB
    tracemalloc.start()
    made = build(lambda *_: None, arrays=rows, chunk=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made["images"].nbytes == 16_000_000
    assert peak < 400_000 * 4 * planning.cores()


def truncated(made):
    os.truncate(made / "odd.npy", (made / "odd.npy").stat().st_size - 1)


def another_header(made):
    np.save(made / "odd.npy", np.zeros(ROWS, dtype=np.uint8))


DAMAGES = {
    "an array cut short": truncated,
    "an array of another type": another_header,
    "an array that is gone": lambda made: (made / "odd.npy").unlink(),
    "an array that is empty": lambda made: (made / "odd.npy").write_bytes(b""),
    "no meta": lambda made: (made / "meta.json").unlink(),
    "meta cut short": lambda made: os.truncate(made / "meta.json", 20),
    "meta without checksums": lambda made: (made / "meta.json").write_text("{}"),
    "meta of nothing": lambda made: (made / "meta.json").write_text("[" * 5000),
    "meta that was edited": lambda made: edit(made, lambda meta: meta["sha256"].clear()),
    "meta of another": lambda made: write_meta(made, read_meta(made) | {"digest": "0"}),
    "a bit that is another": lambda made: flip(made / "odd.npy", -1),
}


def edit(made, change):
    meta = json.loads((made / "meta.json").read_text())
    change(meta)
    (made / "meta.json").write_text(json.dumps(meta))


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_named_as_what_to_delete(damage):
    made = folder_of(build()["odd"])
    damage(made)
    with pytest.raises(ValueError, match=rf"cache {made} is damaged .*Delete that folder"):
        build(refuse)


def test_verify_finds_a_single_bit():
    made = folder_of(build()["odd"])
    path = made / "squares.npy"
    before = path.stat()
    changed = np.lib.format.open_memmap(path, "r+")
    changed[57, 1, 2] ^= 1
    changed.flush()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if a disk had failed
    with pytest.raises(
        ValueError, match=rf"{made} .*rows 50 to 59 of squares have changed"
    ):
        verify(made)


def test_a_full_disk_is_said_in_one_line(monkeypatch, folder):
    def full(path, first, rows):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(building, "write_rows", full)
    expected = rf"cache {folder}.* cannot be written: the disk is full\. It .*BNTT_DATA"
    with pytest.raises(OSError, match=expected) as caught:
        build()
    assert "No space left" not in str(caught.value)  # would be taken for the run's folder
    assert not list(folder.glob("*.part"))  # the room is others' to use


def test_a_cache_folder_that_cannot_be_made_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "file"))
    with pytest.raises(
        OSError, match=r"file/cache/made-\w+ cannot be written: .*BNTT_DATA"
    ):
        build()


def test_an_error_of_the_source_is_left_as_it_is():
    def unreadable(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "cat.png")

    with pytest.raises(PermissionError, match=r"Permission denied: 'cat\.png'"):
        build(unreadable)


@pytest.mark.parametrize("gone", ["filelock", "pooch"])
def test_without_a_package_the_extra_is_named(monkeypatch, gone):
    monkeypatch.setitem(sys.modules, gone, None)
    if gone == "pooch":
        build()
        monkeypatch.delenv("BNTT_DATA")
    with pytest.raises(ImportError, match=r"pip install .*\[data\]"):
        build(key=2)


def test_a_hundred_thousand_rows_open_at_once():
    rows = {"images": ((100_000, 64), "uint8"), "sums": ((100_000, 2, 3), "int64")}
    build(lambda *_: None, arrays=rows, chunk=500)
    start = time.perf_counter()
    build(refuse, arrays=rows, chunk=500)
    assert time.perf_counter() - start < 0.5


def test_a_cache_that_was_copied_is_read_whole_once(folder, monkeypatch):
    made = folder_of(build()["odd"])
    for path in made.glob("*.npy"):
        os.utime(path)
    calls = []
    monkeypatch.setattr(cache, "verify", lambda folder: calls.append(folder))
    for _ in range(2):
        assert_whole(build(refuse))
    assert calls == [made]


def test_what_a_killed_process_left_of_a_caches_description_goes(folder):
    made = folder_of(build()["odd"])
    left = made / f".meta.json.{files._HOST}.{2**22 + 1}.0.tmp"
    left.write_text("{")
    os.utime(made / "odd.npy")
    assert_whole(build(refuse))
    assert not left.exists()
    assert cache.read_meta(made)["dates"]["odd"][1] == (made / "odd.npy").stat().st_mtime_ns


def test_a_cache_that_cannot_be_written_to_is_checked_each_time(folder, monkeypatch):
    made = folder_of(build()["odd"])
    os.utime(made / "odd.npy")

    def readonly(*_):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cache, "write_meta", readonly)
    assert_whole(build(refuse))
    flip(made / "odd.npy", -1)
    with pytest.raises(ValueError, match="rows 90 to 94 of odd have changed"):
        build(refuse)


def test_a_cache_without_room_is_refused_before_anything_is_written(folder):
    arrays = {"frames": ((40, 20, 2, 65536, 65536), "uint8")}
    expected = r"would take 6,871,948 MB, but only [\d,]+ MB are free there\. Make room"
    with pytest.raises(OSError, match=expected):
        build(refuse, arrays=arrays)
    assert not folder.exists()


def test_what_is_there_of_a_cache_needs_no_room_twice(folder, monkeypatch):
    def stop(first, last, views):
        fill(first, last, views)
        if last == ROWS:
            raise OSError("the power fails")

    with pytest.raises(OSError, match="power"):
        build(stop)
    blocks = room.taken(next(folder.glob("*.part")))
    arrays = Plan(ARRAYS, CHUNK).nbytes
    assert 0 < blocks
    usage = SimpleNamespace(total=1 << 40, free=max(0, arrays - blocks))
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage)
    assert_whole(build())


def test_a_drive_that_does_not_say_its_room_is_written_to(monkeypatch):
    monkeypatch.setattr(
        room.shutil, "disk_usage", lambda _: SimpleNamespace(total=0, free=0)
    )
    assert_whole(build())


@pytest.mark.parametrize(
    ("row", "chunk", "at_work", "threads"),
    [(1, 10, 0, 8), (1 << 20, 256, 0, 4), (1 << 30, 1, 0, 1), (1, 10, 1 << 29, 1)],
)
def test_large_chunks_are_made_on_fewer_threads(monkeypatch, row, chunk, at_work, threads):
    monkeypatch.setattr(planning, "cores", lambda: 8)
    plan = Plan({"a": ((1000, row), "uint8")}, chunk, at_work)
    assert plan.threads == threads


def test_the_platforms_folder_is_taken_unless_another_is_named(monkeypatch, tmp_path):
    import pooch

    assert cache.cache_folder() == tmp_path
    monkeypatch.setenv("BNTT_DATA", "~/sets")
    assert cache.cache_folder() == Path.home() / "sets"
    monkeypatch.delenv("BNTT_DATA")
    assert cache.cache_folder() == pooch.os_cache("bntt")
