"""The energy of a run's network, on images of its test set."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ...machine.progress import Display
from ...runs.opened import open_run
from ...runs.provenance import circumstances
from ..early_exit.answers import precise
from ..early_exit.calibrated import decide
from ..early_exit.choice import ExitChoice
from ..keeping import keep
from . import BATCH, Energy, energy
from .constants import KNOWN, EnergyConstants

COUNTED = 500
"""Images, evenly spread over the test set, unless told."""


@dataclass(frozen=True, kw_only=True)
class RunEnergy:
    """What a run's network costs, and on which images that was counted."""

    energy: Energy
    dataset: str
    test_images: int
    """Of how many the counted images are."""
    exit: dict[str, Any] | None
    """``rule``, ``threshold`` and ``num_steps`` of the exit that is credited, or None."""
    seed: int
    precision: str
    device: str
    trained_steps: int
    note: str
    source: dict[str, str] = field(default_factory=dict)
    split_sha256: str = ""
    commit: str = ""
    warnings: tuple[str, ...] = ()
    file: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values; counts of layers are sums over the images."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("energy", "warnings")
        }
        return {**self.energy.to_dict(), **plain, "warnings": list(self.warnings)}

    def question(self) -> dict[str, Any]:
        """Those of the plain values that say what was asked, and on which data."""
        kept = self.to_dict()
        names = (
            *("dataset", "images", "source", "split_sha256", "num_steps", "constants"),
            *("exit", "seed", "precision"),
        )
        return {name: kept[name] for name in names}


def energy_of_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    images: int = COUNTED,
    num_steps: int | None = None,
    constants: EnergyConstants = KNOWN["45nm"],
    choice: ExitChoice | None = None,
    device: str = "auto",
    seed: int = 0,
    batch_size: int = BATCH,
    quiet: bool = False,
) -> RunEnergy:
    """Count what a run's best network does on test images; writes ``energy.json``.

    Args:
        run: The run folder.
        data: Where the data lie, as for training.
        images: How many test images, evenly spread; all if there are fewer.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        constants: Energies of single operations.
        choice: An exit to credit, decided as by
            :func:`bntt.analysis.early_exit.of_run.exit_of_run`.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        quiet: Whether to show no progress.

    Raises:
        FileNotFoundError: If the folder, its checkpoint or the data are missing.
        ValueError: As :func:`bntt.energy` and ``exit_of_run``, or if no image is asked for.
        FloatingPointError: If the network answers with NaN or infinity.
    """
    if images < 1:
        raise ValueError(f"`images` must be at least 1, got {images}.")
    opened = open_run(run, device=device)
    dataset, warnings = opened.load_tested(data, num_steps=num_steps, quiet=quiet)
    tested = len(dataset.test_images)
    chosen = torch.linspace(0, tested - 1, min(images, tested)).round().long()
    about, leave, steps = None, None, num_steps
    if choice is not None:
        held_out = opened.held_out(dataset) if choice.calibrates else None
        settings = {"seed": seed, "precision": opened.precision}
        exit = decide(opened.net, choice, held_out, num_steps=num_steps, **settings)
        leave, steps = exit.leave, exit.num_steps
        about = {"rule": exit.rule, "threshold": exit.threshold, "num_steps": steps}
    with (
        Display("images", len(chosen), quiet=quiet) as display,
        precise(opened.net, opened.precision),
    ):
        found = energy(
            opened.net,
            dataset.test_images[chosen],
            num_steps=steps,
            seed=seed,
            batch_size=batch_size,
            constants=constants,
            leave=leave,
            advance=lambda done: display.advance(steps=done),
        )
    here = circumstances()
    result = RunEnergy(
        energy=found,
        dataset=dataset.name,
        test_images=tested,
        exit=about,
        seed=seed,
        precision=opened.precision,
        device=str(opened.device),
        trained_steps=opened.trained_steps,
        note=dataset.note,
        source=dict(dataset.source),
        split_sha256=dataset.split_sha256,
        commit=here["commit"],
        warnings=tuple(warnings),
    )
    answer = {**here, **result.to_dict()}
    file, said = keep(opened.folder, "energy", answer, result.question())
    return replace(result, file=file, warnings=(*result.warnings, *said))
