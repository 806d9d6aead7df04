"""Whether our readers of event files give every event that independent readers give.

    python scripts/event_parity.py DATA [--out results/event_parity.json]

DATA holds real recordings: N-MNIST/{Train,Test}/CLASS/*.bin and gestures/*.bs2 (5-byte
events), aedat2/**/*.aedat (AEDAT 2.0). Of AEDAT 3.1 and 4 there are none, so the gestures
are written anew in these formats: 3.1 by the tests' own writer, 4 by dv-processing.

Each file is read by ours and by every independent reader that is there, and all events are
compared, in their order:

* `by_description`: event after event with `struct`, written from the formats' public
  descriptions with nothing of ours (`independent_event_readers.py`);
* `tonic`, if installed. It is GPL: only compared with here, never needed, in no extra;
* `dv_processing`, if installed, for AEDAT 4, which ours reads through the library aedat.

Expelliarmus, also GPL, reads Prophesee's formats only, none of these.

Also measured: the time in which ours reads a real AEDAT 2.0 recording repeated to 500,000
events.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import independent_event_readers as independent
from independent_event_readers import columns, installed

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from made_up_events import aedat3, write  # noqa: E402 - lives beside the tests

from bntt.data.events import (  # noqa: E402
    read_aedat2,
    read_aedat3,
    read_aedat4,
    read_nmnist,
)
from bntt.runs.provenance import circumstances  # noqa: E402

READERS = ("aedat", "dv_processing", "tonic")
MANY = 500_000
REPEATS = 15


GESTURE = partial(read_nmnist, width=128, height=128)
FIVE_BYTES = {
    "by_description": independent.five_bytes_by_description,
    "tonic": independent.five_bytes_by_tonic,
}
AEDAT2 = {
    "by_description": independent.aedat2_by_description,
    "tonic": independent.aedat2_by_tonic,
}
AEDAT3 = {
    "by_description": independent.aedat3_by_description,
    "tonic": independent.aedat3_by_tonic,
}
AEDAT4 = {"dv_processing": independent.aedat4_by_dv_processing}
FORMATS = {
    "N-MNIST": ("N-MNIST/*/*/*.bin", read_nmnist, FIVE_BYTES),
    "DVS128 Gesture in 5 bytes": ("gestures/*.bs2", GESTURE, FIVE_BYTES),
    "AEDAT 2.0": ("aedat2/**/*.aedat", read_aedat2, AEDAT2),
}
WRITTEN = {
    "DVS128 Gesture written as AEDAT 3.1": ("*.aedat", read_aedat3, AEDAT3),
    "DVS128 Gesture written as AEDAT 4": ("*.aedat4", read_aedat4, AEDAT4),
}


def there(readers):
    """Those of the readers that can be used here."""
    return {k: r for k, r in readers.items() if k == "by_description" or installed(k)}


def compared(data, pattern, ours, readers):
    """Per file: how many events there are, and whether each reader gives the same."""
    files = []
    for path in sorted(data.glob(pattern)):
        got = ours(path)
        mine = columns(got.x, got.y, got.t, got.polarity)
        equal = {name: reader(path) == mine for name, reader in there(readers).items()}
        files.append(
            {
                "file": path.relative_to(data).as_posix(),
                "events": len(got),
                "skipped": got.skipped,
                "steps_backward": got.backward,
                "equal": equal,
            }
        )
    return files


def write_anew(data, folder):
    """Write every gesture as AEDAT 3.1 and, if that can be, 4."""
    for path in data.glob("gestures/*.bs2"):
        events = GESTURE(path)
        write(folder / f"{path.stem}.aedat", aedat3(events, per_packet=4096))
        if installed("dv_processing") and installed("aedat"):
            independent.write_aedat4(folder / f"{path.stem}.aedat4", events)


def summary(files):
    """Of one format."""
    names = files[0]["equal"] if files else {}
    return {
        "files": len(files),
        "events": sum(file["events"] for file in files),
        "files_equal": {name: sum(f["equal"][name] for f in files) for name in names},
        "files_with_skipped": sum(bool(file["skipped"]) for file in files),
        "files_with_steps_backward": sum(bool(file["steps_backward"]) for file in files),
    }


def speed(data):
    """Milliseconds for 500,000 events of AEDAT 2.0, from a file in the system's cache."""
    path = max(data.glob(FORMATS["AEDAT 2.0"][0]), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    start = len(whole) - 8 * len(independent.aedat2_by_description(path))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "many.aedat"
        repeats = 8 * MANY // (len(whole) - start) + 1
        copy.write_bytes(whole[:start] + (whole[start:] * repeats)[: 8 * MANY])
        times = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            events = read_aedat2(copy)
            times.append(1e3 * (time.perf_counter() - begun))
    return {
        "events": len(events),
        "from": path.relative_to(data).as_posix(),
        "median_ms": round(statistics.median(times), 2),
        "slowest_ms": round(max(times), 2),
        "runs": REPEATS,
    }


def main():
    """Compare, measure, write the file, print its summary."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "event_parity.json")
    arguments = parser.parse_args()
    measured = speed(arguments.data)
    files = {name: compared(arguments.data, *how) for name, how in FORMATS.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_anew(arguments.data, Path(folder))
        files |= {name: compared(Path(folder), *how) for name, how in WRITTEN.items()}
    result = {
        "what": "our readers of event files beside independent ones, on real recordings",
        "command": "python scripts/event_parity.py DATA",
        **circumstances(),
        "readers": {name: installed(name) for name in READERS},
        "speed_aedat2": measured,
        "summary": {name: summary(found) for name, found in files.items()},
    }
    print(json.dumps(result, indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    every = [file for found in files.values() for file in found]
    unequal = [file["file"] for file in every if not all(file["equal"].values())]
    counts = {
        name: {f["file"]: f["events"] for f in found} for name, found in files.items()
    }
    result |= {"files_not_equal": unequal, "events_by_file": counts}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(f"not equal: {', '.join(unequal)}" if unequal else None)


if __name__ == "__main__":
    main()
