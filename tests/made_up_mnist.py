"""Small sets in the layout of MNIST and Fashion-MNIST, for the tests of what reads them."""

import dataclasses
import gzip
import hashlib
import struct

import numpy as np

from bntt.data.sets import mnist

SETS = dict(mnist.SETS)
NAMES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}
COUNTS = {
    "mnist": ((5, 3, 4, 4, 2, 6, 4, 4, 3, 5), (1, 2, 1, 0, 1, 2, 1, 0, 1, 1)),
    "fashion-mnist": ((4,) * 10, (1,) * 10),
}


def idx(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclasses.dataclass
class MadeUp:
    """Arrays by part, and by file name the bytes of the plain and of the packed files."""

    arrays: dict[str, np.ndarray]
    plain: dict[str, bytes]
    packed: dict[str, bytes]

    def write(self, folder, packed=True):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in (self.packed if packed else self.plain).items():
            (folder / name).write_bytes(data)
        return folder


def make_up(name):
    random = np.random.default_rng(len(name))
    arrays = {}
    for part, counts in zip(("train", "t10k"), COUNTS[name], strict=True):
        labels = np.repeat(np.arange(10, dtype=np.uint8), counts)
        random.shuffle(labels)
        shape = (len(labels), 28, 28)
        arrays[f"{part}-images"] = random.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}-labels"] = labels
    plain = {NAMES[part]: idx(array) for part, array in arrays.items()}
    packed = {f"{file}.gz": gzip.compress(data, 9) for file, data in plain.items()}
    return MadeUp(arrays, plain, packed)


def publish(monkeypatch, name):
    """Make up a set; its counts and checksums take the place of the real ones."""
    made = make_up(name)
    files = {
        part: mnist.File(file, md5(made.packed[f"{file}.gz"]), md5(made.plain[file]))
        for part, file in NAMES.items()
    }
    train, test = COUNTS[name]
    replaced = dataclasses.replace(
        SETS[name], files=files, train_counts=train, test_counts=test
    )
    monkeypatch.setitem(mnist.SETS, name, replaced)
    return made
