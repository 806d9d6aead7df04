"""How fast the cache of an image set is built, beside bare loops over the same files.

    python scripts/decode_speed.py DATA [--images 20000] [--repeats 3] [--out FILE]

DATA holds ``tiny-imagenet-200``, whole or in part. Its training files are linked, as often
as it takes, into a class of `--images`; they are read once before anything is timed, so
that all find them in the system's memory. Then, in turns, `--repeats` times each:

* the cache as the package builds it: decoded, checked, summed up, hashed, written, synced
* Pillow in a bare loop (open, convert, to an array that is thrown away), on one thread and
  on as many as there are cores
* torchvision, simplejpeg and PyTurboJPEG the same way, those that are installed

and, in a process of its own, the peak of resident memory while the cache is built, beyond
what the process had before, as a share of the cache's size.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

from bntt.data.images.cached import cached_images
from bntt.data.tree import stamp
from bntt.runs.provenance import circumstances

CORES = os.cpu_count() or 1
SHAPE = (3, 64, 64)


def build(folder: Path, files: list[str]) -> None:
    """Make the cache of these files in an empty folder."""
    known = {file: stamp(folder, file) for file in files}
    cached_images("speed", folder, known, {}, SHAPE, size=0, what="Images", quiet=True)


def pillow(path: Path) -> np.ndarray:
    """What a user would write."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def decoders() -> dict[str, Callable[[Path], object]]:
    """Return every way to decode a file that is installed."""
    found: dict[str, Callable[[Path], object]] = {"Pillow": pillow}
    if importlib.util.find_spec("torchvision"):
        from torchvision import io  # pyright: ignore[reportMissingImports]

        found["torchvision"] = lambda path: io.decode_image(str(path), io.ImageReadMode.RGB)
    if importlib.util.find_spec("simplejpeg"):
        import simplejpeg  # pyright: ignore[reportMissingImports]

        found["simplejpeg"] = lambda path: simplejpeg.decode_jpeg(path.read_bytes())
    if importlib.util.find_spec("turbojpeg"):
        import turbojpeg  # pyright: ignore[reportMissingImports]

        reader = turbojpeg.TurboJPEG()
        found["PyTurboJPEG"] = lambda path: reader.decode(path.read_bytes())
    return found


def looped(decode: Callable[[Path], object], paths: list[Path], threads: int) -> None:
    """Decode all files and keep none, each thread a share of its own."""
    with ThreadPoolExecutor(threads) as pool:
        shares = [paths[k::threads] for k in range(threads)]
        list(
            pool.map(lambda share: [None for path in share if decode(path) is None], shares)
        )


def contestants(folder: Path, files: list[str]) -> dict[str, Callable[[], None]]:
    """Return what is timed, by name."""
    paths = [folder / file for file in files]
    runs: dict[str, Callable[[], None]] = {"cache": lambda: build(folder, files)}
    for name, decode in decoders().items():
        for threads in sorted({1, CORES}):
            runs[f"{name}, {threads} thread{'s' * (threads > 1)}"] = (
                lambda decode=decode, threads=threads: looped(decode, paths, threads)
            )
    return runs


def rates(folder: Path, files: list[str], repeats: int) -> dict[str, list[float]]:
    """Return images/s of every contestant, in turns."""
    runs = contestants(folder, files)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            with a_cache():
                start = time.perf_counter()
                run()
                found[name].append(len(files) / (time.perf_counter() - start))
    return found


@contextmanager
def a_cache() -> Iterator[None]:
    """Let the block have an empty cache of its own."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BNTT_DATA"] = cache
        yield


@contextmanager
def linked(data: Path, images: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder of `images` links to training files, and the links' names."""
    found = sorted(data.glob("**/train/*/images/*.JPEG"))
    if not found:
        raise SystemExit(f"{data} holds no tiny-imagenet-200/train/CLASS/images/*.JPEG.")
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{k}.JPEG" for k in range(images)]
        for k, name in enumerate(names):
            (Path(folder) / name).symlink_to(found[k % len(found)].resolve())
        yield Path(folder), names


def resident() -> int:
    """Return the bytes of this process in memory, mapped files included."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak_memory(folder: Path, files: list[str]) -> dict[str, float]:
    """Build once and return the memory that it took at most, beside the cache's size."""
    pillow(folder / files[0])  # what Pillow loads once is not of the building
    before = highest = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with a_cache():
        build(folder, files)
        done.set()
        watcher.join()
        made = Path(os.environ["BNTT_DATA"]).rglob("*.npy")
        size = sum(path.stat().st_size for path in made)
    peak = highest - before
    return {
        "cache_mb": size / 1e6,
        "peak_mb": peak / 1e6,
        "peak_over_cache": peak / size,
        "process_before_mb": before / 1e6,
    }


def in_another_process(data: Path, images: int) -> dict[str, float]:
    """Return `peak_memory`, of a process that did nothing else."""
    command = [sys.executable, __file__, str(data), "--images", str(images), "--memory"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds tiny-imagenet-200")
    parser.add_argument("--images", type=int, default=20_000, help="decoded per run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    with linked(asked.data, asked.images) as (folder, files):
        if asked.memory:
            print(json.dumps(peak_memory(folder, files)))
            return
        for file in files:
            (folder / file).read_bytes()
        found = rates(folder, files, asked.repeats)
    middle = {name: statistics.median(runs) for name, runs in found.items()}
    for name, rate in middle.items():
        print(f"{name:24s} {rate:8,.0f} images/s")
    memory = in_another_process(asked.data, asked.images)
    print(
        f"peak memory {memory['peak_mb']:,.0f} MB of a cache of {memory['cache_mb']:,.0f}"
    )
    if asked.out:
        result = {
            "images": asked.images,
            "images_per_second": middle,
            "runs": found,
            "memory": memory,
            **circumstances(),
            "cores": CORES,
            "pillow": PIL.__version__,
            "libjpeg-turbo": features.version_feature("libjpeg_turbo"),
            "free_disk_gb": round(shutil.disk_usage(tempfile.gettempdir()).free / 1e9),
        }
        asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
