"""Training steps that are replayed do what they did: with a recorder that needs no GPU."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
import logging
from dataclasses import replace

import pytest
import torch
from small_runs import PER_EPOCH, RECIPE, log, pictures, tensors
from torch.utils._python_dispatch import TorchDispatchMode

import bntt.training.train as training
from bntt.training import loop
from bntt.training.replay import WARM_UP, Replayed, cuda_graph, refusal
from bntt.training.train import train


class Tape:
    """A recorder like CUDA's: it runs nothing at first, and replays into one place."""

    def __init__(self, trouble=""):
        self.trouble, self.replays = trouble, 0

    def __call__(self, function):
        if self.trouble:
            raise RuntimeError(self.trouble)
        places = []  # which a true recording has before anything is computed

        def replay():
            self.replays += 1
            results = function()
            places[:] = places or [torch.empty_like(x) for x in results]
            for place, x in zip(places, results, strict=True):
                place.copy_(x)

        return replay, places


def trained(record=None, steps=9):
    """Losses and weights of a linear layer that learns, with noise and a falling rate."""
    torch.manual_seed(0)
    layer, rate = torch.nn.Linear(3, 2), torch.tensor(0.5)
    noise = torch.Generator()
    optimizer = torch.optim.SGD(layer.parameters(), lr=rate, momentum=0.5)

    def step(x, y):
        optimizer.zero_grad()
        loss = (layer(x + torch.rand(x.shape, generator=noise)) - y).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach(), loss.detach() * 2

    run = Replayed(step, record) if record else step
    losses = []
    for number in range(steps):
        noise.manual_seed(number)
        rate.fill_(0.5 / (1 + number))
        losses.append(torch.stack(run(torch.randn(4, 3), torch.randn(4, 2))))
    return torch.stack(losses), layer.weight.detach()


def test_replayed_steps_are_the_steps():
    tape = Tape()
    want, got = trained(), trained(tape)
    assert tape.replays == 9 - WARM_UP
    for ours, truth in zip(got, want, strict=True):
        assert torch.equal(ours, truth)


def test_what_cannot_be_recorded_runs_as_it_is(caplog):
    with caplog.at_level(logging.WARNING, "bntt"):
        got = trained(Tape("operation not permitted when stream is capturing\nand so on"))
    for ours, truth in zip(got, trained(), strict=True):
        assert torch.equal(ours, truth)
    (message,) = caplog.messages
    assert (
        "cannot be recorded (operation not permitted when stream is capturing)" in message
    )


def test_who_cannot_replay_is_told():
    assert "this run is on cpu" in refusal(torch.device("cpu"), 1)
    assert "and 2 do" in refusal(torch.device("cuda"), 2)
    assert refusal(torch.device("cuda"), 1) is None


@pytest.fixture
def a_recorder(monkeypatch):
    """Runs that record their steps with a tape where they would have a CUDA graph."""
    tapes = []

    def recorder(generator):
        tapes.append(Tape())
        return tapes[-1]

    monkeypatch.setattr(training, "refusal", lambda *_: None)
    monkeypatch.setattr(loop, "cuda_graph", recorder)
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))
    # a rate that float32 holds, as which it lies on the device
    monkeypatch.setattr(loop, "recipe_rate", lambda *_: 0.0625)
    return tapes


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_run_of_replayed_steps_ends_where_the_other_does(a_recorder, tmp_path, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer, early_steps=1, early_epochs=1)
    for name in ("plain", "replayed"):
        replay = name == "replayed"
        train(recipe, tmp_path / name, device="cpu", quiet=True, replay=replay)
    # one recording for each number of time-steps
    steps = (PER_EPOCH, 2 * PER_EPOCH)
    assert [tape.replays for tape in a_recorder] == [n - WARM_UP for n in steps]
    for name in ("best.safetensors", "last.safetensors"):
        want, got = (tensors(tmp_path / run / name) for run in ("plain", "replayed"))
        assert want.keys() == got.keys()
        assert all(torch.equal(got[key], want[key]) for key in want)
    assert log(tmp_path / "replayed") == log(tmp_path / "plain")


def test_a_run_that_cannot_replay_says_so_and_trains(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))
    recipe = replace(RECIPE, epochs=1)
    done = train(recipe, tmp_path / "run", device="cpu", replay=True)
    assert done["status"] == "finished"
    assert "Only CUDA devices replay training steps" in capsys.readouterr().err


class Refusing(TorchDispatchMode):
    """Refuses whatever makes the host wait for a device."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in self.WAITS, f"{func} reads what is on the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("encoder", ["poisson", "direct"])
@pytest.mark.parametrize("loss", ["last", "every_step"])
def test_a_training_step_waits_for_nothing(monkeypatch, tmp_path, encoder, loss):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))
    step, steps = loop.TrainingLoop.step, []

    def watched(self, number):
        with Refusing():
            steps.append(step(self, number))
        return steps[-1]

    monkeypatch.setattr(loop.TrainingLoop, "step", watched)
    recipe = replace(RECIPE, epochs=1, encoder=encoder, loss=loss)
    train(recipe, tmp_path / "run", device="cpu", quiet=True)
    assert len(steps) == PER_EPOCH


def test_the_watch_over_waiting_sees_it():
    with Refusing(), pytest.raises(AssertionError, match="reads what is on the device"):
        torch.ones(()).item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU")
def test_a_cuda_graph_draws_the_numbers_of_its_generator():
    generator, place = torch.Generator("cuda"), torch.zeros(5, device="cuda")

    def draw(x):
        return (x + torch.rand(5, device="cuda", generator=generator),)

    run = Replayed(draw, cuda_graph(generator))
    for seed in range(8):
        generator.manual_seed(seed)
        got = run(place)
        generator.manual_seed(seed)
        assert torch.equal(*got, *draw(place))
