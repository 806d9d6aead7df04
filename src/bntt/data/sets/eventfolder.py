"""Recordings of the user's own, in a folder of class folders."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..classes import ClassFolders, class_folders, notes_on
from ..dataset import Dataset
from ..events.cached import load_frames
from ..events.files import READERS, read_recording
from ..events.listing import Listing, Sample
from ..events.recording import Events
from ..events.sensor import UNKNOWN, Sides, reaches_far, refuse_stretched
from ..events.windows import Survey, cut_into_windows, survey
from ..folders import what_is_there
from ..options import DataOptions, Request
from ..splits import refuse_split, split
from ..tree import Found, beside, folders

NAME = "eventfolder"
PARTS = ("train", "test")
ENDINGS = tuple(READERS)
ARRAYS = ".npz"


def load_eventfolder(request: Request) -> Dataset:
    """Load ``train/CLASS/*`` and ``test/CLASS/*``, or ``CLASS/*`` divided by a named split.

    Classes are numbered in the natural order of their folders' names, and recordings in
    folders within those are of the class too. The ending of its
    name says what kind a recording is, see `read_recording`.

    With ``window_ms`` every recording is cut into windows, see `cut_into_windows`. A
    split divides recordings, before they are cut: windows of one recording are alike, and
    some would be learned from and others tested on.
    """
    folder, options = _check_folder(request.root), request.options
    if all((folder / part).is_dir() for part in PARTS):
        refuse_split(f"{folder} (its folder test)", options.split)
        listing = _given(folder)
    else:
        listing = _divided(folder, options)
    read = partial(read_recording, sensor=options.sensor_sides, outside=options.outside)
    listing = replace(listing, read=read)
    found = survey(listing, request)
    listing = _with_sensor(listing, found, options)
    if options.window_ms:
        listing = cut_into_windows(listing, found, options.window_ms)
    return load_frames(listing, request)


def _check_folder(root: Path | None) -> Path:
    if root is None:
        raise ValueError(
            "'eventfolder' is a folder of your own recordings: name it with --data DIR."
        )
    if not root.is_dir() or not folders(root):
        raise FileNotFoundError(
            f"No recordings in {root}: looked for train/CLASS/* and test/CLASS/*, or "
            f"CLASS/*; {what_is_there(root)}. Name the folder around the class folders "
            f"with --data DIR."
        )
    return root


def _given(folder: Path) -> Listing:
    parts = [_classes(folder, part) for part in PARTS]
    if different := sorted(set(parts[0].found) ^ set(parts[1].found)):
        raise FileNotFoundError(
            f"{folder}: train and test must hold the same classes, but only one of them "
            f"has {', '.join(different)}."
        )
    train, test = (_samples(part) for part in parts)
    return _listing(folder, parts, beside(folder, "", PARTS), train, test)


def _divided(folder: Path, options: DataOptions) -> Listing:
    found = _classes(folder, "")
    samples = _samples(found)
    labels, names = np.array([s.label for s in samples]), [s.file for s in samples]
    chosen = split(options.split, labels, options.split_seed, names)
    train, test = ([samples[k] for k in index] for index in (chosen.train, chosen.test))
    listing = _listing(folder, [found], Found(), train, test)
    return replace(listing, split=chosen, notes=(chosen.note, *listing.notes))


def _classes(folder: Path, part: str) -> ClassFolders:
    found = class_folders(folder, part, ENDINGS)
    if empty := [str(Path(part, n)) for n, one in found.found.items() if not one.files]:
        raise FileNotFoundError(
            f"{folder}: every class folder must hold recordings ({', '.join(ENDINGS)}), "
            f"but there are none in {', '.join(empty)}."
        )
    if len(found.found) < 2:
        raise FileNotFoundError(
            f"{folder / part} must hold two class folders or more; "
            f"{what_is_there(folder / part)}."
        )
    return found


def _samples(part: ClassFolders) -> list[Sample]:
    return [Sample(*pair) for pair in zip(part.files, part.labels, strict=True)]


def _listing(
    folder: Path,
    parts: list[ClassFolders],
    around: Found,
    train: list[Sample],
    test: list[Sample],
) -> Listing:
    return Listing(
        name=NAME,
        title=NAME,
        folder=folder,
        files={name: stamp for part in parts for name, stamp in part.files.items()},
        train=train,
        test=test,
        class_names=parts[0].class_names,
        side=0,
        notes=tuple(notes_on(parts, around)),
    )


def _with_sensor(listing: Listing, found: Survey, options: DataOptions) -> Listing:
    """Give ``.npz`` files, which do not say it, the sensor that holds all their events."""
    files = [sample.file for sample in listing.samples]
    silent = np.array([file.lower().endswith(ARRAYS) for file in files])
    notes = listing.notes
    if silent.any() and options.sensor_sides == UNKNOWN:
        shared = _shared(listing.folder, files, silent, found)
        listing = replace(listing, read=_reader(shared, options.outside))
        furthest = files[int(np.argmax(silent * (found.width + found.height)))]
        notes += (
            f"The .npz files do not say of what sensor they are: {shared[0]} x {shared[1]} "
            f"pixels is as far as any event of theirs reaches, in {furthest}.",
        )
        found = replace(
            found,
            width=np.where(silent, shared[0], found.width),
            height=np.where(silent, shared[1], found.height),
        )
    sensors = {
        pair for pair in zip(found.width.tolist(), found.height.tolist(), strict=True)
    }
    return replace(
        listing,
        notes=notes,
        side=max(map(max, sensors)),
        sensor=sensors.pop() if len(sensors) == 1 else UNKNOWN,
    )


def _reader(arrays: Sides, outside: str) -> Callable[[Path], Events]:
    """Return what reads all recordings, and ``.npz`` files as of this sensor."""

    def read(path: Path) -> Events:
        is_arrays = path.suffix.lower() == ARRAYS
        return read_recording(path, arrays if is_arrays else UNKNOWN, outside)

    return read


def _shared(folder: Path, files: list[str], silent: np.ndarray, found: Survey) -> Sides:
    """Return the columns and rows that hold all events of the silent files."""
    width, height = (int(sides[silent].max()) for sides in (found.width, found.height))
    usual = int(found.most_width[silent].max()), int(found.most_height[silent].max())
    across = found.width if reaches_far(width, usual[0]) else found.height
    furthest = folder / files[int(np.argmax(silent * across))]
    refuse_stretched(furthest, (width, height), usual)
    return width, height
