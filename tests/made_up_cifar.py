"""Small CIFAR sets in both published layouts, for the tests of what reads them."""

import dataclasses
import hashlib
import io
import struct
import tarfile

import numpy as np

from bntt.data.sets import cifar

SETS = dict(cifar.SETS)


def python2_pickle(value):
    """What Python 2 and NumPy 1 wrote: protocol 2, byte strings, names of that time."""
    if isinstance(value, dict):
        items = b"".join(python2_pickle(part) for item in value.items() for part in item)
        return b"}(" + items + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(python2_pickle, value)) + b"e"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    rows, columns = value.shape
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN" + b"J\xff\xff\xff\xff" * 2
    shape = b"(K\x01" + python2_pickle(rows) + python2_pickle(columns) + b"\x86"
    return array + shape + dtype + b"K\x00tb\x89" + python2_pickle(value.tobytes()) + b"tb"


def pickled(value):
    return b"\x80\x02" + python2_pickle(value) + b"."


@dataclasses.dataclass
class MadeUp:
    """A set of 60 + 12 images with the bytes of its files in both versions."""

    pixels: np.ndarray
    labels: np.ndarray
    names: list[bytes]
    files: tuple[dict[str, bytes], dict[str, bytes]]

    def write(self, which, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files[which].items():
            (folder / name).write_bytes(data)
        return folder


def make_up(name):
    random = np.random.default_rng(7)
    ranges = SETS[name].label_ranges
    pixels = random.integers(0, 256, (72, 3072), dtype=np.uint8)
    labels = np.stack([random.integers(0, n, 72, dtype=np.uint8) for n in ranges], axis=1)
    labels[0] = np.array(ranges) - 1  # the highest label is a label too
    names = [b"class_%d" % k for k in range(ranges[-1])]
    python, binary = SETS[name].versions
    bounds = [*np.linspace(0, 60, len(python.train) + 1).astype(int), 72]
    files = ({python.names: pickled({SETS[name].names_key: names})}, {})
    files[1][binary.names] = b"\n".join(names) + b"\n\n"
    for start, end, python_file, binary_file in zip(
        bounds,
        bounds[1:],
        (*python.train, python.test),
        (*binary.train, binary.test),
        strict=False,
    ):
        fine = labels[start:end, -1].tolist()
        batch = {
            b"data": pixels[start:end],
            SETS[name].labels_key: fine,
            b"batch_label": b"x",
        }
        files[0][python_file] = pickled(batch)
        files[1][binary_file] = np.hstack([labels[start:end], pixels[start:end]]).tobytes()
    return MadeUp(pixels, labels[:, -1], names, files)


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def publish(monkeypatch, name):
    """Make up a set; its sizes and checksums take the place of the real ones."""
    monkeypatch.setattr(cifar, "TRAIN", 60)
    monkeypatch.setattr(cifar, "TEST", 12)
    made = make_up(name)
    publish_pickles(monkeypatch, name, made.files[0])
    return made


def publish_pickles(monkeypatch, name, files):
    """Let these bytes be the published ones of the python version."""
    python, binary = cifar.SETS[name].versions
    sums = {file: md5(data) for file, data in files.items()}
    republish(monkeypatch, name, dataclasses.replace(python, md5=sums), binary)


def republish(monkeypatch, name, *versions):
    monkeypatch.setitem(
        cifar.SETS, name, dataclasses.replace(SETS[name], versions=versions)
    )


def archive(monkeypatch, made, name, which, folder, publish=True):
    """Write the official archive of one version into `folder`."""
    version = cifar.SETS[name].versions[which]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for file, data in made.files[which].items():
            entry = tarfile.TarInfo(f"{version.folder}/{file}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / version.archive
    path.write_bytes(buffer.getvalue())
    if publish:
        versions = list(cifar.SETS[name].versions)
        versions[which] = dataclasses.replace(version, archive_md5=md5(buffer.getvalue()))
        republish(monkeypatch, name, *versions)
    return path
