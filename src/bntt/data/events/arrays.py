"""Event arrays in ``.npz`` files, as SpikingJelly and tonic leave them."""

from pathlib import Path

import numpy as np

from .recording import Events, check_places

COLUMNS = ("t", "x", "y", "p")


def read_npz(path: str | Path, width: int = 0, height: int = 0) -> Events:
    """Read a ``.npz`` file of events.

    It holds arrays ``t``, ``x``, ``y`` and ``p`` of one length, as SpikingJelly saves
    them, or one structured array with fields of these names, as tonic's are. ``t`` is in
    whole microseconds, ``x`` and ``y`` count from the upper left, and ``p`` is 1 or true
    for ON, and 0, false or -1 for OFF.

    Args:
        path: The file. Pickled objects in it are never loaded.
        width: Columns of the sensor, which such a file does not say; 0 for as many as the
            events need, which may be fewer than the sensor has and differ from file to
            file.
        height: Rows of the sensor; likewise.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, has other arrays (they are listed), values that
            are no events, or events outside the sensor.
    """
    path = Path(path)
    columns = _columns(path, _load(path))
    t, x, y = (_whole(path, name, columns[name]) for name in "txy")
    polarity = _polarity(path, columns["p"])
    if not len(t):
        raise ValueError(f"{path} holds no events: its arrays have length 0.")
    x, y = _coordinates(path, "x", x), _coordinates(path, "y", y)
    sensor = width or int(x.max()) + 1, height or int(y.max()) + 1
    check_places(path, x, y, sensor)
    return Events(x, y, t, polarity, *sensor)


def _load(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        try:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array (.npy), not an archive (.npz)")
            with loaded:
                return {name: loaded[name] for name in loaded.files}
        except Exception as error:  # of a damaged archive, zipfile and zlib raise anything
            why = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{path} is not a .npz file of plain arrays ({path.stat().st_size} bytes): "
                f"{why}. Truncated or damaged? Get the file again."
            ) from error


def _columns(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tables = [array for array in arrays.values() if array.dtype.names]
    if len(tables) == len(arrays) == 1 and set(COLUMNS) <= set(tables[0].dtype.names or ()):
        columns = {name: tables[0][name] for name in COLUMNS}
    elif set(COLUMNS) <= set(arrays):
        columns = {name: arrays[name] for name in COLUMNS}
    else:
        there = ", ".join(map(_described, arrays, arrays.values()))
        raise ValueError(
            f"{path} must hold arrays t, x, y and p, or one array with fields of these "
            f"names, but holds {there or 'no array'}."
        )
    shapes = {name: array.shape for name, array in columns.items()}
    if len(set(shapes.values())) > 1 or columns["t"].ndim != 1:
        raise ValueError(
            f"{path}: t, x, y and p must be lists of one length, but have shapes {shapes}."
        )
    return columns


def _described(name: str, array: np.ndarray) -> str:
    fields = f" with fields {', '.join(array.dtype.names)}" if array.dtype.names else ""
    return f"{name}{list(array.shape)}{fields}"


def _whole(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "iu" or (values > np.iinfo(np.int64).max).any():
        unit = "microseconds" if name == "t" else "pixels"
        raise ValueError(
            f"{path}: {name} must be whole numbers ({unit}), got {values.dtype}."
        )
    return values.astype(np.int64)


def _coordinates(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    outside = (values < 0) | (values > np.iinfo(np.uint16).max)
    if outside.any():
        k = int(np.argmax(outside))
        raise ValueError(f"{path}: event {k} has {name}={values[k]}, which is no pixel.")
    return values.astype(np.uint16)


def _polarity(path: Path, values: np.ndarray) -> np.ndarray:
    known = np.unique(values) if values.dtype.kind in "biu" else np.array([])
    if values.dtype.kind not in "biu" or not set(known.tolist()) <= {-1, 0, 1}:
        got = f"{values.dtype} with values {', '.join(map(str, known[:8]))}"
        raise ValueError(f"{path}: p must be 0 or 1, -1 or 1, or true or false, got {got}.")
    return (values == 1).astype(np.uint8)
