"""The cost of spikes: counted as energy counts them, and trained down."""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
import json
from dataclasses import replace

import pytest
import torch
from small_runs import RECIPE, go, interrupt, log, pictures, same, stopped, tensors

import bntt
import bntt.training.train as training
from bntt.analysis.energy.operations import counting
from bntt.networks.stream import stream
from bntt.training.activity import Activity, penalty
from bntt.training.spike_rates import SpikeRates


def a_network(arch):
    sizes = {"num_classes": 3, "num_steps": 6, "leak": 0.9, "in_channels": 1}
    if arch == "seq":
        net = bntt.build(arch, **sizes, image_size=8, encoder="rows")
    else:
        net = bntt.build(arch, **sizes, image_size=8)
    for layer in net.layers:
        layer.norm.running_mean.uniform_(-0.3, 0.1)
    return net.eval()


@pytest.mark.parametrize("arch", ["vgg5", "vgg9", "seq"])
@pytest.mark.parametrize("steps", [2, 6])
def test_operations_are_those_that_energy_counts(arch, steps):
    net = a_network(arch)
    x = net.encoder(torch.rand(3, 1, 8, 8) * 2, steps, torch.Generator().manual_seed(0))
    activity = Activity(net)
    with torch.no_grad(), activity.watching():
        net(x)
    with torch.no_grad(), counting(net) as counter:
        counter.restart(3)
        run = stream(net)
        for now in x:
            counter.next_step(3)
            run.step(now)
    _, *hidden = counter.layers  # the first one hears the coded image
    counted = [step for layer in hidden for step in layer.steps]
    # pooled maps in which every number is 0 or 1 were counted as accumulates of one
    want = sum(step.ac + step.ac_of_quarters for step in counted)
    assert all(step.ac_of_quarters for step in counted if step.mac)
    assert want > 0
    assert activity.operations().item() == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("arch", ["vgg5", "vgg11", "seq"])
def test_the_rate_is_one_where_every_neuron_always_fires(arch):
    sizes = {"image_size": 16} if arch == "vgg11" else {"image_size": 8}
    coding = {"encoder": "rows"} if arch == "seq" else {}
    settings = {"num_classes": 3, "num_steps": 3, "leak": 0.9, "in_channels": 1}
    net = bntt.build(arch, **settings, **sizes, **coding).eval()
    for layer in net.layers:
        layer.norm.running_mean.fill_(-1e6)
    activity = Activity(net)
    with torch.no_grad(), activity.watching():
        net(torch.rand(2, 1, sizes["image_size"], sizes["image_size"]))
    assert activity.rate().item() == pytest.approx(1.0, rel=1e-6)


def test_the_rate_reaches_the_weights_in_front_of_the_spikes():
    net = bntt.vgg5(num_classes=3, num_steps=2, leak=0.9, in_channels=1, image_size=8)
    activity = Activity(net)
    with activity.watching():
        net(torch.randn(4, 1, 8, 8))
    activity.rate().backward()
    for conv in net.convs:
        assert conv.weight.grad.abs().sum() > 0
    assert net.output.weight.grad is None  # nothing fires behind it


@pytest.mark.parametrize(("rate", "cost", "slope"), [(0.1, 0.0, 0.0), (0.3, 0.2, 2.0)])
def test_the_penalty_ends_at_its_target(rate, cost, slope):
    rate = torch.tensor(rate, requires_grad=True)
    value = penalty(rate, weight=2.0, target=0.2)
    assert value.item() == pytest.approx(cost)
    value.backward()
    assert rate.grad.item() == slope


def test_watching_leaves_no_hooks():
    net = a_network("vgg5")
    activity, rates = Activity(net), SpikeRates()
    with activity.watching(), rates.watching(net):
        net(torch.rand(1, 1, 8, 8))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_spike_rates_are_those_of_each_layer():
    net, rates, seen = a_network("vgg5"), SpikeRates(), []
    handle = net.layers[1].register_forward_hook(lambda *args: seen.append(args[-1]))
    assert rates.by_layer() == {}
    with rates.watching(net), torch.no_grad():
        net(torch.rand(3, 1, 8, 8))
        net(torch.rand(2, 1, 8, 8))
    handle.remove()
    fired = torch.cat([spikes.flatten() for spikes in seen])
    assert list(rates.by_layer()) == [f"layers.{index}" for index in range(4)]
    assert rates.by_layer()["layers.1"] == pytest.approx(fired.mean().item(), rel=1e-6)


@pytest.fixture
def few_pictures(monkeypatch):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))


def rates_of(out):
    return [entry["operation_rate"] for entry in log(out) if "operation_rate" in entry]


def test_training_with_a_penalty_spikes_less(tmp_path, few_pictures):
    few = {"epochs": 4, "batch_size": 20, "lr": 0.2, "optimizer": "adamw"}
    go(tmp_path / "free", activity_penalty=1e-9, **few)
    go(tmp_path / "paid", activity_penalty=100.0, target_rate=0.01, **few)
    free, paid = (rates_of(tmp_path / run) for run in ("free", "paid"))
    assert paid[0] == free[0], "both began alike"
    assert paid[-1] < 0.5 * free[-1]
    recipe = json.loads((tmp_path / "paid" / "run.json").read_text())["recipe"]
    assert recipe["target_rate"] == 0.01


def test_without_a_penalty_nothing_is_counted(tmp_path, few_pictures):
    go(tmp_path, epochs=1, batch_size=20)
    assert rates_of(tmp_path) == []


def test_a_penalised_run_goes_on_as_if_nothing_had_stopped_it(
    tmp_path, monkeypatch, few_pictures
):
    changes = {"activity_penalty": 4.0, "target_rate": 0.02, "batch_size": 20}
    changes |= {"gain_decay": 0.01, "step_growth": 0.5, "optimizer": "adamw"}
    go(tmp_path / "whole", **changes)
    stopped(tmp_path / "parts", monkeypatch, 2, interrupt, **changes)
    go(tmp_path / "parts", resume=True, **changes)
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tensors(tmp_path / "whole" / name), tensors(tmp_path / "parts" / name))
    assert log(tmp_path / "whole") == log(tmp_path / "parts")


def test_the_log_tells_of_gains_and_spikes(tmp_path, few_pictures):
    go(tmp_path, epochs=2, early_steps=2, early_epochs=1, batch_size=20)
    early, late = (entry for entry in log(tmp_path) if "train_loss" in entry)
    assert [len(entry["gains"]["layers.0.norm"]) for entry in (early, late)] == [2, 3]
    assert set(late["spike_rates"]) == {f"layers.{index}" for index in range(4)}
    rates = late["spike_rates"].values()
    assert all(0 <= rate < 1 for rate in rates)
    assert any(rates)


def test_without_gains_the_log_has_none(tmp_path, few_pictures):
    go(tmp_path, replace(RECIPE, norm="none"), epochs=1, validation=0)
    (entry,) = (entry for entry in log(tmp_path) if "train_loss" in entry)
    assert "gains" not in entry
    assert "spike_rates" not in entry  # nothing was validated
