"""Whether our readers of event files give every event that independent readers give.

    python scripts/event_parity.py DATA [--out results/event_parity.json]

DATA holds real recordings: N-MNIST/{Train,Test}/CLASS/*.bin and gestures/*.bs2 (5-byte
events), aedat2/**/*.aedat (AEDAT 2.0). Of AEDAT 3.1 and 4 there are none, so the gestures
are written anew in these formats: 3.1 by the tests' own writer, 4 by dv-processing.

Each file is read by ours and by every independent reader that is there, and all events are
compared, in their order:

* `by_description`: below, event after event with `struct`, from the formats' public
  descriptions and with nothing of ours;
* `tonic`, if installed. It is GPL: only compared with here, never needed, in no extra;
* `dv_processing`, if installed, for AEDAT 4, which ours reads through the library aedat.

Expelliarmus, also GPL, reads Prophesee's formats only, none of these.

Ours gives image coordinates and 1 for ON; what a reader gives in another convention is
turned into that first, as said beside it. Also measured: the time in which ours reads a
real AEDAT 2.0 recording repeated to 500,000 events.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from made_up_events import aedat3, write  # noqa: E402 - lives beside the tests

from bntt import hardware  # noqa: E402
from bntt.data.events import (  # noqa: E402
    read_aedat2,
    read_aedat3,
    read_aedat4,
    read_nmnist,
)

MANY = 500_000
REPEATS = 15


def columns(*values):
    """Rows of Python numbers."""
    lists = (np.asarray(column).astype(np.int64).tolist() for column in values)
    return list(zip(*lists, strict=True))


def five_bytes_by_description(path):
    """X, y, polarity and 23 bits of microseconds, all big-endian, in 5 bytes."""
    records = struct.iter_unpack(">BBBH", path.read_bytes())
    return [(x, y, high % 128 * 65536 + low, high // 128) for x, y, high, low in records]


def aedat2_by_description(path):
    """Comment lines, then address and time: bit 0 clear for ON, x from the right, y up."""
    events, wraps, before = [], 0, 0
    with path.open("rb") as file:
        at = 0
        while file.read(1) == b"#":
            file.readline()
            at = file.tell()
        file.seek(at)
        while record := file.read(8):
            address, t = struct.unpack(">II", record)
            wraps += before - t > 2**31
            before = t
            if address < 2**15:
                x, y = 127 - address // 2 % 128, 127 - address // 256 % 128
                events.append((x, y, wraps * 2**32 + t, 1 - address % 2))
    return events


def aedat3_by_description(path):
    """Packets of little-endian words: a header of 28 bytes, then 8 bytes per event."""
    events = []
    with path.open("rb") as file:
        while file.readline() != b"#!END-HEADER\r\n":
            pass
        while header := file.read(28):
            kind, _, size, _, overflows, places, number, _ = struct.unpack("<2h6i", header)
            body = file.read(size * places)
            for k in range(number if kind == 1 else 0):
                word, t = struct.unpack_from("<Ii", body, k * size)
                if word % 2:
                    t += overflows * 2**31
                    events.append((word >> 17, word // 4 % 2**15, t, word // 2 % 2))
    return events


@cache
def tonic():
    """Tonic's module of readers alone: the whole package wants audio libraries too."""
    file = Path(importlib.util.find_spec("tonic").origin).with_name("io.py")
    spec = importlib.util.spec_from_file_location("tonic_io", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def five_bytes_by_tonic(path):
    """In our convention."""
    events = tonic().read_mnist_file(str(path), dtype=tonic().events_struct)
    return columns(events["x"], events["y"], events["t"], events["p"])


def aedat2_by_tonic(path):
    """Bits as they are, and bits 8 to 14 called x: 1 is OFF, both axes run backwards."""
    _, events = tonic().read_dvs_128(str(path))
    x, y = events["x"].astype(int), events["y"].astype(int)
    return columns(127 - y, 127 - x, events["t"], ~events["p"])


def aedat3_by_tonic(path):
    """In our convention, of packets whose clock has not run over."""
    _, events = tonic().read_dvs_ibm(str(path))
    return columns(events["x"], events["y"], events["t"], events["p"])


def aedat4_by_dv_processing(path):
    """In our convention."""
    import dv_processing as dv

    recording, batches = dv.io.MonoCameraRecording(str(path)), []
    while (batch := recording.getNextEventBatch()) is not None:
        batches.append(batch.numpy())
    events = np.concatenate(batches)
    return columns(events["x"], events["y"], events["timestamp"], events["polarity"])


def write_aedat4(path, events):
    """Write a recording with dv-processing."""
    import dv_processing as dv

    size = (events.width, events.height)
    config = dv.io.MonoCameraWriter.EventOnlyConfig("DVS128", size)
    store = dv.EventStore()
    for x, y, t, on in columns(events.x, events.y, events.t, events.polarity):
        store.push_back(t, x, y, bool(on))
    dv.io.MonoCameraWriter(str(path), config).writeEvents(store)


GESTURE = partial(read_nmnist, width=128, height=128)
FIVE_BYTES = {"by_description": five_bytes_by_description, "tonic": five_bytes_by_tonic}
AEDAT2 = {"by_description": aedat2_by_description, "tonic": aedat2_by_tonic}
AEDAT3 = {"by_description": aedat3_by_description, "tonic": aedat3_by_tonic}
AEDAT4 = {"dv_processing": aedat4_by_dv_processing}
FORMATS = {
    "N-MNIST": ("N-MNIST/*/*/*.bin", read_nmnist, FIVE_BYTES),
    "DVS128 Gesture in 5 bytes": ("gestures/*.bs2", GESTURE, FIVE_BYTES),
    "AEDAT 2.0": ("aedat2/**/*.aedat", read_aedat2, AEDAT2),
}
WRITTEN = {
    "DVS128 Gesture written as AEDAT 3.1": ("*.aedat", read_aedat3, AEDAT3),
    "DVS128 Gesture written as AEDAT 4": ("*.aedat4", read_aedat4, AEDAT4),
}


def installed(name):
    """The version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


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
            write_aedat4(folder / f"{path.stem}.aedat4", events)


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
    start = len(whole) - 8 * len(aedat2_by_description(path))
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


def provenance():
    """What the comparison was made with."""

    def git(*words):
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    packages = ("numpy", "aedat", "dv_processing", "tonic")
    return {
        "command": "python scripts/event_parity.py DATA",
        "commit": git("rev-parse", "HEAD") or "unknown",
        "uncommitted_changes": bool(git("status", "--porcelain", "--", "src", "scripts")),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": {
            "python": platform.python_version(),
            **{name: installed(name) for name in packages},
        },
        "processor": hardware.processor(),
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
        **provenance(),
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
