"""Random layers on random sequences: three ways to compute agree, and nonsense is refused.

A few cases run by default; ``BNTT_FUZZ=5000`` in the environment runs so many.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportOptionalMemberAccess=false
import math
import random
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import CASES

import bntt
from bntt import BNTT, LIF, NoNorm, NormLIF, SharedBN, backend
from bntt.layers.encode import Direct, EventFrames, Pixels, Poisson, Rows
from bntt.ops.surrogate import ATan, FastSigmoid, Rectangle, Triangle

PACKAGE = Path(bntt.__file__).parent
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
SURROGATES = [Triangle(), Triangle(1.0, 0.5), Rectangle(), ATan(), FastSigmoid(2.0)]


def divisors(number):
    return [n for n in range(1, number + 1) if number % n == 0]


def made_up_layer(draw):
    """A layer with gains and statistics that differ from step to step."""
    T, C = draw.randint(1, 6), draw.choice((1, 2, 3, 8, 17))
    norm = draw.choice((BNTT, BNTT, SharedBN, NoNorm))
    options = {"window": draw.choice(divisors(T))} if norm is BNTT else {}
    lif = LIF(
        draw.choice((0.0, 0.5, 0.95, 1.0)),
        draw.choice((0.5, 1.0, 2.0)),
        draw.choice(("soft", "hard", "none")),
        draw.choice(SURROGATES),
        draw.random() < 0.5,
    )
    layer = NormLIF(norm(C, T, **options), lif)
    generator = torch.Generator().manual_seed(draw.randrange(2**32))
    with torch.no_grad():
        for tensor in layer.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return layer


def made_up_currents(draw, layer, dtype):
    N, space = draw.randint(2, 4), draw.choice(((), (1,), (5,), (2, 3), (1, 1), (2, 1, 2)))
    generator = torch.Generator().manual_seed(draw.randrange(2**32))
    shape = (layer.norm.num_steps, N, *space, layer.norm.num_features)
    z = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    z = z.movedim(-1, 2) if draw.random() < 0.5 else z.movedim(-1, 2).contiguous()
    return z.to(dtype)


def learnt(layer, z, cuts=()):
    """Spikes, last membrane, gradients, statistics; afterwards the layer is as before."""
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    z = z.clone().requires_grad_()
    spikes, v, first = [], None, 0
    for last in (*cuts, len(z)):
        start = first if cuts else None
        s, v = layer(z[first:last], v, start=start, return_state=True)
        spikes.append(s)
        first = last
    spikes = torch.cat(spikes)
    pull = torch.linspace(-1, 1, spikes.numel()).view_as(spikes)
    loss = (spikes.double() * pull).sum() + v.sum()
    gradients = torch.autograd.grad(loss, [z, *layer.parameters()], allow_unused=True)
    statistics = [buffer.clone() for buffer in layer.buffers()]
    layer.load_state_dict(before)
    return spikes, v, gradients, statistics


def assert_same(got, want, exactly=True):
    spikes, v, gradients, statistics = got
    assert torch.equal(spikes, want[0])
    assert spikes.dtype == want[0].dtype
    assert torch.equal(v, want[1]) or not exactly
    torch.testing.assert_close(v, want[1])
    share = 0.1 if spikes.dtype.itemsize < 4 else 1e-4
    for ours, theirs in zip(gradients, want[2], strict=True):
        near = share * (1 + theirs.abs().max().item())
        torch.testing.assert_close(ours, theirs, rtol=share, atol=near)
    for ours, theirs in zip(statistics, want[3], strict=True):
        torch.testing.assert_close(ours, theirs)


def cuts_of(draw, layer):
    """Where a sequence may be cut: where a window ends, if the norm trains in parts."""
    norm = layer.norm
    if norm.training and isinstance(norm, SharedBN):
        return ()
    step = getattr(norm, "window", 1) if norm.training else 1
    places = range(step, norm.num_steps, step)
    return sorted(draw.sample(places, draw.randint(0, len(places))))


def test_fused_apart_cut_and_reference_agree():
    for case in range(CASES):
        draw = random.Random(case)
        layer = made_up_layer(draw).train(draw.random() < 0.7)
        dtype = draw.choice(DTYPES)
        z = made_up_currents(draw, layer, dtype)
        # called apart, float16 becomes float32, which kernels compute: not the same sums
        with backend("reference" if dtype == torch.float16 else "auto"):
            want = learnt(layer, z)
            part = draw.choice((layer.norm, layer.lif))
            handle = part.register_forward_hook(lambda *_: None)
            assert_same(learnt(layer, z), want)
            handle.remove()
            assert_same(learnt(layer, z, cuts_of(draw, layer)), want)
        if dtype == torch.float64:  # where no rounding can change a spike
            layer.double()
            with backend("reference"):
                want = learnt(layer, z)
            assert_same(learnt(layer, z), want, exactly=False)


def odd_tensor(draw, shape):
    """A tensor that may fit the shape, or be short of an axis, a number, a type."""
    shape = list(shape)
    for _ in range(draw.choice((0, 1, 1, 2))):
        where = draw.randrange(len(shape)) if shape else 0
        way = draw.randrange(4)
        if way == 0 and shape:
            del shape[where]
        elif way == 1:
            shape.insert(where, draw.choice((0, 1, 2)))
        elif shape:
            shape[where] = draw.choice((0, 1, shape[where] + 1, max(0, shape[where] - 1)))
    dtypes = (*DTYPES, torch.int64, torch.uint8, torch.bool, torch.complex64)
    x = torch.ones(shape).to(draw.choice((*DTYPES * 3, *dtypes)))
    return draw.choice(
        [
            *[lambda: x] * 12,
            lambda: x.to("meta"),
            lambda: x.to_sparse() if x.ndim else x,
            lambda: None,
            lambda: np.ones(shape),
            lambda: x.tolist(),
            lambda: "images",
        ]
    )()


def answers(function, *args, state=(), **kwargs):
    """Whether it answers; what it raises must be ours, and must have moved nothing."""
    before = [tensor.clone() for tensor in state]
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError) as refusal:
        error = refusal
    else:
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    assert Path(frame.filename).is_relative_to(PACKAGE), f"not ours: {error}"
    assert len(str(error)) > 30
    assert all(map(torch.equal, before, state)), f"moved before: {error}"
    return False


ODD_NUMBERS = [None, None, None, 0, 1, 2, -1, 10**6, 2.0, True, "0", math.nan]


@pytest.mark.usefixtures("as_user")
def test_what_is_no_sequence_is_refused_in_our_words():
    answered = 0
    for case in range(5 * CASES):
        draw = random.Random(case)
        layer = made_up_layer(draw).train(draw.random() < 0.5)
        T, C = layer.norm.num_steps, layer.norm.num_features
        shape = (T, 2, C, *draw.choice(((), (2,), (2, 2))))
        x, start = odd_tensor(draw, shape), draw.choice(ODD_NUMBERS)
        v = odd_tensor(draw, shape[1:]) if draw.random() < 0.3 else None
        state = list(layer.buffers())
        if draw.random() < 0.3:
            answered += answers(layer.norm, x, start, state=state)
        elif draw.random() < 0.4:
            answered += answers(layer.lif, x, v, return_state=True)
        else:
            answered += answers(layer, x, v, start=start, return_state=True, state=state)
    assert 0 < answered < 5 * CASES


@pytest.mark.usefixtures("as_user")
def test_what_is_no_layer_is_refused_in_our_words():
    odd = [
        1,
        0,
        -1,
        2,
        0.5,
        2.0,
        1e-4,
        math.inf,
        math.nan,
        None,
        True,
        "1",
        [1],
        np.ones(2),
    ]
    keys = {
        BNTT: ("num_features", "num_steps", "window", "eps", "momentum"),
        SharedBN: ("num_features", "num_steps", "eps", "momentum"),
        NoNorm: ("num_features", "num_steps"),
        LIF: ("leak", "v_threshold", "reset", "surrogate", "detach_reset"),
        Triangle: ("height", "width"),
        Rectangle: ("width",),
        ATan: ("alpha",),
        FastSigmoid: ("slope",),
        Poisson: ("rescale", "backward"),
        Pixels: ("permutation",),
    }
    honest = {"num_features": 2, "num_steps": 4, "leak": 0.5}
    answered = 0
    for case in range(5 * CASES):
        draw = random.Random(case)
        kind = draw.choice(list(keys))
        given = {name: honest[name] for name in keys[kind] if name in honest}
        given[draw.choice(keys[kind])] = draw.choice(odd)
        answered += answers(kind, **given)
    assert 0 < answered < 5 * CASES


@pytest.mark.usefixtures("as_user")
def test_what_is_no_image_is_refused_in_our_words():
    encoders = [Poisson(), Direct(), Rows(), Pixels(), Pixels(1), EventFrames()]
    answered = 0
    for case in range(5 * CASES):
        draw = random.Random(case)
        encoder, images = draw.choice(encoders), odd_tensor(draw, (2, 1, 4, 4))
        steps = draw.choice(ODD_NUMBERS[3:] + [2, 3, 4])
        if steps == 10**6 and not isinstance(encoder, Rows | Pixels):
            steps = 5  # so many may be had, at a price
        generator = draw.choice((None, None, torch.Generator(), 0, "seed"))
        answered += answers(encoder, images, steps, generator)
    assert 0 < answered < 5 * CASES
