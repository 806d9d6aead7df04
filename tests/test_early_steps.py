"""Training on the first time-steps only, and the hand-over to the later ones (M17)."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# pyright: reportGeneralTypeIssues=false
from dataclasses import replace

import pytest
import torch
from small_runs import (
    RECIPE,
    go,
    info,
    interrupt,
    log,
    pictures,
    same,
    stopped,
    tensors,
)

import bntt.training.loop as loop
import bntt.training.train as training
from bntt.networks import checkpoint
from bntt.runs.folder import RunFolder
from bntt.runs.opened import best_network
from bntt.training.early_steps import copy_to_later_steps
from bntt.training.start import new_network

EARLY = {"early_steps": 1, "early_epochs": 1}
STAGES = {"num_steps": 4, "epochs": 5, "early_steps": (1, 3), "early_epochs": (2, 1)}
TWO_STEPS_AN_EPOCH = {"batch_size": 20}


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures())


def gains_and_statistics(net):
    for layer in net.layers:
        norm = layer.norm
        yield from (norm.weight.data, norm.running_mean, norm.running_var)


def test_later_steps_begin_where_the_last_early_one_ended():
    net = new_network(RECIPE, pictures())
    for tensor in gains_and_statistics(net):
        tensor.uniform_()
    before = [tensor.clone() for tensor in gains_and_statistics(net)]
    weights = [conv.weight.clone() for conv in net.convs]
    copy_to_later_steps(net, 2)
    for tensor, old in zip(gains_and_statistics(net), before, strict=True):
        assert torch.equal(tensor[:2], old[:2])
        assert torch.equal(tensor[2], old[1])
    for conv, old in zip(net.convs, weights, strict=True):
        assert torch.equal(conv.weight, old)


def test_later_steps_learn_nothing_until_the_hand_over(tmp_path, monkeypatch):
    begun = list(gains_and_statistics(new_network(RECIPE, pictures())))
    stopped(tmp_path, monkeypatch, 4, interrupt, weight_decay=0, **EARLY)
    net = checkpoint.load(tmp_path / "last.safetensors")
    for now, then in zip(gains_and_statistics(net), begun, strict=True):
        assert torch.equal(now[1:], then[1:])
        assert not torch.equal(now[0], then[0])


def test_the_best_of_early_training_does_not_count(tmp_path, monkeypatch):
    scores = [[0.9], [0.1, 0.2, 0.5], [0.1, 0.2, 0.4]]  # of fewer steps, and higher
    monkeypatch.setattr(loop.TrainingLoop, "validate", lambda self, epoch: scores[epoch])
    assert go(tmp_path, **EARLY)["validation_accuracy"] == 0.5
    assert info(tmp_path / "best.safetensors") == {"epoch": 2}


def test_every_epoch_trains_on_the_steps_of_its_stage():
    recipe = replace(RECIPE, **STAGES)
    assert [recipe.trained_steps(epoch) for epoch in range(5)] == [1, 1, 3, None, None]
    assert [RECIPE.trained_steps(epoch) for epoch in range(3)] == [None] * 3


def test_each_stage_hands_over_what_its_last_step_learned(tmp_path, monkeypatch):
    handed = []
    monkeypatch.setattr(loop, "copy_to_later_steps", lambda net, step: handed.append(step))
    scores = [[0.9], [0.8], [0.1, 0.2, 0.7], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.5]]
    monkeypatch.setattr(loop.TrainingLoop, "validate", lambda self, epoch: scores[epoch])
    assert go(tmp_path, **STAGES, **TWO_STEPS_AN_EPOCH)["validation_accuracy"] == 0.5
    assert handed == [1, 3]


def test_a_run_of_stages_goes_on_as_if_nothing_had_stopped_it(tmp_path, monkeypatch):
    changes = STAGES | TWO_STEPS_AN_EPOCH
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    go(whole, **changes)
    # in the first stage, and at the end of the second one
    stopped(parts, monkeypatch, 1, interrupt, **changes)
    stopped(parts, monkeypatch, 5, interrupt, resume=True, **changes)
    assert best_network(RunFolder(parts), replace(RECIPE, **changes))[1] == 3
    go(parts, resume=True, **changes)
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tensors(whole / name), tensors(parts / name))
    assert log(whole) == log(parts)
    shown = [len(e["validation_accuracy"]) for e in log(whole) if "train_loss" in e]
    assert shown == [1, 1, 3, 4, 4]


@pytest.mark.parametrize(
    ("early", "said"),
    [
        (STAGES | {"early_steps": (3, 1)}, r"steps rising.* got \(3, 1\) and \(2, 1\)"),
        (STAGES | {"early_steps": (1, 1)}, "steps rising"),
        (STAGES | {"early_steps": (1, 4)}, r"in all below num_steps \(4\)"),
        (STAGES | {"early_epochs": (2, 3)}, r"and epochs \(5\), got \(1, 3\) and \(2, 3\)"),
        (STAGES | {"early_epochs": (2, 0)}, "above 0"),
        (STAGES | {"early_epochs": 2}, "one of each for a stage"),
        ({"early_steps": 3, "early_epochs": 1}, r"below num_steps \(3\).* got 3 and 1"),
        ({"early_steps": 1, "early_epochs": 3}, r"and epochs \(3\), got 1 and 3"),
        ({"early_steps": 1}, "go together"),
        ({"early_epochs": 1}, "go together"),
        ({"early_steps": -1, "early_epochs": 1}, "`early_steps` must not be negative"),
        (EARLY | {"norm": "shared"}, "norm='shared' with window=1 pools"),
    ],
)
def test_early_training_that_cannot_be_is_refused(early, said):
    with pytest.raises(ValueError, match=said):
        replace(RECIPE, **early)


# what goes wrong
