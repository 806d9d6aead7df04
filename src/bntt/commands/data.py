"""The command `bntt data`: what sets there are, and what is in one of them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..machine import strict_json, terminal
from .options import expanded

Root = Annotated[
    Path | None,
    typer.Option(
        *("--from", "--data"),
        metavar="DIR",
        parser=expanded,
        help="Where it lies; else the cache.",
    ),
]
Split = Annotated[
    str, typer.Option(help="Of sets without a test set, such as random-90-10.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of a random split.")]
Steps = Annotated[int, typer.Option(min=1, help="Events: frames of each sample.")]
Size = Annotated[int, typer.Option(min=0, help="Side in pixels; 0 for the set's own.")]
White = Annotated[
    int, typer.Option(min=0, help="Pictures of more than 8 bits: the value of white.")
]
Frames = Annotated[
    str, typer.Option(help="Events: frames of equal time, or of equal count.")
]
Window = Annotated[
    int, typer.Option(min=0, help="eventfolder: milliseconds of each sample; 0 for all.")
]
Sensor = Annotated[
    str,
    typer.Option(
        metavar="WxH", help="eventfolder: such as 240x180, of files that do not say it."
    ),
]
Outside = Annotated[
    str, typer.Option(help="Events outside the sensor: refuse, or drop and count them.")
]
SheetFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", parser=expanded, help="The picture drawn; else NAME-sheet.png."
    ),
]


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A set's, or list.")] = "list",
    root: Root = None,
    split: Split = "none",
    split_seed: Seed = 0,
    num_steps: Steps = 10,
    image_size: Size = 0,
    white: White = 0,
    frames: Frames = "time",
    window_ms: Window = 0,
    sensor: Sensor = "",
    outside: Outside = "refuse",
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the files again, against the cache.")
    ] = False,
    sheet: SheetFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead.")
    ] = False,
) -> None:
    """List the image and event sets; or fetch one, check it and draw some of it."""
    if name == "list":
        return _list(as_json)
    from ..analysis.dataset_summary import draw, load_whole, overview
    from .tables import drawn, print_overview

    if sheet:
        from ..report import check_target

        check_target(sheet)  # now rather than after the work
    loaded, checked = load_whole(
        name,
        root,
        verify_files=verify,
        split=split,
        split_seed=split_seed,
        num_steps=num_steps,
        image_size=image_size,
        white=white,
        frames=frames,
        window_ms=window_ms,
        sensor=sensor,
        outside=outside,
    )
    found = overview(loaded, checked)
    target = sheet or _default_sheet(name)
    made = str(target) if target and drawn(partial(draw, loaded), target) else None
    if as_json:
        terminal.out(strict_json.dumps(found.to_dict() | {"sheet": made}))
    else:
        print_overview(found, made)
    if target and not made:
        raise typer.Exit(1)
    return None


def _list(as_json: bool) -> None:
    from ..analysis.dataset_summary import catalogue
    from .tables import print_catalogue

    sets = catalogue()
    if as_json:
        terminal.out(strict_json.dumps(sets))
    else:
        print_catalogue(sets)


def _default_sheet(name: str) -> Path | None:
    """The contact sheet that nobody asked for; None, and why, if it cannot be drawn."""
    sheet = Path(f"{name}-sheet.png")
    try:
        from ..report import check_target

        check_target(sheet)
    except (ImportError, OSError) as error:
        terminal.note(f"No contact sheet: {error}")
        return None
    return sheet
