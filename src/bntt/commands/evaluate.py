"""The command ``bntt evaluate``: the accuracy of a run on the whole test set."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..machine.shortage import fitting
from ..machine.terminal import note, out
from .drawing import drawn
from .exits import Delta, Exit, MaxLoss, MeanSteps, Threshold, choice_of, print_exit
from .options import (
    FEWER_STEPS,
    Data,
    Device,
    Json,
    Run,
    Steps,
    expanded,
    folder_of,
    print_json,
)
from .tables import DIGEST, FEW, print_digests, print_table

if TYPE_CHECKING:
    from ..analysis.early_exit.choice import ExitChoice
    from ..analysis.evaluation import Evaluation
else:
    # importing them brings torch, for which bntt --help does not wait
    Evaluation = ExitChoice = Any


def evaluate(
    run: Run,
    data: Data = None,
    num_steps: Steps = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many encoder seeds; Poisson coding: 3.")
    ] = None,
    device: Device = "auto",
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=expanded, help="Draw it, as PNG or PDF."),
    ] = None,
    exit: Exit = None,
    threshold: Threshold = None,
    max_loss: MaxLoss = None,
    mean_steps: MeanSteps = None,
    delta: Delta = None,
    as_json: Json = False,
) -> None:
    """Measure the accuracy after every time-step on the whole test set.

    With --exit: what stopping early saves, and what it costs in accuracy.
    """
    from ..analysis.accuracy import evaluate_run
    from ..machine.hardware import keep_freed_memory
    from ..runs.folder import RunFolder

    keep_freed_memory()
    choice = choice_of(exit, threshold, max_loss, mean_steps, delta)
    run = folder_of(run)
    if choice is not None:
        _refuse_beside_exit({"--seeds": seeds, "--figure": figure})
        _evaluate_exit(run, choice, data, num_steps, device, as_json)
        return
    if figure is not None:
        from ..report import check_target

        check_target(figure)
    with fitting(FEWER_STEPS):
        result = evaluate_run(
            run,
            data=data,
            seeds=None if seeds is None else tuple(range(seeds)),
            num_steps=num_steps,
            device=device,
        )
    checkpoint = RunFolder(run).best
    if as_json:
        print_json(checkpoint=str(checkpoint), **result.to_dict())
    else:
        print_evaluation(result, checkpoint)
    for warning in result.warnings:
        note(f"Note: {warning}")
    if figure is not None and not _drawn(result, run.name, figure):
        raise typer.Exit(1)


def _refuse_beside_exit(options: Mapping[str, Any]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ValueError(
            f"{' and '.join(given)} is of the accuracy after every time-step, which is not "
            f"what --exit measures. Leave it out, or leave out --exit."
        )


def _evaluate_exit(
    run: Path,
    choice: ExitChoice,
    data: Path | None,
    num_steps: int | None,
    device: str,
    as_json: bool,
) -> None:
    from ..analysis.early_exit.of_run import exit_of_run
    from ..runs.folder import RunFolder

    with fitting(FEWER_STEPS):
        found = exit_of_run(run, choice, data=data, num_steps=num_steps, device=device)
    checkpoint = RunFolder(run).best
    if as_json:
        print_json(checkpoint=str(checkpoint), **found.to_dict())
    else:
        print_exit(found, checkpoint)
    for warning in found.warnings:
        note(f"Note: {warning}")


def print_evaluation(result: Evaluation, checkpoint: Path) -> None:
    """Print the accuracy after every time-step, and what it was measured on."""
    several = result.std is not None
    seeds = f", mean ± deviation over {len(result.seeds)} encoder seeds" if several else ""
    out(f"{checkpoint} on {result.whole}{seeds}")
    rows = []
    stds = result.std or [0.0] * len(result.mean)
    found = zip(result.mean, stds, result.interval, strict=True)
    for t, (mean, std, (low, high)) in enumerate(found, 1):
        share = f"{100 * mean:.2f} ± {100 * std:.2f} %" if several else f"{mean:.2%}"
        correct = f"{mean * result.images:.{int(several)}f} of {result.images}"
        rows.append((str(t), share, f"{100 * low:.2f} to {100 * high:.2f}", correct))
    print_table(("step", "accuracy", "interval", "correct"), rows)
    out(
        f"Interval: Wilson's, 95 %, for {result.images} images. In {result.precision} on "
        f"{result.device}, {_sources(result.commit)}."
    )
    digests = dict(result.source)
    if result.split_sha256:
        digests["which samples test"] = result.split_sha256
    print_digests(dict(islice(digests.items(), FEW)))
    if result.note:
        out(f"Note: {result.note}")


def _sources(commit: str) -> str:
    """The commit in short, or what stands in its place (`bntt.runs.provenance.commit`)."""
    if " " in commit:
        return f"bntt {commit}"
    changed = ", changed since" if commit.endswith("+") else ""
    return f"commit {commit[:DIGEST]}{changed}"


def _drawn(result: Evaluation, name: str, figure: Path) -> bool:
    """Draw the accuracy after every time-step; returns whether that went well."""
    from ..report import accuracy_over_time

    curve = {name: (result.mean, result.std or result.interval)}
    words = result.whole, _bars(result)
    return drawn(lambda path: accuracy_over_time(curve, path, *words), figure)


def _bars(result: Evaluation) -> str:
    """Say what the error bars of the figure are."""
    if result.std is None:
        return f"bars: Wilson's 95 % interval for {result.images} images"
    return f"bars: deviation over {len(result.seeds)} encoder seeds"
