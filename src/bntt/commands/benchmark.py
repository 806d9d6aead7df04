"""The command ``bntt benchmark``: speed and memory beside other implementations."""

from pathlib import Path
from typing import Annotated

import typer

from ..machine import terminal
from ..machine.not_written import writing
from ..machine.shortage import fitting
from .options import Json, expanded, print_json

Python = Annotated[
    Path | None,
    typer.Option(metavar="FILE", parser=expanded, help="SpikingJelly's Python."),
]
FormerPython = Annotated[
    Path | None,
    typer.Option(parser=expanded, hidden=True, help="--baseline-python in version 0.1."),
]

FEWER_IMAGES = "Lower --batch-size or --num-steps"


def benchmark(
    what: Annotated[str, typer.Argument(help="speed, memory or scaling.")] = "speed",
    batch_size: Annotated[int, typer.Option(min=2, help="Images per pass.")] = 32,
    num_steps: Annotated[int, typer.Option(min=1, help="Time-steps.")] = 25,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 5,
    baseline_python: Python = None,
    peer_python: FormerPython = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=expanded, help="JSON file for all samples."),
    ] = None,
    allocator: Annotated[
        str, typer.Option(help="keep or system: who keeps freed memory.")
    ] = "keep",
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it runs.")] = False,
    as_json: Json = False,
) -> None:
    """Measure speed or memory beside other implementations of the same network.

    Let the machine have nothing else to do.
    """
    from .. import benchmark as bench

    with writing(out or Path(), "another file with --out"), fitting(FEWER_IMAGES):
        result = bench.run(
            what,
            batch_size=batch_size,
            num_steps=num_steps,
            repeats=repeats,
            baseline_python=baseline_python or peer_python,
            out=out,
            allocator=allocator,
            quick=quick,
            console=terminal.Beside(),
        )
    if as_json:
        print_json(**result)
    else:
        terminal.table(bench.table(result))
        if what == "speed":
            terminal.table(bench.profile_table(result))
