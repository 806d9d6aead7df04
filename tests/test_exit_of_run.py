"""The exit and the energy of a run: chosen on images held out, measured on test images."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportPrivateImportUsage=false

import json
import math
import shutil

import pytest
import torch
from present import present
from small_runs import go, pictures

import bntt.analysis.early_exit.measured as measured
import bntt.runs.opened as opened
import bntt.training.train as training
from bntt.analysis.early_exit import answers_until, operating_points
from bntt.analysis.early_exit.calibrated import decide
from bntt.analysis.early_exit.choice import ExitChoice
from bntt.analysis.early_exit.gains import steps_kept, thresholds_of_gains
from bntt.analysis.early_exit.measured import measure_exit
from bntt.analysis.energy import energy
from bntt.commands.main import main
from bntt.networks import checkpoint

DATA = pictures(160, 60, size=4)
T = 5


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs that held images out and that did not, and one without gains."""
    made = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "dataset_of", lambda *_, **__: DATA)
        values = {"num_steps": T, "epochs": 2, "validation": 80, "lr": 0.03}
        go(made / "run", **values)
        go(made / "none", **values | {"validation": 0, "epochs": 1})
        go(made / "shared", **values | {"norm": "shared", "epochs": 1})
    return made


@pytest.fixture(autouse=True)
def timed_once(monkeypatch):
    monkeypatch.setattr(measured, "ROUNDS", 1)


@pytest.fixture
def run(folders, tmp_path):
    return shutil.copytree(folders / "run", tmp_path / "run")


@pytest.fixture
def says(monkeypatch, capsys, as_user):
    """Run a command on the made-up data; returns its exit code and both streams."""

    def say(*words):
        monkeypatch.setattr(opened, "dataset_of", lambda *_, **__: DATA)
        capsys.readouterr()
        code = main([str(word) for word in words])
        return (code, *capsys.readouterr())

    return say


def found(says, *words):
    code, out, err = says(*words, "--json")
    assert code == 0, err
    return json.loads(out)


KEYS = ["accuracy", "full_accuracy", "full_seconds", "full_synops", "rule", "seconds"]
KEYS = sorted([*KEYS, "synops", "threshold"])


@pytest.mark.parametrize("rule", ["confidence", "entropy", "gap", "stable"])
def test_the_exit_of_a_sample_is_measured_on_all_test_images(run, says, rule):
    threshold = 2 if rule == "stable" else 0.3
    answer = found(says, "evaluate", run, "--exit", rule, "--threshold", threshold)
    exit = answer["exit"]
    assert sorted(exit) == sorted([*KEYS, "mean_steps"])
    assert (exit["rule"], exit["threshold"]) == (rule, threshold)
    net = checkpoint.load(run / "best.safetensors")
    whole = answers_until(net, DATA.test_images, None)
    (point,) = operating_points(whole.over_time, DATA.test_labels, rule, [threshold])
    assert exit["mean_steps"] == pytest.approx(point.mean_steps)
    assert 1 < exit["mean_steps"] < T
    assert exit["accuracy"] == pytest.approx(point.accuracy)
    assert exit["full_accuracy"] == answer["accuracy_over_time"][-1]
    assert answer["lost"] == point.lost
    assert sum(answer["exit_steps"]) == answer["images"] == 60
    assert exit["synops"] < exit["full_synops"]
    assert exit["full_synops"] == energy(net, DATA.test_images).synops
    assert min(exit["seconds"], exit["full_seconds"]) > 0
    assert json.loads((run / "exit.json").read_text())["exit"] == exit


def test_the_exit_by_gains_is_the_networks_first_steps(run, says):
    net = checkpoint.load(run / "best.safetensors")
    for layer in net.layers:
        layer.norm.weight.data[3:] = 0.05
    checkpoint.save(net, run / "best.safetensors")
    answer = found(says, "evaluate", run, "--exit", "gamma")
    exit = answer["exit"]
    assert sorted(exit) == sorted([*KEYS, "steps_kept"])
    assert (exit["steps_kept"], exit["threshold"]) == (3, 0.1)
    assert exit["accuracy"] == answer["accuracy_over_time"][2]
    assert answer["exit_steps"] == [0, 0, 60, 0, 0]
    first = energy(net, DATA.test_images, num_steps=3)
    assert exit["synops"] == first.synops < exit["full_synops"]
    both = found(says, "evaluate", run, "--exit", "gamma+stable", "--threshold", 2)
    assert both["num_steps"] == 3
    assert both["exit_steps"][0] == sum(both["exit_steps"][3:]) == 0
    assert both["exit"]["full_accuracy"] == exit["full_accuracy"]
    credited = found(says, "energy", run, "--exit", "gamma")
    assert credited["total"]["synops"] == first.synops
    assert credited["exit"] == {"rule": "gamma", "threshold": 0.1, "num_steps": 3}


