"""Fetch a published file, verified, into a folder that keeps it."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ...machine.extras import how_to_install
from ...machine.progress import Display

MEGABYTE = 1_000_000
CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file that the makers of a set publish, and the checksum that proves it."""

    title: str
    """Of the set, as its users write it."""
    file: str
    """What the file is called on disk."""
    checksum: str
    """``md5:`` or ``sha256:`` and the digits."""
    urls: tuple[str, ...]
    """Where it lies, the first choice first."""


def fetch(published: Published, folder: Path, *, quiet: bool = True) -> Path:
    """Download a file into `folder`, unless it is there already, and return its path.

    Raises:
        ImportError: If pooch is not installed.
        PermissionError: If `folder` cannot be written.
        ConnectionError: If the file could not be had, or was not the published one.
    """
    pooch = _pooch(published)
    failures = []
    for url in published.urls:
        try:
            return _retrieve(pooch, url, published, folder, quiet)
        except PermissionError as error:
            raise PermissionError(
                f"The download of {published.title} cannot be kept in {folder}: permission "
                f"denied. Name another folder with the environment variable BNTT_DATA."
            ) from error
        except (OSError, ValueError) as error:  # no network, full disk; another checksum
            why = " ".join(str(error).split())[:200]
            failures.append(f"from {url} ({type(error).__name__}: {why})")
    raise ConnectionError(
        f"{published.title} could not be downloaded {', nor '.join(failures)}. Put "
        f"{published.file} into {folder}, or name the folder it is in with --data DIR."
    )


def _retrieve(
    pooch: ModuleType, url: str, published: Published, folder: Path, quiet: bool
) -> Path:
    with Display(f"Downloading {published.file}", total=0, quiet=quiet) as display:
        downloader = pooch.HTTPDownloader(progressbar=_Bar(display), chunk_size=CHUNK)
        path = pooch.retrieve(
            url,
            published.checksum,
            fname=published.file,
            path=folder,
            downloader=downloader,
        )
    return Path(path)


class _Bar:
    """A display as pooch moves it along, in bytes; it shows megabytes."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.total = 0

    def update(self, size: int) -> None:
        progress, task = self.display.progress, self.display.task
        total = self.total / MEGABYTE
        progress.update(task, total=total, advance=size / MEGABYTE, figures="MB")

    def reset(self) -> None:
        self.display.progress.update(self.display.task, completed=0)

    def close(self) -> None:
        """The display closes itself."""


def _pooch(published: Published) -> ModuleType:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"{published.title} is downloaded with pooch, which is not installed: "
            f"{how_to_install('data')}. Or name the folder that holds "
            f"{published.file} with --data DIR."
        ) from error
    return pooch
