"""Compile every Triton kernel for NVIDIA's GPUs, without one, and say what it takes.

    python scripts/gpu_compiled.py [--json FILE]

The operators are called as ever, on small tensors of the CPU, but each launch is compiled
for two architectures instead of run: with the very types, flags and alignments that it
would have on a GPU. Printed are registers of a thread, bytes that did not fit into them and
lie on the stack, and shared memory of a block. Exits with an error if anything does not
compile.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from bntt import ATan, FastSigmoid, Rectangle, Triangle
from bntt.ops.gpu import operators

ARCHITECTURES = (80, 90)
TYPES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
POINTERS = TYPES | {torch.int32: "i32"}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


def neurons() -> Iterator[tuple[torch.dtype, int, dict[str, Any], bool, bool]]:
    """Type, time-steps and neuron; then whether it learns, and whether spikes are read.

    The paper's neuron in every type and with every kind of segment; each reset, kept or
    detached, and each surrogate once.
    """
    soft = {"reset": "soft", "detach_reset": True, "surrogate": Triangle()}
    for dtype in TYPES:
        yield dtype, 25, soft, False, True
    yield torch.bfloat16, 4, soft, False, True
    yield torch.bfloat16, 8, soft, False, True
    kept = {"detach_reset": False}
    yield torch.float32, 9, soft | kept | {"surrogate": ATan()}, True, True
    yield torch.float32, 9, {"reset": "hard", "surrogate": Rectangle()} | kept, True, True
    yield (
        torch.float32,
        9,
        soft | {"reset": "hard", "surrogate": FastSigmoid()},
        False,
        True,
    )
    yield torch.float32, 9, soft | {"reset": "none"}, True, False


def launches(M: int = 2100, C: int = 64) -> list[tuple[JITFunction, tuple, dict]]:
    """What the operators launch: each kernel, its arguments and its options."""
    recorded: list[tuple[JITFunction, tuple, dict]] = []

    def record(
        kernel: JITFunction, *arguments: Any, grid: Any, warmup: bool, **options: Any
    ):
        recorded.append((kernel, arguments, options))

    JITFunction.run = record  # pyright: ignore[reportAttributeAccessIssue]
    for dtype, T, neuron, learns, spikes_read in neurons():
        z, wide = torch.zeros(T, M, C, dtype=dtype), torch.zeros(T, C)
        state = torch.zeros(M, C) if learns or not spikes_read else None
        scan = {"leak": 0.95, "v_threshold": 1.0, **neuron}
        operators.affine_lif_forward(
            z, wide, wide, state, keep_state=state is not None, **scan
        )
        operators.affine_lif_forward(
            z, wide, wide, state, keep_state=False, count_spikes=True, **scan
        )
        ds = z if spikes_read else None
        operators.affine_lif_backward(
            z, wide, wide, state, ds, state, learns=learns, **scan
        )
        operators.moments(z.repeat(1, 9, 1))
        operators.moments_backward(z, z, wide, wide, wide)
    return recorded


def compiled(launch: tuple[JITFunction, tuple, dict], architecture: int) -> Any:
    """A launch for an architecture, as Triton specialises it."""
    kernel, arguments, options = launch
    constant = {p.name for p in kernel.params if p.is_constexpr}
    signature, constants, attributes = {}, {}, {}
    for place, (name, value) in enumerate(zip(kernel.arg_names, arguments, strict=True)):
        if name in constant or value is None or (type(value) is int and value == 1):
            signature[name], constants[name] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[name] = f"*{POINTERS[value.dtype]}"
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i32" if value < 2**31 else "i64"
        number = value.data_ptr() if isinstance(value, torch.Tensor) else value
        if name not in constants and isinstance(number, int) and number % 16 == 0:
            attributes[place,] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constants, attributes)
    return triton.compile(source, GPUTarget("cuda", architecture, 32), dict(options))


def resources(kernel: Any) -> dict[str, int]:
    """Registers of a thread, its bytes on the stack, a block's shared memory, fused steps.

    The last are the instructions of the machine code that multiply and add at once.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage, code = (_dumped(file.name, what) for what in ("-res-usage", "-sass"))
    numbers = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    assert numbers, usage
    registers, stack = map(int, numbers.groups())
    fused = len(re.findall(r"\bFFMA\b", code))
    shared = kernel.metadata.shared
    return {"registers": registers, "stack": stack, "shared": shared, "fused": fused}


def _dumped(file: str, what: str) -> str:
    command = [str(CUOBJDUMP), what, file]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def described(launch: tuple[JITFunction, tuple, dict]) -> dict[str, Any]:
    """What tells a launch from the others: kernel, type, and whatever is a constant."""
    kernel, arguments, options = launch
    named = dict(zip(kernel.arg_names, arguments, strict=True))
    first = next(x for x in arguments if isinstance(x, torch.Tensor))
    flags = {p.name: named[p.name] for p in kernel.params if p.is_constexpr}
    absent = [name for name, value in named.items() if value is None]
    about = {"kernel": kernel.__name__, "type": TYPES[first.dtype], **flags}
    return about | {"absent": absent, "warps": options.get("num_warps", 4)}


def main() -> None:
    """Compile, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write it here, code included")
    found, seen = [], set()
    for launch in launches():
        about = described(launch)
        for architecture in ARCHITECTURES:
            key = json.dumps([about, architecture], sort_keys=True)
            if key in seen:
                continue
            seen.add(key)
            kernel = compiled(launch, architecture)
            row = {**about, "architecture": architecture, **resources(kernel)}
            found.append(row | {"ttir": kernel.asm["ttir"], "ptx": kernel.asm["ptx"]})
            flags = ("RESET", "SURROGATE", "LEAD", "SEGMENT")
            flags = [str(row[name]) for name in flags if name in row]
            print(
                f"{row['kernel']:15} {row['type']} sm_{architecture} "
                f"{row['registers']:4} registers {row['stack']:4} on the stack "
                f"{row['shared']:5} shared  {' '.join(flags)}"
            )
            sys.stdout.flush()
    if path := parser.parse_args().json:
        path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
