"""Kills, interrupts and hang-ups at any moment: the run ends as if there had been none."""

import os
import random
import signal
import subprocess
import time

import command
import pytest
from small_runs import log, same, tensors

WORDS = ["train", "digits", "--device", "cpu", "--json", "--set", "epochs=2"]
WORDS += ["--set", "validation=200", "--set", "precision=float32", "--out", "run"]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
FILES = {"recipe.toml", "run.json", "log.jsonl", "best.safetensors", "last.safetensors"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = command.bntt_process(*WORDS, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def started(folder):
    """The program, once it trains; it goes on with a run that is there."""
    words = [*WORDS, *["--resume"] * (folder / "run" / "run.json").exists()]
    process = subprocess.Popen(
        [*command.BNTT, *words],
        cwd=folder,
        env=command.ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    logged = folder / "run" / "log.jsonl"
    size = logged.stat().st_size if logged.exists() else 0
    while process.poll() is None and not (
        logged.exists() and logged.stat().st_size != size
    ):
        time.sleep(0.01)
    return process


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("seed", range(int(os.environ.get("BNTT_FUZZ", "1"))))
def test_a_chain_of_kills_changes_nothing(whole, tmp_path, seed):
    draw = random.Random(seed)
    for number in (signal.SIGKILL, draw.choice(SIGNALS[1:])):
        process = started(tmp_path)
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        assert "\x1b[?25l" not in err, "a hidden cursor"
        if number != signal.SIGKILL and process.returncode:
            assert process.returncode == 130, out + err
    done = command.bntt_process(*WORDS, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tensors(run / name), tensors(whole / name)), name
    assert log(run) == log(whole)
    assert {path.name for path in run.iterdir()} - {"tensorboard", ".lock"} == FILES
