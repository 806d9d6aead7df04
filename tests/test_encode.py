"""Coding of images: what is drawn, how often it fires, and that nothing else decides it."""

# pyright: reportArgumentType=false, reportCallIssue=false
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bntt import Direct, Poisson
from bntt.layers import encode

SEEDS = st.integers(0, 2**31)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@given(seed=SEEDS, T=st.integers(1, 4), rescale=st.sampled_from([1.0, 2.0, 3.0]))
def test_replays_the_authors_formula(seed, T, rescale):
    images = torch.randn(2, 3, 4, 5)
    spikes = Poisson(rescale)(images, T, seeded(seed))
    generator = seeded(seed)
    for s in spikes:
        r = torch.rand(images.shape, generator=generator)
        want = torch.where(rescale * r <= images.abs(), images.sign(), torch.zeros(()))
        assert torch.equal(s, want)


@pytest.mark.parametrize("x", [-1.75, -0.5, 0.01, 0.25, 1.0, 1.99])
@pytest.mark.parametrize("rescale", [1.0, 2.0])
def test_fires_as_often_as_the_pixel_is_bright_and_with_its_sign(x, rescale):
    n, p = 40_000, min(abs(x) / rescale, 1)
    spikes = Poisson(rescale)(torch.full((1, 1, 100, 100), x), 4, seeded(0))
    assert set(spikes.unique().tolist()) <= {0.0, math.copysign(1.0, x)}
    deviation = abs(spikes.abs().sum().item() - n * p)
    assert deviation <= 5 * math.sqrt(n * p * (1 - p))


@given(seed=SEEDS, x=st.floats(2, 50))
def test_the_brightest_pixels_always_fire_and_black_ones_never(seed, x):
    images = torch.tensor([x, -x, 0.0]).reshape(1, 1, 1, 3)
    want = torch.tensor([1.0, -1.0, 0.0]).expand(5, 1, 1, 1, 3)
    assert torch.equal(Poisson()(images, 5, seeded(seed)), want)


def test_fires_where_the_draw_meets_the_pixel_exactly():
    images = 2 * torch.rand(1, 1, 8, 8, generator=seeded(0))
    assert Poisson()(images, 1, seeded(0)).all()


@pytest.mark.parametrize("encoder", [Poisson(), Direct()])
@given(seed=SEEDS, cut=st.integers(0, 5))
def test_time_may_be_cut_anywhere(encoder, seed, cut):
    images, generator = torch.randn(2, 3, 4, 4), seeded(seed)
    whole = encoder(images, 5, seeded(seed))
    steps = list(encoder.steps(images, cut, generator))
    steps += list(encoder.steps(images, 5 - cut, generator))
    assert torch.equal(torch.stack(steps), whole)
    assert torch.equal(encoder(images, 2, seeded(seed)), whole[:2])


def test_the_layout_of_memory_draws_nothing_else():
    images = torch.randn(2, 3, 4, 5)
    last = images.to(memory_format=torch.channels_last)
    assert torch.equal(Poisson()(last, 3, seeded(1)), Poisson()(images, 3, seeded(1)))


def test_each_step_is_drawn_afresh_and_seeds_differ():
    images = torch.full((1, 1, 20, 20), 1.0)
    spikes = Poisson()(images, 2, seeded(0))
    assert not torch.equal(spikes[0], spikes[1])
    assert not torch.equal(spikes, Poisson()(images, 2, seeded(1)))


