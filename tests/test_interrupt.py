"""What ends a command at the user's wish: one line, or none, and never a traceback."""

import signal
import subprocess
import sys
import time

import command
import pytest

from bntt.commands import main as cli
from bntt.machine.interrupt import unwinding

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@POSIX
@pytest.mark.parametrize("wait", [0.3, 1.0, 2.0])
def test_an_early_interrupt_leaves_no_traceback(tmp_path, wait):
    with subprocess.Popen(
        [*command.BNTT, "evaluate", "nothing"],
        cwd=tmp_path,
        env=command.ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    assert process.returncode in (2, 130, -signal.SIGINT)


def interrupted_twice(first, second):
    """Run a command that is interrupted while it works, and again while it cleans up."""
    code = (
        "import os, signal, sys, time\n"
        "from bntt import config\n"
        "from bntt.commands.main import main\n"
        "def names():\n"
        "    try:\n"
        f"        {first}\n"
        "    finally:\n"
        f"        {second}\n"
        "config.recipe_names = names\n"
        "sys.exit(main(['recipes']))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env=command.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@POSIX
def test_an_interrupt_is_one_line_and_a_second_one_none():
    strike = "os.kill(os.getpid(), signal.SIGINT); time.sleep(5)"
    once = interrupted_twice(strike, "pass")
    assert (once.returncode, once.stderr) == (130, "bntt: Interrupted.\n")
    twice = interrupted_twice(strike, strike)
    assert (twice.returncode, twice.stderr) == (-signal.SIGINT, "")


@POSIX
def test_an_interrupt_amid_an_import_ends_the_program_at_once(tmp_path):
    """What is raised there can be lost in a callback of the import system's own locks."""
    (tmp_path / "slow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('went on')\n"
    )
    program = (
        "from bntt.machine.interrupt import unwinding\n"
        "with unwinding(['SIGINT']):\n"
        "    try:\n"
        "        import slow\n"
        "    except KeyboardInterrupt:\n"
        "        print('raised')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=command.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_the_handler_is_given_back(capsys):
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(["recipes"]) == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_only_the_signals_asked_for_are_answered():
    asked, other = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with unwinding(["SIGINT"]):
        assert signal.getsignal(signal.SIGINT) is not asked
        assert signal.getsignal(signal.SIGTERM) is other
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL, "the next one kills"
    assert signal.getsignal(signal.SIGINT) is asked


def test_an_end_of_file_is_no_interrupt(monkeypatch):
    def ended():
        raise EOFError("a damaged cache of somebody's")

    monkeypatch.setattr("bntt.config.recipe_names", ended)
    with pytest.raises(EOFError, match="damaged cache"):
        cli.main(["recipes"])
