"""The command ``bntt predict``: the classes of pictures or recordings of one's own."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..machine.shortage import fitting
from ..machine.terminal import note, out
from .options import FEWER_STEPS, Json, Run, Steps, expanded, folder_of, print_json
from .tables import print_table

if TYPE_CHECKING:
    from ..analysis.predict import Prediction
else:
    Prediction = Any  # importing it brings torch, for which bntt --help does not wait


def predict(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            parser=expanded,
            help="PNG or JPEG; recordings for an event set.",
        ),
    ],
    num_steps: Steps = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the encoder.")] = 0,
    invert: Annotated[
        bool, typer.Option("--invert", help="Exchange light and dark: ink on paper.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify pictures or recordings of your own after every time-step.

    Of a picture the square in the middle counts, scaled to what the network was trained on.
    Recordings of an event camera are cut into windows if the training recordings were.
    """
    from ..analysis.predict import Unread, predict_run
    from ..machine.hardware import keep_freed_memory
    from ..runs.folder import RunFolder

    keep_freed_memory()
    run = folder_of(run)
    with fitting(FEWER_STEPS):
        found = predict_run(run, files, num_steps=num_steps, seed=seed, invert=invert)
    unread = [one for one in found if isinstance(one, Unread)]
    answered = [one for one in found if not isinstance(one, Unread)]
    if as_json:
        print_json(
            checkpoint=str(RunFolder(run).best),
            seed=seed,
            samples=[one.to_dict() for one in answered],
            errors=[one.to_dict() for one in unread],
        )
    else:
        print_predictions(answered)
    for one in unread:
        note(f"bntt: {one.error}")
    if unread:
        raise typer.Exit(2)


def print_predictions(found: Iterable[Prediction]) -> None:
    """Print the class of every picture or recording after every time-step.

    Of a window of a recording only the last step is printed.
    """
    for one in found:
        steps = len(one.classes)
        part = "" if one.span_ms is None else ", {} to {} ms".format(*one.span_ms)
        out(
            f"{one.file}{part}: {one.classes[-1]} ({one.probabilities[-1]:.1%}), the same "
            f"from step {one.settled} of {steps} on"
        )
        if one.note:
            out(f"Note: {one.note}")
        if one.span_ms is not None:  # a recording may have hundreds of windows
            continue
        pairs = zip(one.classes, one.probabilities, strict=True)
        rows = [(str(t), name, f"{share:.1%}") for t, (name, share) in enumerate(pairs, 1)]
        print_table(("step", "class", "probability"), rows)
