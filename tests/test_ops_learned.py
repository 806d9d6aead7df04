"""A leak and a threshold that learn, as autograd through the reference says."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bntt import LIF, ATan, FastSigmoid, Rectangle, Triangle, backend
from bntt.ops import affine_lif, reference
from strategies import SHAPES

SURROGATES = [Triangle(), Triangle(1.0, width=0.5), Rectangle(), ATan(), FastSigmoid(3.0)]


def gradients(backend_name, arguments, neuron, dtype=torch.float64, heard=(True, True)):
    """Of leak and threshold, for a loss that reads spikes, the last membrane or both."""
    leak = torch.tensor(0.9, dtype=dtype, requires_grad=True)
    v_threshold = torch.tensor(0.7, dtype=dtype, requires_grad=True)
    arguments = [x if x is None else x.to(dtype) for x in arguments]
    with backend(backend_name):
        spikes, v = affine_lif(*arguments, leak=leak, v_threshold=v_threshold, **neuron)
    weight = torch.linspace(-1, 1, spikes.numel(), dtype=dtype).view_as(spikes)
    loss = heard[0] * (spikes * weight).sum() + heard[1] * v.square().sum()
    return torch.autograd.grad(loss, [leak, v_threshold])


def random_arguments(T, M, C, with_v0=True):
    z = torch.randn(T, M, C, dtype=torch.float64)
    a, b = 1 + torch.randn(2, T, C, dtype=torch.float64) / 4
    return z, a, b - 0.5, torch.randn(M, C, dtype=torch.float64) if with_v0 else None


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@given(
    shape=st.sampled_from(SHAPES[:4]),
    surrogate=st.sampled_from(SURROGATES),
    with_v0=st.booleans(),
    heard=st.sampled_from([(True, True), (True, False), (False, True)]),
)
@settings(max_examples=12)
def test_they_learn_what_the_reference_learns(
    reset, detach_reset, shape, surrogate, with_v0, heard
):
    arguments = random_arguments(*shape, with_v0)
    neuron = {"reset": reset, "detach_reset": detach_reset, "surrogate": surrogate}
    want = gradients("reference", arguments, neuron, heard=heard)
    for got, truth in zip(
        gradients("cpu", arguments, neuron, heard=heard), want, strict=True
    ):
        torch.testing.assert_close(got, truth, rtol=1e-10, atol=1e-10)
    rounded = gradients("cpu", arguments, neuron, torch.float32, heard)
    same = gradients("reference", arguments, neuron, torch.float32, heard)
    for got, truth in zip(rounded, same, strict=True):
        torch.testing.assert_close(got, truth, rtol=1e-3, atol=1e-3 * arguments[0].numel())


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
def test_the_backward_written_by_hand_is_that_of_autograd(reset, detach_reset):
    z, a, b, v0 = random_arguments(4, 6, 3)
    neuron = {"reset": reset, "detach_reset": detach_reset, "surrogate": ATan()}
    leak = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    v_threshold = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    scan = {"leak": leak, "v_threshold": v_threshold}
    spikes, v = reference.affine_lif_forward(z, a, b, v0, **scan, **neuron)
    ds, dv = torch.randn_like(spikes), torch.randn_like(v)
    want = torch.autograd.grad([spikes, v], [leak, v_threshold], [ds, dv])
    numbers = {"leak": 0.9, "v_threshold": 0.7}
    *_, own = reference.affine_lif_backward(
        z, a, b, v0, ds, dv, **numbers, **neuron, learns=True
    )
    torch.testing.assert_close(own.sum(1), torch.stack(want))


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_the_membrane_below_threshold_differentiates_in_the_leak(backend_name):
    z = torch.full((5, 3, 2), 0.25, dtype=torch.float64)
    one, zero = z.new_ones(5, 2), z.new_zeros(5, 2)

    def last_v(leak):
        with backend(backend_name):
            return affine_lif(z, one, zero, leak=leak, v_threshold=10.0)[1]

    leak = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(last_v, [leak])
    # v = 1/4 (1 + k + k^2 + k^3 + k^4), so dv/dk at 1/2 is 1/4 (1 + 1 + 3/4 + 1/2)
    (slope,) = torch.autograd.grad(last_v(leak).mean(), leak)
    assert slope.item() == pytest.approx(0.8125)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_a_soft_reset_differentiates_in_the_threshold(backend_name):
    # one step: v = 2 - v_th where it fires, 1/2 where it does not; a flat surrogate
    z = torch.tensor([2.0, 0.5]).reshape(1, 2, 1)
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    v_threshold = torch.tensor(1.0, requires_grad=True)
    with backend(backend_name):
        _, v = affine_lif(
            z, one, zero, leak=0.5, v_threshold=v_threshold, surrogate=Rectangle(0.1)
        )
    v.sum().backward()
    assert v_threshold.grad.item() == -1


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_parameters_of_a_layer_learn(backend_name):
    leak, v_threshold = (torch.nn.Parameter(torch.tensor(x)) for x in (0.5, 1.0))
    lif = LIF(leak, v_threshold)
    assert {id(leak), id(v_threshold)} <= {id(p) for p in lif.parameters()}
    with backend(backend_name):
        spikes, v = lif(torch.rand(5, 4, 3), return_state=True)
        (spikes.sum() + v.square().sum()).backward()
        assert leak.grad.abs() > 0
        assert v_threshold.grad.abs() > 0
        with torch.no_grad():
            assert torch.equal(lif(torch.ones(5, 4, 3)), LIF(0.5)(torch.ones(5, 4, 3)))


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ({"leak": torch.tensor(1.01)}, r"`leak` must lie in \[0, 1\], got 1.0.*clamp"),
        ({"leak": torch.tensor(float("nan"))}, r"`leak` must lie in \[0, 1\], got nan"),
        ({"leak": torch.ones(3)}, r"`leak` must be a number or .* shape \(\).*\(3,\)"),
        ({"leak": torch.tensor(1)}, "`leak` must be a number or .*torch.int64"),
        ({"v_threshold": torch.tensor(-1.0)}, "`v_threshold` must be positive, got -1.0"),
        ({"v_threshold": float("inf")}, "`v_threshold` must be finite.* got inf"),
        ({"v_threshold": float("nan")}, "`v_threshold` must be positive, got nan"),
        ({"v_threshold": 1e-50}, "`v_threshold` must be finite.* got 1e-50"),
        ({"v_threshold": 1e39}, "`v_threshold` must be finite.* got 1e.39"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_what_no_neuron_has_is_refused(neuron, message):
    arguments = torch.zeros(3, 4, 2), torch.ones(3, 2), torch.zeros(3, 2)
    with pytest.raises(ValueError, match=message):
        affine_lif(*arguments, **{"leak": 0.9} | neuron)


def test_plain_numbers_cost_no_further_gradient(monkeypatch):
    from bntt.ops import cpu

    asked, real = [], cpu.affine_lif_backward

    def spy(*args, learns=False, **kwargs):
        asked.append(learns)
        return real(*args, learns=learns, **kwargs)

    monkeypatch.setattr(cpu, "affine_lif_backward", spy)
    z = torch.randn(2, 3, 4, requires_grad=True)
    rest = torch.ones(2, 4), torch.zeros(2, 4)
    affine_lif(z, *rest, leak=0.9)[0].sum().backward()
    frozen = torch.tensor(0.9)  # a tensor that asks for no gradient is a number
    affine_lif(z, *rest, leak=frozen)[0].sum().backward()
    learned = torch.tensor(0.9, requires_grad=True)
    affine_lif(z, *rest, leak=learned)[0].sum().backward()
    assert asked == [False, False, True]
