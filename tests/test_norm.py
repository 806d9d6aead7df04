"""Every norm against the batch norm of torch that it claims to be."""

# pyright: reportOptionalMemberAccess=false
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bntt import BNTT, NoNorm, SharedBN, backend
from bntt.layers.norms import NORMS, TemporalNorm, make_norm
from bntt.ops import from_elements, to_elements

SHAPES = st.tuples(*[st.integers(2, 5)] * 3, st.sampled_from([(), (3,), (1, 1), (2, 5)]))


def draw_input(shape, seed):
    T, N, C, S = shape
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(T, N, C, *S, generator=generator, dtype=torch.float64) * 2 + 0.5


def train(module, x):
    """Output and gradients of x and the parameters, of a loss that treats no two alike."""
    x = x.clone().requires_grad_()
    y = module(x)
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return [y, *torch.autograd.grad((y * weight).sum(), [x, *module.parameters()])]


class PerStep(nn.Module):
    """What BNTT claims to be, written as one batch norm of torch per time-step."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.mean, self.var = torch.zeros_like(weight), torch.ones_like(weight)

    def forward(self, x):
        steps = zip(x, self.mean, self.var, self.weight, strict=False)
        rest = (None, self.training, 0.1, 1e-4)
        return torch.stack([nn.functional.batch_norm(*step, *rest) for step in steps])


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@given(shape=SHAPES, seed=st.integers(0, 2**31), data=st.data())
def test_is_one_batch_norm_per_time_step(backend_name, shape, seed, data):
    T, _, C, _ = shape
    layer = BNTT(C, num_steps=T).double()
    layer.weight.data.uniform_(0.1, 2)
    truth = PerStep(layer.weight.data)
    with backend(backend_name):
        for k in range(2):
            x = draw_input(shape, seed + k)
            for got, want in zip(train(layer, x), train(truth, x), strict=True):
                torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(layer.running_mean, truth.mean)
        torch.testing.assert_close(layer.running_var, truth.var)
        layer.eval()
        truth.eval()
        x = draw_input(shape, seed)[: data.draw(st.integers(1, T))]  # early exit
        torch.testing.assert_close(layer(x), truth(x))


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@given(shape=SHAPES, seed=st.integers(0, 2**31), data=st.data())
def test_shared_is_one_batch_norm_over_the_folded_sequence(backend_name, shape, seed, data):
    T, _, C, S = shape
    bn = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[len(S)]
    layer, truth = SharedBN(C, num_steps=T).double(), bn(C).double()
    for module in (layer, truth):
        module.weight.data = torch.linspace(0.5, 2, C, dtype=torch.float64)
        module.bias.data = torch.linspace(-1, 1, C, dtype=torch.float64)
    folded = nn.Sequential(nn.Flatten(0, 1), truth, nn.Unflatten(0, (T, -1)))
    with backend(backend_name):
        for k in range(2):
            x = draw_input(shape, seed + k)
            for got, want in zip(train(layer, x), train(folded, x), strict=True):
                torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(layer.running_mean[0], truth.running_mean)
        torch.testing.assert_close(layer.running_var[0], truth.running_var)
        layer.eval()
        truth.eval()
        x = draw_input(shape, seed)[: data.draw(st.integers(1, T))]
        torch.testing.assert_close(layer(x), truth(x.flatten(0, 1)).view_as(x))


def test_one_step_of_time_is_ordinary_batch_norm():
    x = draw_input((1, 4, 3, (2, 2)), seed=0)
    for layer, eps in ((BNTT(3, 1), 1e-4), (SharedBN(3, 1), 1e-5)):
        truth = nn.BatchNorm2d(3, eps=eps).double()
        torch.testing.assert_close(layer.double()(x)[0], truth(x[0]))
        torch.testing.assert_close(layer.running_var[0], truth.running_var)


def test_none_changes_nothing_and_has_nothing():
    layer, x = NoNorm(3, num_steps=2), torch.randn(5, 4, 3)
    assert torch.equal(layer(x), x)
    assert not layer.state_dict()


@given(shape=SHAPES, seed=st.integers(0, 2**31), data=st.data())
def test_a_sequence_may_come_in_parts(shape, seed, data):
    T, C = shape[0], shape[2]
    x, cut = draw_input(shape, seed), data.draw(st.integers(1, T - 1))
    whole, parts = BNTT(C, num_steps=T).double(), BNTT(C, num_steps=T).double()
    gains = torch.arange(1, T * C + 1).view(T, C)  # no two alike
    for layer in (whole, parts):
        layer.weight.data.copy_(gains)
    gains = torch.arange(1.0, T * C + 1).view(T, C)  # no two alike: each step has its own
    whole.weight.data.copy_(gains)
    parts.weight.data.copy_(gains)
    for mode in (True, False):
        whole.train(mode)
        parts.train(mode)
        want = whole(x)
        got = torch.cat([parts(x[:cut], start=0), parts(x[cut:], start=cut)])
        assert torch.equal(got, want)
        assert torch.equal(parts.running_mean, whole.running_mean)
        assert torch.equal(parts.running_var, whole.running_var)


def test_evaluation_changes_no_statistic():
    layer = BNTT(3, num_steps=2).eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer(torch.randn(2, 4, 3))
    for name, value in layer.state_dict().items():
        assert torch.equal(before[name], value)


@pytest.mark.parametrize("step", range(3))
def test_a_gain_hears_from_its_own_step_only(step):
    layer = BNTT(2, num_steps=3)
    layer(torch.randn(3, 4, 2))[step].square().sum().backward()
    heard = layer.weight.grad.abs().sum(1) > 0
    assert heard.tolist() == [t == step for t in range(3)]


def test_momentum_is_the_share_of_the_newest_batch():
    layer, x = BNTT(1, num_steps=1, momentum=0.75), torch.tensor([[[1.0], [3.0]]])
    layer(x)
    assert layer.running_mean.item() == 1.5  # 0.25 * 0 + 0.75 * 2
    assert layer.running_var.item() == 1.75  # 0.25 * 1 + 0.75 * 2, unbiased


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_bfloat16_keeps_its_statistics_in_float32(kind):
    layer, x = kind(3, num_steps=2), torch.randn(2, 50, 3)
    wide = kind(3, num_steps=2)
    y, want = layer(x.bfloat16()), wide(x.bfloat16().float())
    assert y.dtype == torch.bfloat16
    assert layer.running_mean.dtype == torch.float32
    torch.testing.assert_close(layer.running_var, wide.running_var)
    assert torch.equal(y, want.bfloat16())


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_float64_currents_are_not_cut_to_the_type_of_the_gains(kind):
    layer, x = kind(3, num_steps=2).eval(), torch.randn(2, 50, 3, dtype=torch.float64)
    layer(x)  # the gains stay float32
    want = x / math.sqrt(1 + layer.eps)  # mean 0 and variance 1, as at the start
    torch.testing.assert_close(layer(x), want, rtol=1e-7, atol=0)
    a = (1 / torch.sqrt(torch.tensor(1.0 + layer.eps))).double()
    assert layer(x).dtype == torch.float64
    assert len(torch.unique((layer(x) / x).float())) == 1, "one gain, to the last digit"
    torch.testing.assert_close(layer(x) / x, a.expand_as(x), rtol=2e-7, atol=0)


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_a_half_norm_reckons_in_float32(kind):
    half, wide = kind(3, num_steps=2).half().eval(), kind(3, num_steps=2).eval()
    for norm in (half, wide):
        norm.running_var.fill_(0.001)
        norm.running_mean.fill_(0.5)
    wide.load_state_dict(half.state_dict())
    x = torch.randn(2, 50, 3).half()
    assert torch.equal(half(x), wide(x.float()).half())


@given(shape=SHAPES)
def test_elements_and_back(shape):
    x = draw_input(shape, seed=0)
    z = to_elements(x)
    assert torch.equal(z[1, :, 1], x[1, :, 1].flatten())
    assert torch.equal(from_elements(z, x.shape), x)


def test_channels_last_is_read_where_it_lies():
    folded = torch.randn(2 * 3, 4, 5, 5).to(memory_format=torch.channels_last)
    x = folded.unflatten(0, (2, 3))
    z = to_elements(x)
    assert z.is_contiguous()
    assert z.data_ptr() == x.data_ptr()
    assert from_elements(z, x.shape).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("name", NORMS)
def test_is_made_by_name_and_printed(name):
    layer = make_norm(name, 7, 5)
    assert type(layer) is NORMS[name]
    assert "7, num_steps=5" in repr(layer)


EXTEND = "build the layer with num_steps=4.*pass `start`"


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
@pytest.mark.parametrize(
    ("training", "shape", "start", "message"),
    [
        (True, (4, 2, 2), None, f"for 3 time-steps, .* steps 0 to 4 .*{EXTEND}"),
        (True, (2, 2, 2), None, "for 3 time-steps, .* steps 0 to 2 .*Training needs all 3"),
        (True, (2, 2, 2), 2, f"steps 2 to 4 .*{EXTEND}"),
        (False, (4, 2, 2), None, f"steps 0 to 4 .*evaluation at most 3.*{EXTEND}"),
        (False, (2, 2, 2), -1, "`start` must be at least 0, got -1"),
        (False, (3, 2, 5), None, r"built for 2 channels, got 5.*read as \(T, N, C, ...\)"),
    ],
)
def test_refuses_other_sequences(as_user, kind, training, shape, start, message):
    layer = kind(2, num_steps=3).train(training)
    with pytest.raises(ValueError, match=message):
        layer(torch.randn(shape), start=start)


def test_pooling_over_time_needs_the_whole_sequence():
    layer, x = SharedBN(2, num_steps=3), torch.randn(3, 4, 2)
    with pytest.raises(ValueError, match="cannot come in parts. Pass it whole"):
        layer(x[:2], start=0)
    layer.eval()
    assert torch.equal(torch.cat([layer(x[:2], start=0), layer(x[2:], start=2)]), layer(x))


def test_one_element_has_no_variance():
    layer = BNTT(2, num_steps=3)
    with pytest.raises(ValueError, match="Train with batch_size of at least 2"):
        layer(torch.randn(3, 1, 2))
    assert not layer.running_mean.any()  # refused before anything is touched
    layer.eval()(torch.randn(3, 1, 2))
    SharedBN(2, num_steps=3)(torch.randn(3, 1, 2))  # three elements once time is pooled


def test_no_time_step_is_an_error(as_user):
    with pytest.raises(ValueError, match="covers steps 0 to 0|at least one time-step"):
        BNTT(2, num_steps=3)(torch.randn(0, 4, 2))


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_features": 0}, "num_features=0, num_steps=3"),
        ({"num_steps": 0}, "num_features=2, num_steps=0"),
        ({"eps": 0.0}, "eps=0.0"),
        ({"momentum": 1.5}, "momentum=1.5"),
        ({"momentum": float("nan")}, "momentum=nan"),
    ],
)
def test_refuses_what_no_norm_has(kind, change, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"num_features": 2, "num_steps": 3} | change)


def test_names_the_norms_it_knows():
    message = r"Unknown norm 'bn'\. Did you mean 'bntt'\? Known: bntt, shared, none"
    with pytest.raises(ValueError, match=message):
        make_norm("bn", 2, 3)


def test_the_base_class_is_not_a_norm():
    with pytest.raises(TypeError, match="use a subclass"):
        TemporalNorm(2, 3, eps=1e-5)(torch.randn(3, 4, 2))
