"""Training: a stopped run goes on as if it never had, and everything it leaves behind."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
import functools
import json
import math
import signal
import threading
from dataclasses import replace

import pytest
import torch
from small_runs import (
    PER_EPOCH,
    RECIPE,
    Killed,
    at_step,
    go,
    info,
    interrupt,
    kill,
    log,
    pictures,
    recordings,
    same,
    status,
    stopped,
    tensors,
)

import bntt.training.loop as loop
import bntt.training.train as training
from bntt.machine.interrupt import stoppable, unwinding
from bntt.networks import checkpoint
from bntt.training.by_recipe import recipe_rate

STEPS = RECIPE.epochs * PER_EPOCH
EARLY = {"early_steps": 1, "early_epochs": 1}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))


@functools.cache
def _whole(folder, optimizer):
    go(folder, optimizer=optimizer, **EARLY)
    return folder


@pytest.fixture
def whole(tmp_path_factory):
    """The folder of a run that nothing stopped; not to be written to."""
    base = tmp_path_factory.getbasetemp()
    return lambda optimizer: _whole(base / f"whole-{optimizer}", optimizer)


def assert_same_run(one, other):
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tensors(one / name), tensors(other / name)), name
        assert info(one / name) == info(other / name), name
    assert log(one) == log(other)


# in the early epoch, at its end, at the hand-over, between two epochs, in the last one
@pytest.mark.parametrize("step", [2, 4, 5, 9, 12])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.slow
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    whole, tmp_path, monkeypatch, optimizer, step
):
    changes = {"optimizer": optimizer, **EARLY}
    done = stopped(tmp_path, monkeypatch, step, interrupt, **changes)
    assert done["status"] == status(tmp_path) == "interrupted"
    assert done["step"] == step + 1, "the step that was begun is finished"
    torch.manual_seed(99)  # of no concern
    done = go(tmp_path, resume=True, **changes)
    assert done["status"] == status(tmp_path) == "finished"
    assert_same_run(tmp_path, whole(optimizer))
    kept = tensors(tmp_path / "last.safetensors")
    assert sum(name.startswith("optimizer/") for name in kept) >= 5


@pytest.mark.parametrize("save_every", [0.0, 60.0], ids=["saved at once", "in epochs"])
def test_a_killed_run_ends_as_if_it_had_not_been(whole, tmp_path, monkeypatch, save_every):
    monkeypatch.setattr(loop, "SAVE_EVERY", save_every)
    with pytest.raises(Killed):
        stopped(tmp_path, monkeypatch, 8, kill, optimizer="adamw", **EARLY)
    kept = 8 if save_every == 0 else 5
    assert info(tmp_path / "last.safetensors")["step"] == kept
    assert max(entry["step"] for entry in log(tmp_path)) == 8, "it had gone further"
    with pytest.raises(Killed):  # and once more, further on
        stopped(tmp_path, monkeypatch, 13, kill, optimizer="adamw", resume=True, **EARLY)
    go(tmp_path, resume=True, optimizer="adamw", **EARLY)
    assert_same_run(tmp_path, whole("adamw"))


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    whole, tmp_path, monkeypatch
):
    with pytest.raises(Killed):
        stopped(tmp_path, monkeypatch, 3, kill, optimizer="sgd", **EARLY)
    assert not (tmp_path / "last.safetensors").exists()
    go(tmp_path, resume=True, optimizer="sgd", **EARLY)
    assert_same_run(tmp_path, whole("sgd"))


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    changes = {"optimizer": "sgd", "epochs": 1}
    first = go(tmp_path, **changes)
    names = ("run.json", "log.jsonl", "recipe.toml", "last.safetensors", "best.safetensors")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    assert go(tmp_path, resume=True, **changes) == first
    assert {name: (tmp_path / name).read_bytes() for name in names} == before


def test_another_recipe_does_not_go_on(tmp_path):
    go(tmp_path, epochs=1)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"another recipe: epochs \(1 there, 2 here\), lr"):
        go(tmp_path, resume=True, epochs=2, lr=0.5)
    with pytest.raises(FileExistsError, match="already holds a run of this recipe"):
        go(tmp_path, epochs=1)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_one_seed_one_result(whole, tmp_path, monkeypatch):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    # and the test set decides nothing
    test = pictures(size=4, seed=1)
    test = {"test_images": test.train_images[:5], "test_labels": test.train_labels[:5]}
    other = replace(pictures(size=4), **test)
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: other)
    go(tmp_path / "again", optimizer="sgd", **EARLY)
    assert torch.equal(torch.get_rng_state(), state), "training drew from torch's own"
    assert_same_run(tmp_path / "again", whole("sgd"))
    go(tmp_path / "other", optimizer="sgd", seed=1, **EARLY)
    last = [tensors(run / "last.safetensors") for run in (whole("sgd"), tmp_path / "other")]
    assert not same(*last)


def test_it_learns_and_says_so(tmp_path):
    go(tmp_path, epochs=6, optimizer="adamw", lr=0.003)
    losses = [entry["train_loss"] for entry in log(tmp_path) if "train_loss" in entry]
    assert losses[-1] < 0.9 * losses[0]


def test_the_log_has_every_step_and_epoch(whole):
    steps = [entry for entry in log(whole("adamw")) if "loss" in entry]
    assert [entry["step"] for entry in steps] == list(range(1, STEPS + 1))
    assert [entry["epoch"] for entry in steps] == [k // PER_EPOCH for k in range(STEPS)]
    want = [recipe_rate(RECIPE, step, PER_EPOCH) for step in range(STEPS)]
    assert [entry["lr"] for entry in steps] == want
    epochs = [entry for entry in log(whole("adamw")) if "train_loss" in entry]
    assert [entry["step"] for entry in epochs] == [5, 10, 15]
    for epoch, entry in enumerate(epochs):
        own = [step["loss"] for step in steps if step["epoch"] == epoch]
        assert entry["train_loss"] == pytest.approx(sum(own) / PER_EPOCH)
        assert 0 <= entry["train_accuracy"] <= 1
    shown = [len(entry["validation_accuracy"]) for entry in epochs]
    assert shown == [1, 3, 3], "as many as were trained, once early epochs are over"


@pytest.mark.slow
def test_rare_log_entries_hold_means(whole, tmp_path):
    go(tmp_path, optimizer="sgd", log_every=2, **EARLY)
    often = [entry["loss"] for entry in log(whole("sgd")) if "loss" in entry]
    rare = [entry for entry in log(tmp_path) if "loss" in entry]
    ends = [2, 4, 5, 6, 8, 10, 12, 14, 15]  # every second step, and where an epoch ends
    assert [entry["step"] for entry in rare] == ends
    for entry, first in zip(rare, [0, *ends], strict=False):
        own = often[first : entry["step"]]
        assert entry["loss"] == pytest.approx(sum(own) / len(own))
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tensors(tmp_path / name), tensors(whole("sgd") / name))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_best_weights_are_those_that_validate_best(whole, optimizer):
    folder = whole(optimizer)
    scores = {
        entry["step"] // PER_EPOCH: entry["validation_accuracy"][-1]
        for entry in log(folder)
        if "train_loss" in entry and entry["step"] > PER_EPOCH  # early ones do not count
    }
    best = max(scores, key=lambda epoch: (scores[epoch], epoch))  # of equals, the last
    assert info(folder / "best.safetensors") == {"epoch": best}
    assert info(folder / "last.safetensors")["best"] == scores[best]


def test_a_run_says_how_it_ended(tmp_path):
    done = go(tmp_path, epochs=1)
    assert done.pop("seconds") > 0
    (accuracy,) = [e["validation_accuracy"] for e in log(tmp_path) if "train_loss" in e]
    assert done == {
        "status": "finished",
        "out": str(tmp_path),
        "epochs": 1,
        "step": PER_EPOCH,
        "validation_accuracy": accuracy[-1],
        "main": True,
    }
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["images"] == {"train": 40, "validation": 8, "test": 8}
    assert about["source"] == {"made up": "0"}
    assert (about["precision"], about["precision_because"]) == ("float32", "asked for")
    assert (about["device"], about["processes"], about["seed"]) == ("cpu", 1, 0)
    assert (about["step"], about["status"]) == (PER_EPOCH, "finished")


def test_without_a_split_the_last_epoch_counts(tmp_path):
    done = go(tmp_path, epochs=2, validation=0)
    assert done["validation_accuracy"] is None
    assert info(tmp_path / "best.safetensors") == {"epoch": 2}
    last = tensors(tmp_path / "last.safetensors")
    weights = {name: value for name, value in last.items() if "/" not in name}
    assert same(tensors(tmp_path / "best.safetensors"), weights)


def test_the_network_is_the_recipes(whole):
    net = checkpoint.load(whole("sgd") / "best.safetensors")
    assert (net.arch, net.num_steps, net.leak) == ("vgg5", 3, 0.9)
    assert net.encoder_name == "poisson"
    assert net.surrogate.height == 1.0  # pyright: ignore[reportAttributeAccessIssue]
    assert net.class_names == pictures().class_names
    assert net.config["mean"] == pytest.approx(pictures().mean)
    assert net.config["std"] == pytest.approx(pictures().std)


def test_curves_are_all_there_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    before = set(threading.enumerate())
    go(tmp_path, epochs=2)
    # a thread writes them, and what it has not written when a program ends is lost
    assert set(threading.enumerate()) <= before
    curves = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    drawn = {e.step: e.value for e in curves.Scalars("loss")}
    logged = {e["step"]: e["loss"] for e in log(tmp_path) if "loss" in e}
    assert drawn == pytest.approx(logged)
    ends = [e for e in log(tmp_path) if "train_loss" in e]
    drawn = [e.value for e in curves.Scalars("validation_accuracy")]
    assert drawn == pytest.approx([e["validation_accuracy"][-1] for e in ends])
    drawn = [e.value for e in curves.Scalars("gains/layers.0.norm")]
    assert drawn == pytest.approx([e["gains"]["layers.0.norm"][-1] for e in ends])
    drawn = [e.value for e in curves.Scalars("spike_rates/layers.0")]
    assert drawn == pytest.approx([e["spike_rates"]["layers.0"] for e in ends])


@pytest.mark.parametrize("log_every", [1, 4])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, monkeypatch, value, log_every):
    loss, bad = loop.recipe_loss, []
    at_step(monkeypatch, 6, lambda: bad.append(value))
    worse = lambda *a: loss(*a) * bad[0] if bad else loss(*a)  # noqa: E731
    monkeypatch.setattr(loop, "recipe_loss", worse)
    rate = recipe_rate(RECIPE, 6, PER_EPOCH)
    said = rf"became {value} at step 6 \(epoch 1\), .* rate was {rate:.3g}: .*--set lr="
    with pytest.raises(FloatingPointError, match=said):
        go(tmp_path, log_every=log_every)
    assert status(tmp_path) == "failed"
    kept = tensors(tmp_path / "last.safetensors")
    assert info(tmp_path / "last.safetensors")["step"] == PER_EPOCH
    assert all(tensor.isfinite().all() for tensor in kept.values())
    assert all(math.isfinite(e["loss"]) for e in log(tmp_path) if "loss" in e)


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_one_request_stops_the_second_unwinds_and_the_third_kills(first, second):
    before = [signal.getsignal(n) for n in SIGNALS]
    with stoppable() as asked:
        assert not asked
        signal.raise_signal(first)
        assert asked == [first], "only noted: the step is finished"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
        assert signal.getsignal(second) == signal.SIG_DFL
    assert [signal.getsignal(n) for n in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_before_training_every_signal_unwinds(number):
    with pytest.raises(KeyboardInterrupt), unwinding():
        signal.raise_signal(number)


@pytest.mark.parametrize("way", [stoppable, unwinding])
def test_a_signal_that_the_program_was_told_to_ignore_is_ignored(way):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with way() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("way", [stoppable, unwinding])
def test_where_signals_do_not_exist_the_others_are_answered(monkeypatch, way):
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    with way():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


def test_a_run_in_a_thread_goes_unasked(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(go(tmp_path, epochs=1)))
    thread.start()
    thread.join()
    assert done[0]["status"] == "finished"


def test_a_network_that_does_not_fit_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="must be a multiple of 8, got 4"):
        go(tmp_path / "run", arch="vgg9")
    assert not (tmp_path / "run").exists()


def test_mixed_recordings_are_learned_and_an_interrupt_changes_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: recordings(40))
    mixed = {"dataset": "npz", "encoder": "events", "augment": "event-mix", "epochs": 2}
    go(tmp_path / "whole", **mixed)
    plain = {**mixed, "augment": "none"}
    go(tmp_path / "plain", **plain)
    last = [tmp_path / name / "last.safetensors" for name in ("whole", "plain")]
    assert not same(*map(tensors, last)), "nothing was mixed"
    stopped(tmp_path / "half", monkeypatch, 5, interrupt, **mixed)
    go(tmp_path / "half", resume=True, **mixed)
    assert_same_run(tmp_path / "half", tmp_path / "whole")
