"""Bytes per neuron and step: the slope of peak memory over the batch size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .launch import ELSEWHERE, run_job
from .plan import Setting


def run_memory(setting: Setting, say) -> dict[str, Any]:
    """Measure the bytes per neuron and step of this package and its baselines.

    The allocator is the system's own, since one that keeps what is freed has a peak that
    depends on the past.

    Raises:
        RuntimeError: If a process of the own environment fails.
    """
    batches = batch_sizes(setting.batch_size)
    found = []
    for implementation in setting.implementations():
        if implementation == "convolutions_only":  # it has no neurons
            continue
        for variant in setting.variants(implementation):
            say(" ".join(["memory:", implementation, *variant.values()]))
            slope = _slope(setting, implementation, variant, batches)
            found.append({"implementation": implementation, **variant, **slope})
    return {"batch_sizes": batches, "rows": found, "neurons": setting.job("bntt").neurons()}


def batch_sizes(largest: int) -> list[int]:
    """A quarter, a half, three quarters and all of the largest, at least 2."""
    return sorted({max(2, largest * quarter // 4) for quarter in (1, 2, 3, 4)})


def fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope, intercept and R² of the least-squares line."""
    slope, intercept = np.polyfit(x, y, 1)
    y_ = np.asarray(y)
    residual = y_ - (slope * np.asarray(x) + intercept)
    total = ((y_ - y_.mean()) ** 2).sum()
    unexplained = (residual**2).sum() / total if total else 0.0
    return float(slope), float(intercept), float(1 - unexplained)


def _slope(
    setting: Setting, implementation: str, variant: dict[str, str], batches: list[int]
) -> dict[str, Any]:
    peaks = []
    for batch_size in batches:
        job = setting.job(
            implementation,
            kind="memory",
            batch_size=batch_size,
            keep_freed_memory=False,
            **variant,
        )
        try:
            peaks.append(run_job(job, setting.baseline_python)["peak_bytes"])
        except RuntimeError as error:
            if implementation not in ELSEWHERE:
                raise
            return {"error": str(error), "peak_bytes": peaks}
    slope, intercept, r2 = fit(batches, peaks)
    per_step = slope / (job.neurons() * job.num_steps)
    return {
        "bytes_per_neuron_and_step": per_step,
        "bytes_before_any_image": intercept,
        "r2": r2,
        "peak_bytes": peaks,
    }
