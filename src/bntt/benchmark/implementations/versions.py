"""What is installed where a measurement runs."""

import sys
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that decide the speed."""
    found = {"python": sys.version.split()[0]}
    for name in ("torch", "numba", "numpy", "spikingjelly"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
