"""What is to be run on a GPU, run here at sizes that mean nothing."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
pytestmark = pytest.mark.slow


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """The script as it is called: with a step, on the CPU, into one folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import gpu_measure  # pyright: ignore[reportMissingImports]

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gpu_measure.py", "--out", str(tmp_path), *words])
        assert gpu_measure.main() == 0
        files = {path.stem: path for path in tmp_path.glob("*.json")}
        return {name: json.loads(path.read_text()) for name, path in files.items()}

    run.steps = gpu_measure.STEPS  # pyright: ignore[reportFunctionMemberAccess]
    return run


def test_speed_is_measured_and_kept(measure, capsys):
    for step in ("operators", "networks", "profile"):
        found = measure("--tiny", step)[step]
        assert found["done"]
        assert found["device"] == "CPU, a trial"
        assert found["commit"]
    rows = measure("--tiny", "operators")["operators"]["rows"]
    assert {(row["backend"], row["precision"]) for row in rows} == {
        ("cpu", "float32"), ("cpu", "bfloat16"),
        ("reference", "float32"), ("reference", "bfloat16"),
    }  # fmt: skip
    assert all(row["backward"]["ms"] > 0 for row in rows)
    rows = measure("--tiny", "networks")["networks"]["rows"]
    timed = {row["implementation"] for row in rows if "images_per_s" in row}
    assert timed >= {"bntt", "loop", "convolutions_only"}
    assert "networks                 done   10 rows" in capsys.readouterr().out


def test_what_was_cut_off_goes_on(measure, tmp_path):
    whole = measure("--tiny", "operators")["operators"]
    file = tmp_path / "operators.json"
    file.write_text(json.dumps(whole | {"rows": whole["rows"][:3], "done": False}))
    again = measure("--tiny", "operators")["operators"]
    assert again["rows"][:3] == whole["rows"][:3]
    assert len(again["rows"]) == len(whole["rows"])


def test_the_first_step_that_is_not_done_comes_next(measure, tmp_path):
    pytest.importorskip("triton", reason="Triton is made for Linux, and optional")
    order = list(measure.steps)
    assert order[:4] == ["tests-choice", "tests-ops", "tests-numbers", "sanitizer"]
    for step in order[2:3]:
        (tmp_path / f"{order[0]}.json").write_text('{"done": true}')
        (tmp_path / f"{order[1]}.json").write_text('{"done": true}')
        assert "1 passed" in measure("--tiny")[step]["summary"]
    assert measure("--tiny")["sanitizer"]["status"] == 0


def test_a_network_is_trained_and_evaluated(measure, tmp_path):
    step = "train-cifar10-vgg9"
    found = measure("--tiny", step)[step]
    assert found["done"], (tmp_path / f"{step}.log").read_text()
    assert found["run"]["status"] == "finished"
    assert (tmp_path / step / "evaluation.json").is_file()


def test_training_that_takes_too_long_is_stopped_and_goes_on(measure, tmp_path):
    step = "train-cifar10-vgg9"
    found = measure("--tiny", "--minutes", "0.001", step)[step]
    assert not found["done"]
    assert measure("--tiny", step)[step]["done"], (tmp_path / f"{step}.log").read_text()


def test_without_a_gpu_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import gpu_measure  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(gpu_measure.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_measure.py", "--out", str(tmp_path)])
    assert gpu_measure.main() == 2
    assert "No GPU here: reference: torch finds no CUDA device" in capsys.readouterr().out
