"""The operators under ``torch.ops.bntt``: any layout, no misfit, and torch's transforms."""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false, reportAssignmentType=false
import pytest
import torch

from bntt import LIF, NormLIF, SharedBN, Triangle, backend
from bntt.ops import affine_lif, moments

OPS = torch.ops.bntt
SLOPE = (True, Triangle.kind, *Triangle().parameters)


def arguments(dtype=torch.float32, T=3, M=35, C=6):
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    z, dz = torch.randn(2, T, M, C).to(dtype)
    mean, dmean, dvar = torch.randn(3, T, C, dtype=wide)
    v0, dv = torch.randn(2, M, C, dtype=wide)
    neuron = (0.5, 1.0, "hard")
    return {
        "moments": (z,),
        "moments_backward": (z, dz, mean, dmean, dvar),
        "affine_lif": (z, mean, dmean, v0, *neuron, True),
        "affine_lif_counting": (z, mean, dmean, v0, *neuron, True),
        "affine_lif_backward": (z, mean, dmean, v0, dz, dv, *neuron, *SLOPE),
        "affine_lif_backward_learning": (z, mean, dmean, v0, dz, dv, *neuron, *SLOPE),
    }


def listed(outputs):
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", arguments())
def test_the_order_in_memory_changes_nothing(name, dtype, backend_name):
    operator, tight = getattr(OPS, name), arguments(dtype)[name]
    with backend(backend_name):
        want = listed(operator(*tight))
        for k, value in enumerate(tight):
            if not isinstance(value, torch.Tensor):
                continue
            loose = [value.transpose(0, -1).contiguous().transpose(0, -1)]
            loose += [torch.stack([value, value], -1)[..., 0], value.flip(-1).flip(-1)]
            for other in loose:
                assert torch.equal(other, value)
                got = listed(operator(*tight[:k], other, *tight[k + 1 :]))
                for ours, truth in zip(got, want, strict=True):
                    assert torch.equal(ours, truth)
                    assert ours.is_contiguous()


def misfits(value):
    """Copies of a tensor with another type, another shape and fewer axes."""
    other = torch.float64 if value.dtype == torch.float32 else torch.float32
    longer = [value.shape[0] + 1, *value.shape[1:]]
    return [value.to(other), value.new_zeros(longer), value[0], value.to(torch.int32)]


@pytest.mark.parametrize("place", ["cpu", "meta"])
@pytest.mark.parametrize("name", arguments())
def test_a_tensor_that_does_not_fit_is_refused(name, place):
    operator, tight = getattr(OPS, name), arguments()[name]
    tight = [x.to(place) if isinstance(x, torch.Tensor) else x for x in tight]
    listed(operator(*tight))
    for k in range(1, len(tight)):
        if isinstance(tight[k], torch.Tensor):
            for other in misfits(tight[k]):
                with pytest.raises(ValueError, match="must h|must be"):
                    operator(*tight[:k], other, *tight[k + 1 :])
    with pytest.raises(ValueError, match="takes floating-point"):
        operator(tight[0].long(), *tight[1:])
    with pytest.raises(ValueError, match=r"reads \(T, M, C\)"):
        operator(tight[0][0], *tight[1:])
    with pytest.raises(ValueError, match=r"at least one|must have shape"):
        operator(tight[0][:, :0] if "moments" in name else tight[0][:0], *tight[1:])


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize(("M", "C"), [(0, 3), (4, 0), (0, 0)])
def test_no_numbers_in_give_no_numbers_out(M, C, backend_name):
    with backend(backend_name):
        for name, some in arguments(M=M, C=C).items():
            if "moments" not in name:
                got = listed(getattr(OPS, name)(*some))
                shapes = listed(getattr(OPS, name)(*to_meta(some)))
                assert [x.shape for x in got] == [x.shape for x in shapes]
                assert not any(x.any() for x in got)  # sums of nothing are 0


def to_meta(values):
    return [x.to("meta") if isinstance(x, torch.Tensor) else x for x in values]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tensors_of_shapes_alone_go_through(dtype):
    layer = NormLIF(SharedBN(3, num_steps=4), LIF(0.9)).to("meta")
    z = torch.zeros(4, 5, 3, 2, 2, dtype=dtype, device="meta", requires_grad=True)
    spikes, v = layer(z, return_state=True)
    assert (spikes.shape, spikes.dtype, v.shape) == (z.shape, dtype, z.shape[1:])
    (spikes.sum() + v.sum()).backward()
    assert z.grad.shape == z.shape


def through_both(z, a, b):
    """A number that depends on all that the operators return."""
    z, mean, var = moments(z)
    spikes, v = affine_lif(z, a, b + mean, leak=0.9)
    weight = torch.linspace(-1, 1, spikes.numel()).view(spikes.shape)
    return (spikes * weight).sum() + v.square().sum() + (mean * var).sum()


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_torch_func_differentiates(backend_name):
    z, (a, b) = torch.randn(3, 5, 2), torch.rand(2, 3, 2)
    leaves = [x.clone().requires_grad_() for x in (z, a, b)]
    with backend(backend_name):
        want = torch.autograd.grad(through_both(*leaves), leaves)
        got = torch.func.grad(through_both, (0, 1, 2))(z, a, b)
        _, pull = torch.func.vjp(through_both, z, a, b)
    for ours, truth in zip([*got, *pull(torch.tensor(1.0))], want * 2, strict=True):
        torch.testing.assert_close(ours, truth)


@pytest.mark.parametrize("batched", [(0, None, None), (1, 0, None), (3, 1, 2)])
def test_vmap_is_a_loop(batched):
    z, (a, b) = torch.randn(4, 3, 5, 2), torch.rand(2, 4, 3, 2)
    inputs = [
        x[0] if dim is None else x.movedim(0, dim)
        for x, dim in zip((z, a, b), batched, strict=True)
    ]

    def part(k):
        return [
            x if dim is None else x.select(dim, k)
            for x, dim in zip(inputs, batched, strict=True)
        ]

    want = torch.stack([through_both(*part(k)) for k in range(4)])
    torch.testing.assert_close(torch.vmap(through_both, batched)(*inputs), want)
    slopes = torch.func.grad(through_both, (0, 1, 2))
    got = torch.vmap(slopes, batched)(*inputs)
    each = [slopes(*part(k)) for k in range(4)]
    for ours, truth in zip(got, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.stack(truth))


def test_derivatives_of_derivatives_are_refused_and_the_reference_has_them():
    z, (a, b) = torch.randn(3, 5, 2, requires_grad=True), torch.rand(2, 3, 2)

    def twice():
        _, v = affine_lif(z, a, b, leak=0.9)
        (slope,) = torch.autograd.grad(v.square().sum(), z, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), z)[0]

    with pytest.raises(RuntimeError, match=r"first derivatives only.*\"reference\""):
        twice()
    with backend("reference"):
        assert twice().abs().sum() > 0
