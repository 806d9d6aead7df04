"""DVS128 Gesture (Amir 2017): eleven gestures of 29 people under three lights."""

import csv
import re
from pathlib import Path

from ..dataset import Dataset, Wanted
from ..layout import find
from ..splits import refuse_split
from .aedat3 import read_aedat3
from .clock import refuse_set_back, settle
from .recording import Events
from .samples import Listing, Sample, load_frames

SIDE = 128
TITLE = "DVS128 Gesture"
TRIALS = ("trials_to_train.txt", "trials_to_test.txt")
"""The official division: one recording's name per line."""
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
RECORDING = re.compile(r"[\w.-]+\.aedat")


def load_gesture(root: Path | None, wanted: Wanted) -> Dataset:
    """Load DVS128 Gesture: every labelled interval of every recording is a sample.

    The folder holds ``userNN_LIGHT.aedat`` (AEDAT 3.1), ``userNN_LIGHT_labels.csv`` and the
    two lists of trials. A sample is the events at ``startTime_usec <= t < endTime_usec``.
    """
    refuse_split(TITLE, wanted.split)
    home = find(root, "dvs-gesture", TITLE, " and ".join(TRIALS), _is_it)
    trials = [_trials(home / name) for name in TRIALS]
    _check_apart(home, *trials)
    files = [file for part in trials for file in part]
    _check_complete(home, files)
    train, test = ([s for file in part for s in _samples(home, file)] for part in trials)
    return load_frames(
        Listing(
            name="dvs-gesture",
            title=TITLE,
            root=home,
            sizes={file: (home / file).stat().st_size for file in files},
            train=train,
            test=test,
            class_names=GESTURES,
            side=SIDE,
            read=_read,
        ),
        wanted,
    )


def _read(path: Path) -> Events:
    events = read_aedat3(path, SIDE, SIDE)
    refuse_set_back(path, settle(path, events)[1])
    return events


def _is_it(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TRIALS)


def _trials(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{TITLE} in {path.parent} is incomplete: it lacks {path.name}. Extract the "
            f"archive again."
        )
    names = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    for name in names:
        if not RECORDING.fullmatch(name):
            raise ValueError(
                f"{path} must hold one .aedat file's name per line, not {name!r}."
            )
    if not names:
        raise ValueError(
            f"{path} names no recording. Truncated? Extract the archive again."
        )
    return names


def _check_apart(home: Path, train: list[str], test: list[str]) -> None:
    if both := sorted(set(train) & set(test)):
        raise ValueError(
            f"{' and '.join(TRIALS)} in {home} both name {both[0]}: a recording cannot "
            f"both train and test."
        )


def _check_complete(home: Path, files: list[str]) -> None:
    wanted = [name for file in files for name in (file, _labels_of(file))]
    if missing := [name for name in wanted if not (home / name).is_file()]:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise FileNotFoundError(
            f"{TITLE} in {home} is incomplete: its lists of trials name "
            f"{', '.join(missing[:4])}{more}, which it lacks. Extract the archive again."
        )


def _labels_of(file: str) -> str:
    return f"{file.removesuffix('.aedat')}_labels.csv"


def _samples(home: Path, file: str) -> list[Sample]:
    path = home / _labels_of(file)
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]  # the first names the columns
    samples = [_sample(path, k, file, row) for k, row in enumerate(rows, 2) if row]
    if not samples:
        raise ValueError(f"{path} labels nothing. Truncated? Extract the archive again.")
    return samples


def _sample(path: Path, line: int, file: str, row: list[str]) -> Sample:
    try:
        gesture, start, stop = (int(number) for number in row)
    except ValueError as error:
        raise ValueError(
            f"{path}: line {line} must hold class, startTime_usec and endTime_usec, but is "
            f"{','.join(row)!r}. Damaged? Extract the archive again."
        ) from error
    if not (1 <= gesture <= len(GESTURES) and 0 <= start < stop):
        raise ValueError(
            f"{path}: line {line} must hold a class of 1 to {len(GESTURES)} and an end "
            f"after its start, but is {','.join(row)!r}. Damaged? Extract the archive "
            f"again."
        )
    return Sample(file, gesture - 1, start, stop)
