"""What a number was measured on: commit, versions, machine, threads."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ..machine.hardware import processor
from ..ops import backend_report
from ..version import __version__

PACKAGES = ("torch", "numpy", "numba", "safetensors", "accelerate")


def circumstances() -> dict[str, Any]:
    """Commit, versions, machine and threads, as plain values for a result file."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "backend": backend_report(),
    }


def _version(package: str) -> str:
    """The version of an installed package; a copy that was not installed has none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """The commit of the source tree, or outside of a repository the version.

    A ``+`` at the end says that the tree was changed since that commit.
    """
    here = Path(__file__).parents[1]
    try:
        run = {"capture_output": True, "encoding": "utf-8", "check": True, "cwd": here}
        # an installed copy may lie inside somebody else's repository
        subprocess.run(["git", "ls-files", "--error-unmatch", "version.py"], **run)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **run).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "."], **run).stdout
        return commit + ("+" if changed else "")
    except (OSError, ValueError, subprocess.CalledProcessError):
        return f"version {__version__}"
