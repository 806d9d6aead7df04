"""N-MNIST (Orchard 2015): MNIST's digits before an event camera that moves."""

from functools import partial
from pathlib import Path

from ..dataset import Dataset
from ..events.cached import load_frames
from ..events.files.five_byte import read_nmnist
from ..events.listing import Listing, Sample
from ..folders import find
from ..options import Request
from ..splits import refuse_split
from ..tree import Stamp, left_out, scan

SIDE = 34
PARTS = {"Train": 60_000, "Test": 10_000}
"""Number of recordings in each part, by the name of its folder."""
DIGITS = tuple("0123456789")


def load_nmnist(request: Request) -> Dataset:
    """Load N-MNIST from ``Train/DIGIT/ID.bin`` and ``Test/DIGIT/ID.bin``."""
    refuse_split("N-MNIST", request.options.split)
    folder = find(
        request.root, "nmnist", "N-MNIST", "Train/0 to Test/9 with .bin files", _is_it
    )
    found = [
        scan(folder, f"{part}/{digit}", (".bin",)) for part in PARTS for digit in DIGITS
    ]
    files = {name: stamp for one in found for name, stamp in one.files.items()}
    _check_complete(folder, files)
    train, test = (_samples(files, part) for part in PARTS)
    return load_frames(
        Listing(
            name="nmnist",
            title="N-MNIST",
            folder=folder,
            files=files,
            train=train,
            test=test,
            class_names=DIGITS,
            side=SIDE,
            notes=(*_notes(len(train), len(test)), *left_out(found)),
            sensor=(SIDE, SIDE),
            read=partial(
                read_nmnist, width=SIDE, height=SIDE, outside=request.options.outside
            ),
        ),
        request,
    )


def _is_it(folder: Path) -> bool:
    return any((folder / part / "0").is_dir() for part in PARTS)


def _check_complete(folder: Path, files: dict[str, Stamp]) -> None:
    there = {file.rpartition("/")[0] for file in files}
    needed = [f"{part}/{digit}" for part in PARTS for digit in DIGITS]
    if missing := [one for one in needed if one not in there]:
        raise FileNotFoundError(
            f"N-MNIST in {folder} is incomplete: there is no .bin file in "
            f"{', '.join(missing)}. Extract Train.zip and Test.zip again."
        )


def _samples(files: dict[str, Stamp], part: str) -> list[Sample]:
    names = [file.split("/") for file in files]
    return [Sample("/".join(name), int(name[1])) for name in names if name[0] == part]


def _notes(train: int, test: int) -> tuple[str, ...]:
    if (train, test) == tuple(PARTS.values()):
        return ()
    return (
        f"Partial: {train} of {PARTS['Train']} training and {test} of {PARTS['Test']} test "
        f"recordings.",
    )
