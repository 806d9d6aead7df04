"""Coding passes the gradient of its expectation to the images, or says that it will not."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bntt import BNTT, LIF, Direct, NormLIF, Poisson
from bntt.data import load
from bntt.layers.encode import Pixels, Rows


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def gradient(encoder, images, weight, seed=0):
    """Of the weighted sum of the coded images, with respect to the images."""
    images = images.clone().requires_grad_()
    coded = encoder(images, len(weight), seeded(seed))
    return torch.autograd.grad((coded * weight).sum(), images)[0]


@given(
    seed=st.integers(0, 2**31),
    rescale=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
)
def test_the_gradient_of_drawn_spikes_is_that_of_their_expectation(seed, rescale, dtype):
    images = (3 * torch.randn(2, 1, 3, 4, generator=seeded(seed))).to(dtype)
    weight = torch.randn(5, 2, 1, 3, 4, generator=seeded(seed + 1)).to(dtype)
    got = gradient(Poisson(rescale), images, weight, seed)
    expected = images.clone().requires_grad_()
    (weight * (expected / rescale).clamp(-1, 1)).sum().backward()
    assert got.dtype == dtype
    inside = images.abs() != rescale  # on the border itself there is no derivative
    close = {"rtol": 0.05, "atol": 0.05} if dtype.itemsize < 4 else {}
    torch.testing.assert_close(got[inside], expected.grad[inside], **close)


@pytest.mark.parametrize("rescale", [1.0, 2.0])
def test_the_gradient_is_the_difference_of_the_means_of_many_draws(rescale):
    x, step, draws = torch.tensor([-3.5, -1.3, -0.4, 0.3, 0.8, 1.5, 3.0]), 0.1, 40_000
    images = x[:, None].expand(1, 1, 7, draws).double()

    def mean(moved):
        return Poisson(rescale)(images + moved, 1, seeded(1))[0, 0, 0].mean(1)

    slope = (mean(step) - mean(-step)) / (2 * step)
    got = gradient(Poisson(rescale), images, torch.ones(1, 1, 1, 7, draws).double())[
        0, 0, :, 0
    ]
    # the same draws on both sides, so the difference deviates by about sqrt(p / draws)
    torch.testing.assert_close(slope, got, rtol=0, atol=0.05)
    assert got.count_nonzero() >= 3


def test_pixels_that_always_fire_have_no_gradient():
    images = torch.tensor([-2.0, 2.0, -7.0, 1.99]).reshape(1, 1, 2, 2)
    got = gradient(Poisson(), images, torch.ones(3, 1, 1, 2, 2))
    assert got.flatten().tolist() == [0, 0, 0, 1.5]


@given(seed=st.integers(0, 2**31))
def test_what_is_drawn_does_not_depend_on_the_gradient(seed):
    images = 2 * torch.randn(2, 3, 4, 4, generator=seeded(seed))
    plain = Poisson()(images, 3, seeded(seed))
    followed = Poisson()(images.clone().requires_grad_(), 3, seeded(seed))
    assert followed.requires_grad
    assert torch.equal(plain.view(torch.int32), followed.detach().view(torch.int32))


def test_images_without_a_gradient_build_no_graph():
    spikes = Poisson()(torch.randn(2, 1, 4, 4), 3)
    assert spikes.grad_fn is None
    assert not spikes.requires_grad


def test_a_second_derivative_of_the_expectation_is_zero():
    images = torch.full((1, 1, 1, 1), 0.5, requires_grad=True)
    loss = Poisson()(images, 2, seeded(0)).sum() * images.sum()
    (first,) = torch.autograd.grad(loss, images, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), images)
    assert second.item() == pytest.approx(2.0)  # of s(x)·x: s' + s', and no s''·x


@pytest.mark.parametrize("encoder", [Direct(), Rows(), Pixels(), Pixels(3)])
def test_other_codings_pass_the_gradient_exactly(encoder):
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, 3), images)


def test_no_gradient_is_refused_aloud():
    encoder, images = Poisson(backward="none"), torch.randn(1, 1, 4, 4)
    with pytest.raises(ValueError, match="passes no gradient.*straight_through.*detach"):
        encoder(images.requires_grad_(), 2)
    with torch.no_grad():
        encoder(images, 2)
    assert encoder(images.detach(), 2).grad_fn is None


def test_torch_func_sees_the_same_gradient():
    images = torch.randn(5, 1, 4, 4)

    def per_image(image):
        return Poisson()(image[None], 3).sum()

    slopes = torch.func.vmap(torch.func.grad(per_image), randomness="different")(images)
    torch.testing.assert_close(slopes, 1.5 * (images.abs() < 2))


@pytest.mark.slow
def test_an_attack_on_digits_finds_what_to_change():
    """FGSM costs far more right answers than noise of the same size."""
    digits, T = load("digits"), 4
    torch.manual_seed(0)
    hidden, out = nn.Linear(64, 128, bias=False), nn.Linear(128, 10, bias=False)
    layer = NormLIF(BNTT(128, T), LIF(0.9))

    def logits(images):
        return out(layer(hidden(Poisson()(images, T).flatten(2)))).mean(0)

    def normalised(images):
        return (images / 255 - 0.3) / 0.35

    images, labels = normalised(digits.train_images), digits.train_labels
    weights = nn.ModuleList([hidden, layer, out]).parameters()
    optimizer = torch.optim.Adam(weights, lr=5e-3)
    for _ in range(80):
        some = torch.randint(len(images), (256,))
        optimizer.zero_grad()
        F.cross_entropy(logits(images[some]), labels[some]).backward()
        optimizer.step()
    layer.eval()

    images, labels = normalised(digits.test_images), digits.test_labels

    def right(images):
        with torch.no_grad():
            answers = [logits(images).argmax(1) for _ in range(5)]
        return torch.stack(
            [(answer == labels).double().mean() for answer in answers]
        ).mean()

    images.requires_grad_()
    loss = sum(F.cross_entropy(logits(images), labels) for _ in range(5))
    (slope,) = torch.autograd.grad(loss, images)
    images.requires_grad_(False)
    attacked = right(images + 0.3 * slope.sign())
    noisy = right(images + 0.3 * torch.randn_like(images).sign())
    assert right(images) > 0.9
    assert noisy > 0.88
    assert attacked < 0.7
