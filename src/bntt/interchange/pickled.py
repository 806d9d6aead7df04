"""State dicts out of pickled checkpoints, without running what is in them."""

import codecs
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

RECONSTRUCT_SCALAR, _ = np.float64(0).__reduce__()
NUMPY_SCALAR = [
    # numpy 2 renamed the module; files of either age name it
    (RECONSTRUCT_SCALAR, "numpy.core.multiarray.scalar"),
    (RECONSTRUCT_SCALAR, "numpy._core.multiarray.scalar"),
    (np.dtype, "numpy.dtype"),
    (type(np.dtype(np.float64)), "numpy.dtypes.Float64DType"),
    (codecs.encode, "_codecs.encode"),  # pickle's way to write bytes in protocol 2
]
"""All that a checkpoint may name beyond tensors: ``'accuracy': np.mean(...)`` needs it."""


def state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors by name that ``torch.save`` wrote, alone or under ``"state_dict"``.

    A ``module.`` in front of a name, and the counts of batches that a batch norm keeps, are
    dropped: with a constant momentum nothing depends on them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is unreadable, names anything but weights, or holds no state
            dict.
    """
    content = _unpickle(path)
    found = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError(
            f"{path} holds a value of type {type(found).__name__}, not a state dict of "
            f"tensors by name. Expected what torch.save({{'state_dict': "
            f"net.state_dict(), ...}}) writes."
        )
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{path} holds a value of type {type(value).__name__} under {name!r}, "
                f"where a state dict has only tensors. Save net.state_dict(), alone or "
                f"under 'state_dict'."
            )
    kept = (name for name in found if not name.endswith(".num_batches_tracked"))
    return {name.removeprefix("module."): found[name] for name in kept}


def _unpickle(path: Path) -> Any:
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"{path} {what}. Name the .pth.tar file of the authors' code."
        )
    try:
        with torch.serialization.safe_globals(NUMPY_SCALAR):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file can fail at any of its bytes
        named = re.search(r"(?:GLOBAL|but got|function) (<.+?>|\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and named:
            raise ValueError(
                f"{path} asks for {named[1]}, which weights do not need, so it was refused "
                f"and not run. If you trust the file, save its state_dict alone elsewhere."
            ) from error
        raise ValueError(
            f"{path} cannot be read as a file of torch.save ({type(error).__name__}): it "
            f"is cut short, damaged or of another kind. Fetch it again, compare its size."
        ) from error
