"""The command ``bntt energy``: what a run's network costs, in operations and joules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..machine.shortage import fitting
from ..machine.terminal import note, out
from .exits import Delta, Exit, MaxLoss, MeanSteps, Threshold, choice_of
from .options import FEWER_STEPS, Data, Device, Json, Run, Steps, folder_of, print_json
from .tables import print_table

if TYPE_CHECKING:
    from ..analysis.energy import Energy
    from ..analysis.energy.of_run import RunEnergy
else:
    Energy = RunEnergy = Any  # importing them brings torch

MICRO = 1e6


def energy(
    run: Run,
    data: Data = None,
    num_steps: Steps = None,
    images: Annotated[
        int, typer.Option(min=1, help="How many test images are counted, evenly spread.")
    ] = 500,
    constants: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="45nm, 45nm-int, or your own .json file."),
    ] = "45nm",
    exit: Exit = None,
    threshold: Threshold = None,
    max_loss: MaxLoss = None,
    mean_steps: MeanSteps = None,
    delta: Delta = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Count every operation of a run's network, and what that costs beside others."""
    from ..analysis.energy import constants_of
    from ..analysis.energy.of_run import energy_of_run
    from ..machine.hardware import keep_freed_memory
    from ..runs.folder import RunFolder

    keep_freed_memory()
    choice = choice_of(exit, threshold, max_loss, mean_steps, delta)
    table = constants_of(constants)
    run = folder_of(run)
    with fitting(FEWER_STEPS):
        found = energy_of_run(
            run,
            data=data,
            images=images,
            num_steps=num_steps,
            constants=table,
            choice=choice,
            device=device,
        )
    checkpoint = RunFolder(run).best
    if as_json:
        print_json(checkpoint=str(checkpoint), **found.to_dict())
    else:
        print_energy(found, checkpoint)
    for warning in found.warnings:
        note(f"Note: {warning}")


def print_energy(found: RunEnergy, checkpoint: Path) -> None:
    """Print what an image costs by kind of operation and by layer, and beside what."""
    cost = found.energy
    out(
        f"{checkpoint} on {cost.images} of {found.test_images} test images of "
        f"{found.dataset}, {cost.num_steps} time-steps; all numbers are of an image"
    )
    if found.exit is not None:
        out("Credited: exit by {rule} at {threshold:.10g}.".format(**found.exit))
    print_table(("operations", "number", "microjoules", "of what"), _lines(cost), left=1)
    print_table(
        ("layer", "spikes a neuron and step", "accumulates", "multiply-accumulates"),
        _layers(cost),
        left=1,
    )
    print_table(("beside", "microjoules", "takes less below", "measured"), _beside(cost), 1)
    out(
        "Takes less below: the share of inputs that are spikes, per time-step, up to which "
        "this network takes less. ANN: an ordinary network of the same shape; of n bits: "
        "its activations say as much as the spike count does."
    )
    out(
        "Published formula: dense operations of a pass x spikes per neuron x the energy of "
        "an accumulate, by a layer's own spikes (output) or by those that it is fed "
        "(input); see docs/method.md, M25."
    )
    source = cost.constants.source
    out(f"Energies: {cost.constants.name} ({source}). In {found.precision}.")
    if found.note:
        out(f"Note: {found.note}")


def _lines(cost: Energy) -> list[tuple[str, str, str, str]]:
    """Every line; what quarters change stands beside what it changes."""
    rows = [
        (line.name, f"{line.operations:,.0f}", f"{MICRO * line.joules:.3f}", line.meaning)
        for line in cost.lines
    ]
    total = sum(line.joules for line in cost.lines)
    rows.append(("total", "", f"{MICRO * total:.3f}", "pooled spikes are multiplied"))
    by_quarters = sum(line.joules for line in cost.lines_of_quarters)
    if by_quarters != total:
        meaning = "pooled spikes are accumulated, k/4 as k"
        rows.append(("or", "", f"{MICRO * by_quarters:.3f}", meaning))
    return rows


def _layers(cost: Energy) -> list[tuple[str, str, str, str]]:
    rows = []
    for layer in cost.layers:
        neurons = sum(step.neurons for step in layer.steps)
        spikes = sum(step.spikes for step in layer.steps)
        rate = f"{spikes / neurons:.4f}" if neurons else "-"
        ac, mac = (
            sum(getattr(step, name) for step in layer.steps) / cost.images
            for name in ("ac", "mac")
        )
        rows.append((layer.name, rate, f"{ac:,.0f}", f"{mac:,.0f}"))
    return rows


def _beside(cost: Energy) -> list[tuple[str, str, str, str]]:
    rows = []
    for one in cost.against:
        rate = "never" if one.rate is None else f"{one.rate:.4f}"
        joules = f"{MICRO * one.joules:.3f}"
        rows.append((one.against, joules, rate, f"{one.measured:.4f}"))
    for name, joules in cost.by_paper.items():
        rows.append((f"published formula, {name}", f"{MICRO * joules:.3f}", "", ""))
    return rows
