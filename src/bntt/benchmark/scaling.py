"""Seconds of a training step against the number of time-steps and the batch size."""

from statistics import median
from typing import Any

from ..machine.hardware import precision
from .launch import run_job
from .memory import fit
from .plan import Setting

STEPS, AT_BATCH = (10, 25, 50, 100), 8
BATCHES, AT_STEPS = (8, 16, 32, 64), 10
QUICK_STEPS, QUICK_BATCHES = (2, 4), (2, 4)


def run_scaling(setting: Setting, say) -> dict[str, Any]:
    """Time training over ``T`` at one batch size, and over batch sizes at one ``T``.

    Raises:
        RuntimeError: If a process fails.
    """
    steps, at_batch = (QUICK_STEPS, 2) if setting.quick else (STEPS, AT_BATCH)
    batches, at_steps = (QUICK_BATCHES, 2) if setting.quick else (BATCHES, AT_STEPS)
    number, _ = precision("auto")
    over_steps = [{"num_steps": t, "batch_size": at_batch} for t in steps]
    over_batch = [{"num_steps": at_steps, "batch_size": n} for n in batches]
    points = [{**point, "seconds": []} for point in (*over_steps, *over_batch)]
    for k in range(setting.repeats):
        for point in points:
            sizes = {key: point[key] for key in ("num_steps", "batch_size")}
            say(f"round {k + 1} of {setting.repeats}: {sizes}")
            job = setting.job("bntt", passes=("training",), precision=number, **sizes)
            point["seconds"].append(median(run_job(job)["seconds"]["training"]))
    lines = [
        line(points[: len(steps)], "num_steps"),
        line(points[len(steps) :], "batch_size"),
    ]
    return {"precision": number, "points": points, "rows": lines}


def line(points: list[dict[str, Any]], over: str) -> dict[str, Any]:
    """The least-squares line through points, and whether the cost grows with the size.

    Args:
        points: Sizes and seconds, from the smallest to the largest.
        over: The size that they differ in.
    """
    x = [point[over] for point in points]
    y = [median(point["seconds"]) for point in points]
    slope, intercept, r2 = fit(x, y)
    return {
        "over": over,
        "at": {k: v for k, v in points[0].items() if k not in (over, "seconds")},
        "values": x,
        "seconds": y,
        "seconds_per_unit": slope,
        "seconds_at_zero": intercept,
        "r2": r2,
        "cost_per_unit_last_over_first": (y[-1] / x[-1]) / (y[0] / x[0]),
    }
