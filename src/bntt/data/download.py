"""Fetch an official archive, verified, into a folder that keeps it."""

import os
from pathlib import Path
from types import ModuleType

from .cifar_files import HOME, CifarSet


def cache_folder(cifar: CifarSet) -> Path:
    """Return where downloads are kept: ``$BNTT_DATA``, else the platform's cache folder.

    Raises:
        ImportError: If ``$BNTT_DATA`` is not set and pooch, which knows the platform's
            folder, is not installed.
    """
    if named := os.environ.get("BNTT_DATA"):
        return Path(named).expanduser()
    return Path(_pooch(cifar).os_cache("bntt"))


def fetch(cifar: CifarSet, cache: Path) -> Path:
    """Download the archive of the python version and return its path.

    Raises:
        ImportError: If pooch is not installed.
        PermissionError: If `cache` cannot be written.
        ConnectionError: If the archive could not be had, or was not the published one.
    """
    pooch = _pooch(cifar)
    version = cifar.versions[0]
    url = HOME + version.archive
    try:
        path = pooch.retrieve(
            url, f"md5:{version.archive_md5}", fname=version.archive, path=cache
        )
    except PermissionError as error:
        raise PermissionError(
            f"The download of {cifar.title} cannot be kept in {cache}: permission denied. "
            f"Name another folder with the environment variable BNTT_DATA."
        ) from error
    except (OSError, ValueError) as error:  # no network, full disk; another checksum
        why = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"{cifar.title} could not be downloaded from {url} ({type(error).__name__}: "
            f"{why}). Put {version.archive} into {cache}, or name the folder it is in with "
            f"--data DIR."
        ) from error
    return Path(path)


def _pooch(cifar: CifarSet) -> ModuleType:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"{cifar.title} is downloaded with pooch, which is not installed: "
            f"pip install bntt[data]. Or name the folder that holds "
            f"{cifar.versions[0].archive} with --data DIR."
        ) from error
    return pooch
