"""The network of a run folder or of a file, for who wants nothing else of it."""

from pathlib import Path

from ..networks import checkpoint
from ..networks.network import Network


def load(path: str | Path) -> Network:
    """The best network of a run, or the network in a file, ready to classify.

    Args:
        path: A run folder, as ``bntt train`` writes it, or a file that :func:`bntt.save`
            wrote.

    Returns:
        The network, on the CPU and in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file, or the folder holds no run or no
            network yet.
        ValueError: If the file is not a checkpoint of this library, is incomplete, holds
            NaN or infinity, or is not of the run in whose folder it lies; or if its network
            is of a class that was not registered.
    """
    path = Path(path)
    if not path.is_dir():
        return checkpoint.load(path)
    # only here, since it brings the data rooms and their packages, which a file needs not
    from .folder import RunFolder
    from .opened import best_network

    folder = RunFolder(path)
    return best_network(folder, folder.recipe())[0]