def test_a_generator_of_its_own_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    Poisson()(torch.randn(1, 1, 2, 2, generator=seeded(0)), 2, seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    first = Poisson()(torch.ones(1, 1, 9, 9), 2)
    torch.manual_seed(3)
    assert torch.equal(Poisson()(torch.ones(1, 1, 9, 9), 2), first)


def test_direct_coding_is_the_image_without_a_copy():
    images = torch.randn(2, 3, 4, 4)
    currents = Direct()(images, 5)
    assert all(torch.equal(current, images) for current in currents)
    assert currents.shape == (5, 2, 3, 4, 4)
    assert currents.data_ptr() == images.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_spikes_have_the_type_of_the_images(dtype):
    images = torch.randn(1, 1, 2, 2, dtype=dtype)
    assert Poisson()(images, 2).dtype == Direct()(images, 2).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_images_fire_as_often_as_wide_ones(dtype):
    images = torch.full((1, 1, 1000, 1000), 0.001).to(dtype)
    p = images[0, 0, 0, 0].item() / 2  # a draw in bfloat16 would be 0 five times too often
    fired = Poisson()(images, 4, seeded(0))
    assert fired.dtype == dtype
    assert abs(fired.float().mean().item() - p) <= 5 * math.sqrt(p / 4e6)


@given(seed=SEEDS)
def test_narrow_images_draw_what_the_same_images_in_float32_draw(seed):
    images = torch.randn(2, 3, 4, 4).bfloat16()
    wide = Poisson()(images.float(), 3, seeded(seed))
    assert torch.equal(Poisson()(images, 3, seeded(seed)).float(), wide)


@pytest.mark.parametrize("encoder", [Poisson(), Direct()])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_images_that_are_no_numbers(encoder, value):
    images = torch.zeros(1, 1, 2, 2)
    images[0, 0, 1, 1] = value
    for code in (lambda: encoder(images, 2), lambda: list(encoder.steps(images, 2))):
        with pytest.raises(ValueError, match="NaN or infinity.*a std of 0 divides by zero"):
            code()


def test_refuses_a_generator_from_elsewhere():
    images = torch.zeros(1, 1, 2, 2, device="meta")
    message = r"on meta, but it is on cpu.*Generator\(device=\"meta\""
    with pytest.raises(ValueError, match=message):
        Poisson()(images, 2, seeded(0))


ENCODERS = [Poisson(), Direct(), encode.Rows(), encode.Pixels(), encode.Pixels(1)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize(
    ("images", "error", "said"),
    [
        (torch.ones(1, 1, 4, 4, dtype=torch.uint8), ValueError, "got torch.uint8"),
        (torch.ones(1, 1, 4, 4, dtype=torch.long), ValueError, "got torch.int64"),
        (torch.ones(1, 1, 4, 4, dtype=torch.bool), ValueError, "got torch.bool"),
        (torch.ones(1, 1, 4, 4, dtype=torch.cfloat), ValueError, "got torch.complex64"),
        (torch.ones(1, 1, 4, 4).to_sparse(), ValueError, "takes dense tensors"),
        ([[1.0]], TypeError, "takes a tensor"),
    ],
)
def test_refuses_what_is_no_tensor_of_numbers(as_user, encoder, images, error, said):
    with pytest.raises(error, match=said):
        encoder(images, 2)


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize(
    ("num_steps", "error"),
    [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)],
)
def test_refuses_time_steps_that_cannot_be(as_user, encoder, num_steps, error):
    with pytest.raises(error, match="`num_steps` must be"):
        encoder(torch.ones(1, 1, 4, 4), num_steps)


@pytest.mark.parametrize("encoder", [encode.Rows(), encode.Pixels()])
def test_pieces_are_not_fewer_than_asked_for(as_user, encoder):
    with pytest.raises(ValueError, match="num_steps is 17. Ask for (4|16) or fewer"):
        encoder(torch.ones(1, 1, 4, 4), 17)
    with pytest.raises(ValueError, match=r"images \(N, C, H, W\), got shape \(4, 4\)"):
        encoder(torch.ones(4, 4), 2)


def test_numbers_of_numpy_are_whole_numbers(as_user):
    steps = np.int64(2)
    assert len(Poisson()(torch.ones(1, 1, 2, 2), steps)) == 2


def test_refuses_a_seed_for_a_generator(as_user):
    with pytest.raises(TypeError, match=r"torch.Generator\(\).manual_seed\(seed\)"):
        Poisson()(torch.ones(1, 1, 2, 2), 2, 0)


@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, ValueError), (2**32, ValueError), (1.0, TypeError), (True, TypeError)],
)
def test_refuses_an_order_that_no_seed_draws(as_user, seed, error):
    with pytest.raises(error, match="`permutation`"):
        encode.Pixels(seed)


def test_refuses_an_unknown_gradient():
    with pytest.raises(ValueError, match="Unknown `backward` 'ste'. Known: straight_th"):
        Poisson(backward="ste")


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_shapes_may_be_asked_for_without_numbers(encoder):
    images = torch.ones(1, 1, 4, 4)
    assert encoder(images.to("meta"), 2).shape == encoder(images, 2).shape


@pytest.mark.parametrize("rescale", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_scale_that_is_not_positive(rescale):
    with pytest.raises(ValueError, match=f"`rescale` must be positive, got {rescale}"):
        Poisson(rescale)


def test_is_made_by_name():
    assert encode.make("poisson") == Poisson(2.0)
    assert encode.make("direct") == Direct()
    with pytest.raises(ValueError, match="Unknown encoder 'rate'. Known: poisson, direct"):
        encode.make("rate")
