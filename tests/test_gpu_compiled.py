"""Triton's kernels compiled for real GPUs, without one, and what the machine code shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from bntt.ops.gpu import triton_fault

pytest.importorskip("triton", reason="Triton is made for Linux, and optional")
if fault := triton_fault():
    pytest.skip(fault, allow_module_level=True)
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_compiled.py"
KERNELS = {
    "forward", "backward", "block_moments", "merge_moments", "merge_sums", "centre_and_add"
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory, worker_id):
    """Every launch of the operators for every architecture, compiled anew, once in all."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":  # one of several processes, whose folders lie side by side
        folder = folder.parent
    found = folder / "compiled.json"
    with FileLock(folder / "compiled.lock"):
        if not found.exists():
            _compile(found, folder / "compiled")
    return json.loads(found.read_text(encoding="utf-8"))


def _compile(found, cache):
    env = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    env["TRITON_CACHE_DIR"] = str(cache)
    draft = found.with_suffix(".part")
    command = [sys.executable, str(SCRIPT), "--json", str(draft)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    draft.replace(found)


def identity(row, *without):
    """What a kernel is told apart by, but for these."""
    left_out = {"ttir", "ptx", "registers", "stack", "shared", "fused", *without}
    return json.dumps({k: v for k, v in row.items() if k not in left_out}, sort_keys=True)


def test_every_kernel_compiles_for_every_architecture(compiled):
    for architecture in (80, 90):
        rows = [row for row in compiled if row["architecture"] == architecture]
        assert {row["kernel"] for row in rows} == KERNELS
        assert all(f".target sm_{architecture}" in row["ptx"] for row in rows)
        scans = [row for row in rows if row["kernel"] == "backward"]
        assert {row["type"] for row in scans} == {"fp32", "fp16", "bf16"}
        assert {row["RESET"] for row in scans} == {"soft", "hard", "none"}
        assert len({row["SURROGATE"] for row in scans}) == 5


def test_little_of_a_thread_lies_outside_of_its_registers(compiled):
    # of 8 steps, 4 numbers each, a thread of the backward scan holds membrane, current and
    # gradient: up to 384 bytes, beside which 512 bytes of registers leave little
    for row in compiled:
        assert row["registers"] <= (128 if row["kernel"] == "backward" else 168)
        learns = row["kernel"] == "backward" and "sums_own" not in row["absent"]
        assert row["stack"] <= (400 if learns else 256), identity(row)


def test_nothing_is_added_in_an_order_that_chance_decides(compiled):
    assert not [identity(row) for row in compiled if "atom" in row["ptx"]]
    assert not [identity(row) for row in compiled if re.search(r"\bred\.", row["ptx"])]


def test_no_product_is_fused_with_a_sum(compiled):
    # a division in float32 is made of fused steps, which round as a division does
    for row in compiled:
        divides = row["kernel"] in ("block_moments", "merge_moments")
        if not divides and row.get("SURROGATE") not in ("ATan", "FastSigmoid"):
            assert row["fused"] == 0, identity(row)
    assert any(row["fused"] for row in compiled), "divisions should have been seen"


def without_places(ttir):
    """Triton's own code without its notes on lines of the source."""
    return re.sub(r"loc\([^)]*\)+|#loc.*", "", ttir)


def test_bfloat16_is_what_float16_is(compiled):
    """The interpreter proves float16; in bfloat16 only the name of the type is another."""
    halves = [
        {identity(row, "type"): row for row in compiled if row["type"] == name}
        for name in ("fp16", "bf16")
    ]
    common = halves[0].keys() & halves[1].keys()
    assert {halves[0][key]["kernel"] for key in common} == {
        "forward", "backward", "block_moments", "centre_and_add"
    }  # fmt: skip
    for key in common:
        other, ours = (without_places(half[key]["ttir"]) for half in halves)
        assert "bf16" in ours
        assert ours.replace("bf16", "f16") == other
        # calculated with as float32, and rounded to the nearest
        assert not re.search(r"(add|sub|mul|fma)\S*\.bf16", halves[1][key]["ptx"])
        if halves[1][key]["kernel"] in ("backward", "centre_and_add"):
            assert "cvt.rn.bf16" in halves[1][key]["ptx"]


def test_memory_is_read_and_written_sixteen_bytes_at_a_time(compiled):
    for row in compiled:
        if row["kernel"] in ("forward", "centre_and_add"):
            assert "ld.global.v4" in row["ptx"]
            assert "st.global.v4" in row["ptx"]


def test_offsets_past_the_range_of_int32_are_calculated(compiled):
    for row in compiled:
        steps = re.findall(
            r"tt\.addptr .*: tensor<([0-9x]+)x!tt.*tensor<\S+xi(\d+)>", row["ttir"]
        )
        assert steps
        # offsets along rows, two axes, may be past it; those along the channels are not
        assert all(bits == "64" for shape, bits in steps if shape.count("x") == 1)
