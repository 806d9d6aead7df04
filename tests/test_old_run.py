"""A run that version 0.1 began is evaluated, and goes on as it would have then.

`old_files/run` is what commit 535dd03 left when it was interrupted at step 103 of 200,
and then evaluated; `run_ending.json` is what it came to when it went on. The network has
few channels, so that the files are small.
"""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from small_runs import info, log, tensors

import bntt
from bntt.analysis.accuracy import evaluate_run
from bntt.machine.hardware import processor
from bntt.networks.vgg import PLANS, Plan
from bntt.runs.folder import RunFolder
from bntt.training.train import train

OLD = Path(__file__).parent / "old_files"
DATA = OLD / "run_data" / "data.npz"
ENDING = json.loads((OLD / "run_ending.json").read_text())


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the run, on one thread and with few channels, as it was trained."""
    torch.set_num_threads(1)
    monkeypatch.setitem(PLANS, "vgg5", Plan("8 A 8 8 A", hidden=16))
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return shutil.copytree(OLD / "run", tmp_path / "run")


def test_it_is_evaluated_to_the_same_numbers(run):
    found = evaluate_run(run, data=DATA, device="cpu", quiet=True).to_dict()
    then = json.loads((OLD / "run" / "evaluation.json").read_text())
    assert found["spread"] == pytest.approx(then["spread"])
    for name in ("accuracy", "mean", "seeds", "images", "batch_size", "source"):
        assert json.loads(json.dumps(found[name])) == then[name], name
    assert found["trained_steps"] == then["trained_steps"]
    (said,) = found["warnings"]
    assert said.startswith(f"{run} was interrupted before its end")
    assert found["file"] == str(run / "evaluation.json"), "the question is the same"


def test_its_best_network_is_loaded(run):
    net = bntt.load(run)
    kept = tensors(OLD / "run" / "best.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())


def test_it_goes_on_to_where_it_would_have_come(run):
    assert "right" in info(run / "last.safetensors"), "what is called `correct` today"
    recipe = RunFolder(run).recipe()
    done = train(recipe, run, data=DATA, resume=True, device="cpu", quiet=True)
    assert (done["status"], done["step"]) == ("finished", 200)
    losses = [e["loss"] for e in log(run) if "loss" in e and e["step"] > 103]
    assert losses[:10] == pytest.approx(ENDING["losses"], rel=1e-3)
    assert "correct" in info(run / "last.safetensors")
    if like_then():
        names = ENDING["sha256"]
        assert {name: digest(run / f"{name}.safetensors") for name in names} == names


def like_then():
    """Whether the last digits must agree: on the same processor, with the same torch."""
    then = json.loads((OLD / "run" / "run.json").read_text())
    return (
        torch.__version__ == then["versions"]["torch"]
        and torch.get_num_threads() == then["threads"]
        and processor() == then["processor"]
        and bntt.backend_report()["cpu"] == then["backend"]["cpu"]
    )


def digest(path):
    """Of all tensors in a file, by name."""
    total = hashlib.sha256()
    for name, value in sorted(tensors(path).items()):
        total.update(name.encode())
        total.update(value.contiguous().numpy().tobytes())
    return total.hexdigest()
