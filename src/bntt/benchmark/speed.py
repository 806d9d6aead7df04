"""Images per second of every implementation, in interleaved rounds."""

from statistics import median
from typing import Any

from .agreement import check
from .launch import ELSEWHERE, run_job
from .plan import BASELINES, Setting

PASSES = ("training", "inference")
HOPELESS = 1.5
"""A layout so many times slower than the best of its implementation is timed once only."""

Sample = dict[str, Any]


def run_speed(setting: Setting, say) -> dict[str, Any]:
    """Compare all implementations, time them, and see where this package's time goes.

    Raises:
        RuntimeError: If implementations disagree or one of the own environment fails.
    """
    say("checking that the implementations agree")
    result: dict[str, Any] = {"agreement": check(setting)}
    samples, about = _rounds(setting, say)
    result |= {
        "samples": samples,
        "about": about,
        "rows": rows(samples, setting.batch_size),
    }
    result["taken_by_others"] = max(max(s["taken_by_others"], default=0) for s in samples)
    say("profiling")
    result["profile"] = _profiles(setting)
    return result


def _rounds(setting: Setting, say) -> tuple[list[Sample], dict[str, Any]]:
    """Time everything in turn; returns the samples, and what each process ran on."""
    samples = [
        {
            "implementation": implementation,
            **variant,
            **{name: [] for name in PASSES},
            "taken_by_others": [],
        }
        for implementation in setting.implementations()
        for variant in setting.variants(implementation)
    ]
    about: dict[str, Any] = {}
    for number in range(setting.repeats):
        for sample in samples:
            wanted = tuple(p for p in PASSES if not hopeless(sample, samples, p))
            if wanted and "error" not in sample:
                label = " ".join(
                    sample[k] for k in ("implementation", "precision", "layout")
                )
                say(f"round {number + 1} of {setting.repeats}: {label}")
                about[sample["implementation"]] = _measure(setting, sample, wanted)
    return samples, about


def _measure(setting: Setting, sample: Sample, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Add one round to ``sample``, and return what the process ran on."""
    variant = {k: sample[k] for k in ("precision", "layout")}
    job = setting.job(sample["implementation"], passes=wanted, **variant)
    try:
        result = run_job(job, setting.baseline_python)
    except RuntimeError as error:
        if sample["implementation"] not in ELSEWHERE:
            raise
        sample["error"] = str(error)
        return {}
    for name in wanted:
        sample[name].append(result["seconds"][name])
    sample["taken_by_others"].append(max(result["taken_by_others"].values()))
    return {k: result[k] for k in ("threads", "versions")}


def hopeless(sample: Sample, samples: list[Sample], name: str) -> bool:
    """Whether another layout has already beaten this one clearly, all else the same."""
    if not sample[name]:
        return False
    same = ("implementation", "precision")
    layouts = [s for s in samples if s[name] and all(s[k] == sample[k] for k in same)]
    return seconds(sample, name) > HOPELESS * min(seconds(s, name) for s in layouts)


def seconds(sample: Sample, name: str) -> float:
    """The median over rounds; each round counts with the median of its passes."""
    return median(median(passes) for passes in sample[name])


def rows(samples: list[Sample], batch_size: int) -> list[dict[str, Any]]:
    """One row per pass, precision and implementation, in the better of its layouts.

    ``share_of_convolutions_only`` is the speed over that of the network's convolutions and
    linear layers alone, in the same precision, which no implementation can exceed.
    ``times_loop`` and ``times_spikingjelly`` compare with the best variant of those.
    """
    table = []
    for name in PASSES:
        timed = [s for s in samples if s[name]]
        for sample in _best_layouts(timed, name):
            same = [s for s in timed if s["precision"] == sample["precision"]]
            speed = batch_size / seconds(sample, name)
            row = {
                "pass": name,
                **{k: sample[k] for k in ("implementation", "precision", "layout")},
            }
            row |= {"images_per_second": speed, "rounds": len(sample[name])}
            bound = _best(same, "convolutions_only", name)
            row["share_of_convolutions_only"] = _ratio(speed, bound, batch_size)
            for baseline in BASELINES:
                best = _best(timed, baseline, name)
                row[f"times_{baseline}"] = _ratio(speed, best, batch_size)
            table.append(row)
    return table


def _best_layouts(samples: list[Sample], name: str) -> list[Sample]:
    best: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        key = (sample["implementation"], sample["precision"])
        if key not in best or seconds(sample, name) < seconds(best[key], name):
            best[key] = sample
    return list(best.values())


def _best(samples: list[Sample], implementation: str, name: str) -> float | None:
    """Seconds of an implementation's fastest variant, if it was measured."""
    mine = [seconds(s, name) for s in samples if s["implementation"] == implementation]
    return min(mine, default=None)


def _ratio(speed: float, best: float | None, batch_size: int) -> float | None:
    return None if best is None else speed * best / batch_size


def _profiles(setting: Setting) -> dict[str, Any]:
    """Seconds of this package's passes by part, per precision and pass."""
    found = {}
    for variant in setting.variants("bntt"):
        job = setting.job("bntt", kind="profile", **variant)
        found[variant["precision"]] = run_job(job)["profile"]
    return found
