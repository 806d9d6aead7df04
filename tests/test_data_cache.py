"""Caches: built once, whole or not at all, resumed after a kill, checked when opened."""

import errno
import json
import os
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_cache import ARRAYS, CHUNK, ROWS, assert_whole, build, fill, refuse

from bntt.data import cache, cache_build
from bntt.data.cache import fingerprint, folder_of, verify


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
            raise ValueError(f"{first}.png is damaged")
        fill(first, last, views)

    with pytest.raises(ValueError, match=r"^30\.png is damaged"):
        build(broken)
    finished = set(calls) - {30, 60}
    calls.clear()
    assert_whole(build(lambda *rows: (calls.append(rows[0]), fill(*rows))))
    assert set(calls) == set(range(0, ROWS, CHUNK)) - finished


@pytest.mark.parametrize("journal", ["", '{"chunk": 3}', '{"chunk": 10}\n{"first": 0, "sh'])
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
    assert peak < 400_000 * 4 * cache_build._cores()


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
    "meta of another": lambda made: (made / "meta.json").write_text(
        json.dumps({"digest": "0", "rows": 1, "chunk": 1, "sha256": {}})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_named_as_what_to_delete(damage):
    made = folder_of(build()["odd"])
    damage(made)
    with pytest.raises(ValueError, match=rf"cache {made} is damaged .*Delete that folder"):
        build(refuse)


def test_verify_finds_a_single_bit():
    made = folder_of(build()["odd"])
    changed = np.lib.format.open_memmap(made / "squares.npy", "r+")
    changed[57, 1, 2] ^= 1
    changed.flush()
    with pytest.raises(
        ValueError, match=rf"{made} .*rows 50 to 59 of squares have changed"
    ):
        verify(made)


def test_a_full_disk_is_said_in_one_line(monkeypatch, folder):
    def full(path, first, rows):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(cache_build, "_write_rows", full)
    expected = rf"cache {folder}.* cannot be written: the disk is full\. It .*BNTT_DATA"
    with pytest.raises(OSError, match=expected) as caught:
        build()
    assert "No space left" not in str(caught.value)  # would be taken for the run's folder


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
    with pytest.raises(ImportError, match=r"pip install bntt\[data\]"):
        build(key=2)


def test_a_hundred_thousand_rows_open_at_once():
    rows = {"images": ((100_000, 64), "uint8"), "sums": ((100_000, 2, 3), "int64")}
    build(lambda *_: None, arrays=rows, chunk=500)
    start = time.perf_counter()
    build(refuse, arrays=rows, chunk=500)
    assert time.perf_counter() - start < 0.5


def test_a_fingerprint_depends_on_names_and_sizes_and_not_on_their_order():
    files = [("a/1.png", 10), ("b/2.png", 20)]
    assert fingerprint(files) == fingerprint(reversed(files))
    assert len(fingerprint(files)) == 64
    others = [[("a/1.png", 11), files[1]], [("a/2.png", 10), files[1]], files[:1], []]
    assert len({fingerprint(other) for other in [files, *others]}) == 5
    fingerprint([(os.fsdecode(b"\xff.png"), 1)])  # no text, but a name


def test_the_platforms_folder_is_taken_unless_another_is_named(monkeypatch, tmp_path):
    import pooch

    assert cache.cache_folder() == tmp_path
    monkeypatch.setenv("BNTT_DATA", "~/sets")
    assert cache.cache_folder() == Path.home() / "sets"
    monkeypatch.delenv("BNTT_DATA")
    assert cache.cache_folder() == pooch.os_cache("bntt")
