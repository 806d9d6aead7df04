"""Compiled kernels on disk: damaged, out of date, without a place, or not wanted at all."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bntt
from bntt.ops.cpu import kernel_cache
from bntt.ops.cpu.kernel_cache import CheckedFiles

SOURCE = Path(bntt.__file__).parent
STEP = """
import torch
from bntt.ops import moments
from bntt.ops.cpu import kernels
print(*(x.item() for x in moments(torch.tensor([[[1.0], [3.0]]]))[1:]))
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in vars(kernels).values()
          if hasattr(kernel, "stats")))
"""
RIGHT = "2.0 1.0"


def run(program, **environment):
    """What a Python program in a process of its own prints, and what it says aside."""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(SOURCE.parent)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines(), result.stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder of kernels as one small step leaves it."""
    folder = tmp_path_factory.mktemp("kernels")
    (numbers, compiled), said = run(STEP, NUMBA_CACHE_DIR=str(folder))
    assert numbers == RIGHT
    assert compiled == "2"
    assert said.splitlines() == ["bntt: compiling the CPU kernels (a few seconds)"]
    return folder


def kernels_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_is_not_compiled_again_and_nothing_is_said(kept):
    (numbers, compiled), said = run(STEP, NUMBA_CACHE_DIR=str(kept))
    assert (numbers, compiled, said) == (RIGHT, "0", "")


WAYS = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "garbage": lambda data: bytes(range(256)) * 9,
    "one bit": lambda data: data[:-99] + bytes([data[-99] ^ 4]) + data[-98:],
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_damaged_kernels_are_compiled_again_and_replaced(way, kept, tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    shutil.copytree(kept, folder)
    spoilt = {path: WAYS[way](path.read_bytes()) for path in kernels_in(folder)}
    assert len(spoilt) == 2
    for path, data in spoilt.items():
        path.write_bytes(data)
    (numbers, compiled), said = run(STEP, NUMBA_CACHE_DIR=str(folder))
    assert (numbers, compiled) == (RIGHT, "2")
    assert "compiling" in said
    assert kernels_in(folder) == sorted(spoilt)
    for path in spoilt:  # each has been replaced
        files = CheckedFiles(folder, "any")
        monkeypatch.setattr(files, "_path", lambda key, path=path: path)
        assert files.load("any") is not None


def test_every_file_may_be_damaged_in_every_way(kept, monkeypatch):
    for path in kernels_in(kept):
        name, whole = path.name.split(".")[0], path.read_bytes()
        files = CheckedFiles(kept, name)
        monkeypatch.setattr(files, "_path", lambda key, path=path: path)
        assert files.load("any") is not None
        for way in WAYS.values():
            path.write_bytes(way(whole))
            assert files.load("any") is None
        path.write_bytes(whole)


@pytest.mark.parametrize("source", kernel_cache.SOURCES)
def test_a_change_of_any_source_is_compiled(source, tmp_path, monkeypatch):
    for name in kernel_cache.SOURCES:
        shutil.copy(SOURCE / "ops" / "cpu" / name, tmp_path)
    monkeypatch.setattr(kernel_cache, "__file__", str(tmp_path / "kernel_cache.py"))
    files = CheckedFiles(tmp_path, "kernel")
    kernel_cache._made_by.cache_clear()
    try:
        files.save("signature", [1, 2])
        assert files.load("signature") == [1, 2]
        assert files.load("another") is None
        with (tmp_path / source).open("a", encoding="utf-8") as f:
            f.write("\n# changed\n")
        kernel_cache._made_by.cache_clear()
        assert files.load("signature") is None
        files.save("signature", [3])
        assert files.load("signature") == [3]
    finally:
        kernel_cache._made_by.cache_clear()


def test_all_sources_of_kernels_are_known():
    """Whatever kernels.py imports of this package decides their machine code."""
    text = (SOURCE / "ops" / "cpu" / "kernels.py").read_text(encoding="utf-8")
    imported = [line.split()[1] for line in text.splitlines() if line.startswith("from .")]
    assert imported == [".", ".bfloat16"]  # the first is kernel_cache itself
    assert kernel_cache.SOURCES == ("bfloat16.py", "kernels.py")


def test_a_full_disk_is_said_once_and_ends_nothing(tmp_path, monkeypatch, caplog):
    def full(path, data):
        raise OSError(28, "No space left on device")

    def function(x):
        return x + 1

    kernel_cache._say_unkept.cache_clear()
    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING, "bntt"):
        for _ in range(2):
            import numba

            monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
            compiled = numba.njit(function)
            kernel_cache.keep(compiled)
            assert compiled(2) == 3
            assert compiled(2.5) == 3.5
    said = [text for text in caplog.messages if "cannot be kept" in text]
    assert len(said) == 1
    assert "No space left" in said[0]
    assert "NUMBA_CACHE_DIR" in said[0]
    assert not list(tmp_path.rglob("*.nbc"))


def test_without_compiling_the_reference_runs_and_the_kernels_say_why():
    program = """
import torch, bntt
from bntt.ops import moments
print(*moments(torch.tensor([[[1.0], [3.0]]]))[1:])
print(bntt.backend_report()["cpu"])
try:
    with bntt.backend("cpu"):
        moments(torch.zeros(1, 2, 1))
except RuntimeError as error:
    print(error)
"""
    (numbers, report, refusal), said = run(program, NUMBA_DISABLE_JIT="1")
    assert numbers == "tensor([[2.]]) tensor([[1.]])"
    assert report == "reference: NUMBA_DISABLE_JIT is set, so there are no compiled kernels"
    assert 'Unset that variable, or use backend "auto"' in refusal
    assert said == ""
