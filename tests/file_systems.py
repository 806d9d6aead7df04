"""What only some systems' folders can hold, for the tests that need it."""

import sys

import pytest

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="names that are any bytes, accents kept as written"
)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