def test_gains_that_stay_are_said(run, says):
    code, out, err = says("evaluate", run, "--exit", "gamma", "--threshold", "1e-6")
    assert code == 0
    assert "the gains keep 5 of 5 time-steps" in out
    assert "The gains keep every time-step" in err


@pytest.mark.parametrize("promise", [["--max-loss", 20], ["--mean-steps", 3.5]])
@pytest.mark.parametrize("rule", ["confidence", "stable"])
def test_a_threshold_is_chosen_on_the_images_held_out(run, says, rule, promise):
    answer = found(says, "evaluate", run, "--exit", rule, *promise)
    _, index = DATA.split(80, 0)
    assert answer["held_out"].startswith("the 80 images of made-up that the run held out")
    net = checkpoint.load(run / "best.safetensors")
    whole = answers_until(net, DATA.train_images[index], None)
    at = answer["exit"]["threshold"]
    labels = DATA.train_labels[index]
    (point,) = operating_points(whole.over_time, labels, rule, [at])
    made = answer["calibration"]
    assert made["images"] == 80
    assert made["mean_steps"] == pytest.approx(point.mean_steps)
    assert made["accuracy"] == pytest.approx(point.accuracy)
    if "--mean-steps" in promise:
        assert made["mean_steps"] <= 3.5
    else:
        assert made["full_accuracy"] - made["accuracy"] <= 0.2


def test_a_promise_says_how_sure_it_is_and_what_it_rests_on(run, says):
    words = ["--exit", "confidence", "--max-loss", 30, "--delta", 0.1]
    code, out, err = says("evaluate", run, *words)
    assert code == 0, err
    assert "more than 30 points are lost with a probability of 0.1 at most" in out
    assert "also chose which epoch's weights were kept" in err
    answer = found(says, "evaluate", run, *words)
    assert 0 < answer["calibration"]["loss_bound"] <= 0.3


def test_other_exits_are_kept_in_files_of_their_own(run, says):
    words = ["evaluate", run, "--exit", "stable", "--threshold"]
    assert found(says, *words, 2)["file"].endswith("exit.json")
    assert found(says, *words, 3)["file"].endswith("exit-2.json")
    assert found(says, *words, 2)["file"].endswith("exit.json")


def test_energy_of_a_run(run, says):
    answer = found(says, "energy", run, "--images", 20)
    assert {"images", "layers", "total"} <= set(answer)
    for layer in answer["layers"]:
        assert len(layer["steps"]) == T
        assert {"spikes", "ac", "mac", "dense"} <= set(layer["steps"][0])
    net = checkpoint.load(run / "best.safetensors")
    spread = torch.linspace(0, 59, 20).round().long()
    assert answer["total"]["joules"] == energy(net, DATA.test_images[spread]).joules
    assert json.loads((run / "energy.json").read_text())["total"] == answer["total"]
    code, out, _ = says("energy", run, "--constants", "45nm-int", "--images", 20)
    assert code == 0
    assert "45nm-int (Horowitz" in out
    assert "ANN of 3 bits" in out


def test_an_early_exit_is_credited(run, says):
    words = ["energy", run, "--exit", "stable", "--threshold", 2]
    early, full = found(says, *words), found(says, "energy", run)
    assert early["total"]["joules"] < full["total"]["joules"]
    firsts = [[layer["steps"][0] for layer in one["layers"]] for one in (early, full)]
    assert firsts[0] == firsts[1], "nobody leaves before the first step is over"
    assert early["exit"]["rule"] == "stable"


