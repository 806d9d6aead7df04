"""One measurement, one fresh process."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .implementations.job import Job

HERE = Path(__file__).parent
FOLDER = HERE / "implementations"
ELSEWHERE = {"spikingjelly"}
"""Implementations that live in an environment of their own."""


def run_job(job: Job, baseline_python: Path | None = None) -> dict[str, Any]:
    """Run a job alone in a process of its own, and return its result.

    Args:
        job: What to measure.
        baseline_python: Python of the environment that holds SpikingJelly.

    Raises:
        RuntimeError: If the process fails.
    """
    done = subprocess.run(
        [*_command(job, baseline_python), json.dumps(asdict(job))],
        env=os.environ | {"PYTHONPATH": _path(job)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        what = f"{job.implementation} ({job.kind}, {job.precision}, {job.layout})"
        end = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise RuntimeError(
            f"Measuring {what} failed with exit code {done.returncode}"
            f"{' (killed: too little memory?)' if done.returncode == -9 else ''}. {end}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def _command(job: Job, baseline_python: Path | None) -> list[str]:
    # -P: what lies in the current folder must not be imported by accident
    if job.implementation in ELSEWHERE:
        return [str(baseline_python), "-P", "-m", FOLDER.name]
    return [sys.executable, "-P", "-m", f"{__package__}.{FOLDER.name}"]


def _path(job: Job) -> str:
    """What the process may import: elsewhere only the folder of the implementations."""
    if job.implementation in ELSEWHERE:
        return str(HERE)
    return os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
