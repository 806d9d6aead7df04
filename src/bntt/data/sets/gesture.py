"""DVS128 Gesture (Amir 2017): eleven gestures of 29 people under three lights."""

import csv
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..dataset import Dataset
from ..events.cached import load_frames
from ..events.clock import refuse_set_back, settle
from ..events.files.aedat3 import read_aedat3
from ..events.listing import Listing, Sample
from ..events.recording import Events
from ..folders import find
from ..options import Request
from ..originals import read_text, sha256_of_all
from ..splits import refuse_split
from ..tree import stamp

SIDE = 128
TITLE = "DVS128 Gesture"
TRIALS = ("trials_to_train.txt", "trials_to_test.txt")
"""The official division: one recording's name per line."""
COLUMNS = ("class", "startTime_usec", "endTime_usec")
GESTURES = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
"""As ``gesture_mapping.csv`` names them, which numbers them from 1."""
LATEST = 2**62
"""Microseconds; no clock runs longer."""
LONGEST = 80
"""Letters of a damaged line that are shown."""
NUMBER = re.compile(r"\s*[0-9]{1,20}\s*")
RECORDING = re.compile(r"[\w.-]+\.aedat")


def load_gesture(request: Request) -> Dataset:
    """Load DVS128 Gesture: every labelled interval of every recording is a sample.

    The folder holds ``userNN_LIGHT.aedat`` (AEDAT 3.1), ``userNN_LIGHT_labels.csv`` and the
    two lists of trials. A sample is the events at ``startTime_usec <= t < endTime_usec``.
    """
    refuse_split(TITLE, request.options.split)
    folder = find(request.root, "dvs-gesture", TITLE, " and ".join(TRIALS), _is_it)
    texts: dict[str, str] = {}
    trials = [_trials(folder, name, texts) for name in TRIALS]
    _check_apart(folder, *trials)
    files = [file for part in trials for file in part]
    _check_complete(folder, files)
    labels: dict[str, str] = {}
    train, test = (
        [s for file in part for s in _samples(folder, file, labels)] for part in trials
    )
    return load_frames(
        Listing(
            name="dvs-gesture",
            title=TITLE,
            folder=folder,
            files={file: stamp(folder, file) for file in files},
            texts=texts | {f"{TITLE} labels": sha256_of_all(labels)},
            train=train,
            test=test,
            class_names=GESTURES,
            side=SIDE,
            sensor=(SIDE, SIDE),
            read=partial(_read, outside=request.options.outside),
        ),
        request,
    )


def _read(path: Path, outside: str) -> Events:
    events = read_aedat3(path, SIDE, SIDE, outside)
    refuse_set_back(path, settle(path, events)[1])
    return events


def _is_it(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TRIALS)


def _trials(folder: Path, name: str, texts: dict[str, str]) -> list[str]:
    """Return the recordings that a list names, and note the SHA-256 of the list."""
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{TITLE} in {path.parent} is incomplete: it lacks {path.name}. Extract the "
            f"archive again."
        )
    text, texts[name] = read_text(path)
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if line and not RECORDING.fullmatch(line):
            raise ValueError(
                f"{path}: line {number} must hold one .aedat file's name, not "
                f"{line[:LONGEST]!r}."
            )
    names = [line for line in lines if line]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} names {twice[0]} more than once.")
    if not names:
        raise ValueError(
            f"{path} names no recording. Truncated? Extract the archive again."
        )
    return names


def _check_apart(folder: Path, train: list[str], test: list[str]) -> None:
    if both := sorted(set(train) & set(test)):
        raise ValueError(
            f"{' and '.join(TRIALS)} in {folder} both name {both[0]}: a recording cannot "
            f"both train and test."
        )


def _check_complete(folder: Path, files: list[str]) -> None:
    needed = [name for file in files for name in (file, _labels_of(file))]
    if missing := [name for name in needed if not (folder / name).is_file()]:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise FileNotFoundError(
            f"{TITLE} in {folder} is incomplete: its lists of trials name "
            f"{', '.join(missing[:4])}{more}, which it lacks. Extract the archive again."
        )


def _labels_of(file: str) -> str:
    return f"{file.removesuffix('.aedat')}_labels.csv"


def _samples(folder: Path, file: str, labels: dict[str, str]) -> list[Sample]:
    """Return the labelled intervals of a recording, and note the SHA-256 of the labels."""
    path = folder / _labels_of(file)
    text, labels[path.name] = read_text(path)
    samples = [_sample(path, line, file, row) for line, row in _rows(path, text) if row]
    if not samples:
        raise ValueError(f"{path} labels nothing. Truncated? Extract the archive again.")
    return samples


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every line's number and columns, without the line that names the columns."""
    reader = csv.reader(text.splitlines())
    try:
        for row in reader:
            # by what it says: without such a line the first one is a label
            if reader.line_num > 1 or not row or row[0].strip() != COLUMNS[0]:
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(
            f"{path}: line {reader.line_num} cannot be divided into columns ({error}). "
            f"Damaged? Extract the archive again."
        ) from error


def _whole(number: str) -> int:
    if not NUMBER.fullmatch(number):  # `int` would take 1_0 too, and digits of all scripts
        raise ValueError
    return int(number)


def _sample(path: Path, line: int, file: str, row: list[str]) -> Sample:
    try:
        gesture, start, stop = (_whole(number) for number in row)
    except ValueError as error:
        raise ValueError(
            f"{path}: line {line} must hold {', '.join(COLUMNS)}, but is "
            f"{','.join(row)[:LONGEST]!r}. Damaged? Extract the archive again."
        ) from error
    if not (1 <= gesture <= len(GESTURES) and 0 <= start < stop <= LATEST):
        raise ValueError(
            f"{path}: line {line} must hold a class of 1 to {len(GESTURES)} and an end "
            f"after its start, but is {','.join(row)[:LONGEST]!r}. Damaged? Extract "
            f"the archive again."
        )
    return Sample(file, gesture - 1, start, stop)