def test_nobody_who_stays_costs_less(run, monkeypatch):
    monkeypatch.setattr(measured, "ROUNDS", 3)
    monkeypatch.setattr(measured, "PATIENCE", math.inf)
    net = checkpoint.load(run / "best.safetensors")
    choice = ExitChoice(rule="stable", threshold=T + 1)
    same = measure_exit(net, DATA.test_images, DATA.test_labels, decide(net, choice))
    assert (same.mean_steps, same.rounds) == (T, 3)
    assert same.accuracy == same.full_accuracy
    cost = present(same.cost)
    assert cost.early.layers == cost.full.layers


def test_thresholds_of_gains_are_those_at_which_steps_change():
    gains = torch.tensor([[0.5, 0.9, 0.4, 0.2, 0.3], [0.1, 0.2, 0.6, -0.1, 0.1]])
    found = thresholds_of_gains(gains)
    assert [steps for _, steps in found] == [5, 3, 2]
    for threshold, steps in found[1:]:
        assert steps_kept(gains, threshold) == steps
    assert [at for at, _ in found] == pytest.approx([0, 0.45, 0.75])


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("none", ["--exit", "gap", "--max-loss", 1], "held no images out of training"),
        ("none", ["--exit", "gamma", "--mean-steps", 2], "held no images out of training"),
        ("shared", ["--exit", "gamma"], "needs a network with BNTT layers"),
        ("run", ["--exit", "gap", "--threshold", 1.5], "at least 0 and at most 1, got 1.5"),
        ("run", ["--exit", "gamma", "--threshold", 0], "must be positive and finite"),
        ("run", ["--exit", "gap"], "needs a threshold, or max_loss or mean_steps"),
        ("run", ["--exit", "confidance"], "Did you mean 'confidence'?"),
        ("run", ["--threshold", 0.5], "Add --exit confidence"),
        ("run", ["--exit", "gap", "--max-loss", 100], "below 100 points"),
        ("run", ["--exit", "gap", "--max-loss", -1], "`max_loss` must lie in"),
        ("run", ["--exit", "gap", "--mean-steps", 0.5], "must be at least 1 by this rule"),
        ("run", ["--exit", "gap", "--mean-steps", 5], "must be less than the 5 time-steps"),
        ("run", ["--exit", "gap", "--threshold", 1, "--delta", 0.1], "Give max_loss too"),
        ("run", ["--exit", "gap", "--max-loss", 1, "--delta", 2], "`delta` must lie in"),
        ("run", ["--exit", "gap", "--max-loss", 1, "--delta", 0.05], "can be promised"),
        (
            "run",
            ["--exit", "gap", "--max-loss", 1, "--threshold", 1],
            "got threshold and max_loss",
        ),
        ("run", ["--exit", "gap", "--threshold", 1, "--num-steps", 6], "Ask for 1 to 5"),
    ],
)
def test_exits_that_cannot_be_measured_are_refused(folders, says, name, words, message):
    for command in ("evaluate", "energy"):
        code, out, err = says(command, folders / name, *words)
        assert code == 2, err
        assert out == ""
        assert err.startswith("bntt: ")
        assert err.count("\n") == 1
        assert message in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--constants", "7nm"], "Unknown energy constants '7nm'"),
        (["--constants", "no.json"], "no.json"),
        (["--constants", "unit.json"], "`ac_pj` in unit.json must be a number, got '1 nJ'"),
        (["--images", 0], "--images"),
    ],
)
def test_energies_that_cannot_be_counted_are_refused(
    folders, says, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    values = dict.fromkeys(("mac_pj", "mult_pj", "int8_mult_pj", "int_add_pj"), 1)
    values |= {"name": "mine", "source": "me", "read_pj_per_byte": 1, "ac_pj": "1 nJ"}
    (tmp_path / "unit.json").write_text(json.dumps(values))
    code, out, err = says("energy", folders / "run", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_images_that_may_have_been_learned_from_choose_no_threshold(run, says):
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"held_out_sha256": "0" * 64}))
    code, _, err = says("evaluate", run, "--exit", "gap", "--max-loss", 10)
    assert code == 2
    assert "it may have learned from them" in err


@pytest.mark.parametrize("words", [["--seeds", 2], ["--figure", "x.png"]])
def test_what_is_no_part_of_an_exit_is_refused_beside_it(folders, says, words):
    code, _, err = says(
        "evaluate", folders / "run", "--exit", "gap", "--threshold", 0.5, *words
    )
    assert code == 2
    assert f"{words[0]} is of the accuracy after every time-step" in err
