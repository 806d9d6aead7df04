"""Arrange loose recordings as `eventfolder` takes them.

    python scripts/event_folders.py objects DATA/aedat2/objects OUT
    python scripts/event_folders.py gestures DATA/gestures OUT

objects: recordings ``train_NAME.aedat`` and ``test_NAME.aedat`` go to ``train/NAME`` and
``test/NAME``. gestures: of every clip ``K.bs2``, one gesture by one person, the first
second trains and the rest tests. Both parts show the same person at the same moment, so
accuracy on it says that the event path works, and nothing about gestures in general.
"""

import shutil
import sys
from pathlib import Path

from bntt.data.events import read_recording
from bntt.data.events.files.codec import encode_nmnist

GESTURES = {
    1: "clap", 2: "right wave", 3: "left wave", 4: "right clockwise",
    5: "right counter-clockwise", 6: "left clockwise", 7: "left counter-clockwise",
    8: "arm roll", 9: "drums", 10: "guitar",
}  # fmt: skip
SECOND = 1_000_000


def objects(source: Path, out: Path) -> None:
    """Copy every recording to the folder that its name speaks of."""
    for path in sorted(source.glob("*_*.aedat")):
        part, name = path.stem.split("_", 1)
        folder = out / part / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)


def gestures(source: Path, out: Path) -> None:
    """Cut every clip in two, in the same five-byte layout."""
    for number, name in GESTURES.items():
        events = read_recording(source / f"{number}.bs2").sorted()
        start = int(events.t[0])
        ends = {"train": (start, start + SECOND), "test": (start + SECOND, 1 << 62)}
        for part, span in ends.items():
            folder = out / part / name
            folder.mkdir(parents=True, exist_ok=True)
            half = events.between(*span)
            columns = (half.x, half.y, half.t - start, half.polarity)
            (folder / f"{number}.bs2").write_bytes(encode_nmnist(*columns).tobytes())


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("objects", "gestures"):
        sys.exit(__doc__)
    {"objects": objects, "gestures": gestures}[sys.argv[1]](*map(Path, sys.argv[2:]))
