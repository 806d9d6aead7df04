"""The command ``bntt data``: what sets there are, and what is in one of them."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..machine.terminal import note, out
from .drawing import drawn
from .options import Json, expanded, print_json
from .tables import FEW, print_digests, print_table

if TYPE_CHECKING:
    from ..analysis.dataset_summary import Overview
else:
    Overview = Any  # importing it brings torch, for which bntt --help does not wait

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
    as_json: Json = False,
) -> None:
    """List the image and event sets; or fetch one, check it and draw some of it."""
    if name == "list":
        return _list(as_json)
    from ..analysis.dataset_summary import draw, load_whole, overview
    from ..data import DataOptions

    if sheet:
        from ..report import check_target

        check_target(sheet)  # now rather than after the work
    # words as they were typed, which `DataOptions` checks
    wanted: dict[str, Any] = {
        "split": split,
        "split_seed": split_seed,
        "num_steps": num_steps,
        "image_size": image_size,
        "white": white,
        "frames": frames,
        "window_ms": window_ms,
        "sensor": sensor,
        "outside": outside,
    }
    options = DataOptions(**wanted)
    loaded, checked = load_whole(name, root, options, verify_files=verify)
    found = overview(loaded, checked)
    target = sheet or _default_sheet(name)
    made = str(target) if target and drawn(partial(draw, loaded), target) else None
    if as_json:
        print_json(**found.to_dict(), sheet=made)
    else:
        print_overview(found, made)
    if target and not made:
        raise typer.Exit(1)
    return None


def _list(as_json: bool) -> None:
    from ..analysis.dataset_summary import catalogue

    sets = catalogue()
    if as_json:
        print_json(**sets)
    else:
        print_catalogue(sets)


def _default_sheet(name: str) -> Path | None:
    """The contact sheet that nobody asked for; None, and why, if it cannot be drawn."""
    sheet = Path(f"{name}-sheet.png")
    try:
        from ..report import check_target

        check_target(sheet)
    except (ImportError, OSError) as error:
        note(f"No contact sheet: {error}")
        return None
    return sheet


def print_catalogue(sets: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what sets there are, as `bntt.analysis.dataset_summary.catalogue` tells."""
    head = ("name", "kind", "channels x pixels", "classes", "train", "test", "in cache")
    rows = [
        (
            name,
            one["kind"],
            one["shape"] or "yours",
            *(str(one[key] or "-") for key in ("classes", "train", "test")),
            {True: "yes", False: "no", None: "-"}[one["cached"]],
        )
        for name, one in sets.items()
    ]
    print_table(head, rows, left=3)
    out("")
    out("Terms and origin (what the place itself says decides):")
    for name, one in sets.items():
        if one["place"]:
            how = " (downloaded when asked for)" if one["downloads"] else ""
            out(f"{name:14} {one['terms']}; {one['place']}{how}")
        else:
            out(f"{name:14} your own: {one['layout']}")


def print_overview(found: Overview, sheet: str | None) -> None:
    """Print what is in a set, and where its contact sheet went."""
    what = (
        "frames of events, steps x (OFF, ON) x rows x columns" if found.events else "images"
    )
    lines = {
        "set": f"{found.title} ({found.name})",
        "train": f"{sum(found.train)} samples",
        "test": f"{sum(found.test)} samples",
        "shape": f"{' x '.join(map(str, found.shape))}, {what}",
        "mean": " ".join(f"{value:g}" for value in found.mean),
        "std": " ".join(f"{value:g}" for value in found.std),
        "classes": str(len(found.class_names)),
        "per class": f"train {_extent(found.train)}; test {_extent(found.test)}",
        "sheet": sheet or "none",
        "cache": found.cache or "none: the files are read each time",
        "checked": found.checked,
    }
    for name, value in lines.items():
        out(f"{name:10} {value}")
    print_digests(found.source)
    if len(found.class_names) <= FEW:
        counts = zip(found.class_names, found.train, found.test, strict=True)
        rows = [(name, str(train), str(test)) for name, train, test in counts]
        print_table(("class", "train", "test"), rows, left=1)
    if found.note:
        out(f"Note: {found.note}")


def _extent(counts: Sequence[int]) -> str:
    """The smallest and the largest count, and the median."""
    return f"{min(counts)} to {max(counts)}, median {median(counts):g}"
