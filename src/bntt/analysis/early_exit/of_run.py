"""The exit of a run: decided on images that it held out, measured on its test set."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ...data.dataset import Images
from ...machine.progress import Display
from ...runs.opened import open_run
from ...runs.provenance import circumstances
from ..keeping import keep
from .answers import BATCH
from .calibrated import decide
from .choice import ExitChoice
from .measured import COUNTED, MeasuredExit, measure_exit

CHOSE_THE_WEIGHTS = (
    "The images held out also chose which epoch's weights were kept, so they are not quite "
    "new to the network: the promise holds as far as that choice did not favour them."
)


def exit_of_run(
    run: str | Path,
    choice: ExitChoice,
    *,
    data: str | Path | None = None,
    num_steps: int | None = None,
    device: str = "auto",
    seed: int = 0,
    batch_size: int = BATCH,
    quiet: bool = False,
) -> MeasuredExit:
    """Measure an exit of a run's best network on the whole test set; writes ``exit.json``.

    A threshold that must be chosen is chosen on the run's validation images.

    Args:
        run: The run folder.
        choice: What is wanted.
        data: Where the data lie, as for training.
        num_steps: What counts as all time-steps; all that were trained if omitted.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        quiet: Whether to show no progress.

    Raises:
        FileNotFoundError: If the folder, its checkpoint or the data are missing.
        ValueError: As :func:`bntt.analysis.accuracy.evaluate_run`; or if no images were
            held out and a threshold must be chosen, the gains of a network without BNTT
            are asked, or no threshold does what was asked.
        FloatingPointError: If the network answers with NaN or infinity.
    """
    opened = open_run(run, device=device)
    dataset, warnings = opened.load_tested(data, num_steps=num_steps, quiet=quiet)
    held_out = opened.held_out(dataset) if choice.calibrates else None
    tested, counted = len(dataset.test_images), min(COUNTED, len(dataset.test_images))
    total = (0 if held_out is None else len(held_out[0])) + 2 * tested + 2 * counted
    with Display("images", total, quiet=quiet) as display:
        settings: dict[str, Any] = {
            "num_steps": num_steps,
            "seed": seed,
            "batch_size": batch_size,
            "precision": opened.precision,
            "advance": lambda done: display.advance(steps=done),
        }
        decided = decide(opened.net, choice, held_out, **settings)
        found = measure_exit(
            opened.net, dataset.test_images, dataset.test_labels, decided, **settings
        )
    if choice.delta is not None:
        warnings.append(CHOSE_THE_WEIGHTS)
    warnings += _nothing_saved(found)
    about = circumstances()
    found = replace(
        found,
        dataset=dataset.name,
        held_out=_held_out_in_words(dataset.name, held_out),
        trained_steps=opened.trained_steps,
        note=dataset.note,
        source=dict(dataset.source),
        split_sha256=dataset.split_sha256,
        commit=about["commit"],
        warnings=(*found.warnings, *warnings),
    )
    asked = {**found.question(), "choice": _plain(choice)}
    file, said = keep(opened.folder, "exit", {**about, **found.to_dict(), **asked}, asked)
    return replace(found, file=file, warnings=(*found.warnings, *said))


def _held_out_in_words(name: str, held_out: tuple[Images, Tensor] | None) -> str:
    if held_out is None:
        return ""
    return f"the {len(held_out[0])} images of {name} that the run held out of training"


def _plain(choice: ExitChoice) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in choice.__dataclass_fields__}


def _nothing_saved(found: MeasuredExit) -> list[str]:
    """A sentence if the gains keep every time-step, on why, and what can be done."""
    gains = found.decided.gains
    if found.decided.leave is not None or gains is None:
        return []
    if found.decided.num_steps < found.full_steps:
        return []
    last = max(row[found.full_steps - 1] for row in gains.gains)
    return [
        f"The gains keep every time-step: at the last one some layer's mean is still "
        f"{last:.3g}. A gain that gets no gradient shrinks only by weight decay "
        f"(`gain_decay` in the recipe). A threshold for these gains can be chosen on "
        f"images held out, with --max-loss."
    ]
