"""Training steps that are replayed do what they did: with a recorder that needs no GPU."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
import logging

import pytest
import torch

from bntt.training.replay import WARM_UP, Replayed, cuda_graph, refusal


class Tape:
    """A recorder like CUDA's: it runs nothing at first, and replays into one place."""

    def __init__(self, trouble=""):
        self.trouble, self.replays = trouble, 0

    def __call__(self, function):
        if self.trouble:
            raise RuntimeError(self.trouble)
        places = [torch.tensor(float("nan")) for _ in range(2)]

        def replay():
            self.replays += 1
            for place, x in zip(places, function(), strict=True):
                place.copy_(x)

        return replay, tuple(places)


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
