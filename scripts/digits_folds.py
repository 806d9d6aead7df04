"""Train the digits recipe on all five folds with both codings, and write the result.

    python scripts/digits_folds.py RUNS RESULTS

RUNS takes the run folders; RESULTS gets digits-folds.json, digits.png and, per fold and
coding, the log and the circumstances. Every image is tested once; the writers are not
separated between the folds.
"""

import json
import shutil
import statistics
import sys
from pathlib import Path

from bntt import load_recipe
from bntt.analysis.accuracy import evaluate_run
from bntt.machine.hardware import keep_freed_memory
from bntt.report import accuracy_over_time
from bntt.training.train import train

FOLDS = range(5)
CODINGS = {"direct": (), "poisson": ("encoder=poisson", "num_steps=10")}
SEEDS = {"direct": (0,), "poisson": (0, 1, 2)}


def fold_accuracies(coding: str, runs: Path, results: Path) -> dict:
    """Train and evaluate all folds; accuracy per fold and time-step, mean of the seeds."""
    accuracy, seconds = [], []
    for fold in FOLDS:
        name = f"digits-{coding}-fold{fold}"
        recipe = load_recipe("digits", [f"fold={fold}", *CODINGS[coding]])
        command = f"python scripts/digits_folds.py: {name}"
        seconds.append(train(recipe, runs / name, command=command)["seconds"])
        accuracy.append(evaluate_run(runs / name, seeds=SEEDS[coding]).mean)
        keep(runs / name, results / name)
    final = [steps[-1] for steps in accuracy]
    return {
        "accuracy": accuracy,
        "mean": statistics.fmean(final),
        "spread": statistics.stdev(final),
        "encoder_seeds": SEEDS[coding],
        "training_seconds": seconds,
    }


def keep(run: Path, folder: Path) -> None:
    """Copy what a number needs to be believed; the weights stay behind."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.toml", "run.json", "log.jsonl", "evaluation.json"):
        shutil.copy(run / name, folder)


def curve(folds: list[list[float]]) -> tuple[list[float], list[float]]:
    """Mean and deviation over the folds, per time-step."""
    steps = list(zip(*folds, strict=True))
    return [statistics.fmean(s) for s in steps], [statistics.stdev(s) for s in steps]


def main(runs: Path, results: Path) -> None:
    """Do all of it."""
    keep_freed_memory()
    found = {coding: fold_accuracies(coding, runs, results) for coding in CODINGS}
    (results / "digits-folds.json").write_text(json.dumps(found, indent=1) + "\n")
    accuracy_over_time(
        {f"{coding} coding": curve(value["accuracy"]) for coding, value in found.items()},
        results / "digits.png",
        "Digits, VGG5 with BNTT: mean of five folds",
        "bars: deviation over the folds",
    )
    for coding, value in found.items():
        print(
            f"{coding}: {value['mean']:.2%} ± {value['spread']:.2%}, training "
            f"{statistics.median(value['training_seconds']):.0f} s per fold"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
