"""An optimiser that comes back as it was, and is set as the recipe says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import RECIPE
from torch import nn

from bntt import vgg5
from bntt.training.by_recipe import recipe_optimizer
from bntt.training.optimizer import (
    gains_apart,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)


def a_layer():
    conv = nn.Conv2d(3, 4, 3, bias=False)
    return conv.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def one_step(layer, optimizer):
    torch.manual_seed(5)
    optimizer.zero_grad()
    layer(torch.randn(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_optimiser_goes_on_from_its_tensors(kind):
    recipe = replace(RECIPE, optimizer=kind)
    layer, twin = a_layer(), a_layer()
    optimizer = recipe_optimizer(recipe, layer)
    for _ in range(3):
        one_step(layer, optimizer)
    kept = {k: v.contiguous().clone() for k, v in optimizer_tensors(optimizer)}
    assert kept
    twin.load_state_dict(layer.state_dict())
    restored = recipe_optimizer(recipe, twin)
    restore_optimizer(restored, kept, Path("last.safetensors"))
    for _ in range(2):
        one_step(layer, optimizer)
        one_step(twin, restored)
    assert torch.equal(layer.weight, twin.weight)
    fresh = a_layer()
    fresh.load_state_dict(twin.state_dict())
    one_step(fresh, recipe_optimizer(recipe, fresh))
    one_step(twin, restored)
    assert not torch.equal(fresh.weight, twin.weight), "the state plays no part here"


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_the_recipe_sets_the_optimiser(kind):
    settings = {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.03}
    layer = a_layer()
    optimizer = recipe_optimizer(replace(RECIPE, optimizer=kind, **settings), layer)
    (group,) = optimizer.param_groups
    assert group["params"] == list(layer.parameters())
    assert type(optimizer) is {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[kind]
    expected = {k: v for k, v in settings.items() if k in group}
    assert {k: group[k] for k in expected} == expected
    assert "weight_decay" in expected


def a_network(norm="bntt"):
    sizes = {"num_classes": 3, "num_steps": 2, "leak": 0.9, "image_size": 4}
    return vgg5(**sizes, in_channels=1, norm=norm)


@pytest.mark.parametrize("norm", ["bntt", "shared"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_gains_alone_shrink_by_a_decay_of_their_own(kind, norm):
    net = a_network(norm)
    settings = {"optimizer": kind, "lr": 0.5, "weight_decay": 0.0, "gain_decay": 0.25}
    optimizer = recipe_optimizer(replace(RECIPE, norm=norm, **settings), net)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in net.named_parameters():
        gain = name.endswith("norm.weight")
        # lr * decay = 1/8, exact in binary
        assert torch.equal(parameter, before[name] * (0.875 if gain else 1)), name


def test_every_parameter_is_in_one_group():
    net = a_network("shared")
    others, gains = gains_apart(net, 0.1)
    assert len(gains["params"]) == len(net.layers)
    everything = [id(p) for p in (*others["params"], *gains["params"])]
    assert sorted(everything) == sorted(id(p) for p in net.parameters())


def test_the_decay_of_gains_that_are_not_there_is_refused():
    with pytest.raises(ValueError, match="got 0.1 for 0 layers with gains"):
        gains_apart(a_network("none"), 0.1)
    with pytest.raises(ValueError, match="must not be negative.* got -0.1"):
        gains_apart(a_network(), -0.1)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_optimiser_needs_no_recipe(kind):
    layer = a_layer()
    before = layer.weight.detach().clone()
    one_step(layer, make_optimizer(layer.parameters(), name=kind, lr=0.1))
    assert not torch.equal(layer.weight, before)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="Unknown optimizer 'adam'. Did you mean 'adamw'"):
        make_optimizer(a_layer().parameters(), name="adam", lr=0.1)
