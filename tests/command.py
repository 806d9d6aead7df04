"""The real command, and one small run of it that several tests look at."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bntt
from bntt.commands.main import main

START = "from bntt.commands.main import main; raise SystemExit(main())"
BNTT = [sys.executable, "-c", START]
PATH = os.pathsep.join([str(Path(bntt.__file__).parents[1]), *sys.path])
# the compiled kernels may be cached elsewhere than the sources; two threads are enough
ENVIRONMENT = os.environ | {"PYTHONPATH": PATH, "OMP_NUM_THREADS": "2"}


def bntt_process(*words, cwd):
    """Run the program as a user does, in a process of its own."""
    return subprocess.run(
        [*BNTT, *map(str, words)],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def _trained(folder):
    folder.mkdir()
    done = bntt_process("train", "digits", "--set", "epochs=1", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "digits", done


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a run of one epoch on digits, and the process that made it."""
    return _trained(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture
def run(trained):
    """That folder; not to be written to."""
    return trained[0]


@pytest.fixture
def bntt_says(capsys):
    """Run a command in this process and return what it printed on stdout."""

    def says(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return says


@pytest.fixture
def refusal(capsys, as_user):
    """Run a command that must be refused as bad input is; return its one line."""

    def refused(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert code == 2, f"exit code {code}"
        assert out == "", "only the answer belongs on stdout"
        assert err.startswith("bntt: "), err
        assert err.count("\n") == 1, err
        return err.strip()

    return refused
