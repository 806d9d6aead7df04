"""Surrogates against their areas and hand-worked slopes, not against themselves."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bntt.ops import surrogate
from bntt.ops.surrogate import ATan, FastSigmoid, Rectangle, Surrogate, Triangle

EVERY = [
    Triangle(),
    Triangle(height=1.0, width=0.5),
    Rectangle(),
    Rectangle(width=0.25),
    ATan(),
    ATan(alpha=4.0),
    FastSigmoid(),
    FastSigmoid(slope=2.0),
]


@pytest.mark.parametrize(
    ("kind", "x", "slope"),
    [
        (Triangle(), 0.0, 0.3),
        (Triangle(), -0.5, 0.15),
        (Triangle(), 1.5, 0.0),
        (Triangle(height=1.0, width=2.0), 1.0, 0.5),
        (Rectangle(width=0.5), 0.2, 2.0),
        (Rectangle(width=0.5), 0.3, 0.0),
        (ATan(alpha=2.0), 0.0, 1.0),
        (ATan(alpha=2.0), 1 / math.pi, 0.5),
        (FastSigmoid(slope=4.0), 0.0, 1.0),
        (FastSigmoid(slope=4.0), -0.25, 0.25),
    ],
)
def test_slope_worked_by_hand(kind, x, slope):
    got = kind.derivative(torch.tensor([x], dtype=torch.float64))
    assert got.item() == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "area"),
    [
        (Triangle(height=0.3, width=1.0), 0.3),
        (Triangle(height=2.0, width=0.25), 0.5),
        (Rectangle(width=0.5), 1.0),
        (ATan(alpha=2.0), 1.0),  # like the step that it stands for
        (FastSigmoid(slope=25.0), 2 / 25),
    ],
)
def test_area_under_the_slope(kind, area):
    x = torch.linspace(-400, 400, 4_000_001, dtype=torch.float64)
    assert torch.trapezoid(kind.derivative(x), x).item() == pytest.approx(area, rel=2e-3)


@pytest.mark.parametrize("kind", EVERY, ids=str)
@given(x=st.floats(0, 8))
def test_slope_is_even_and_falls_with_distance(kind, x):
    at = kind.derivative(torch.tensor([x, -x, x / 2], dtype=torch.float64))
    assert at[0] == at[1]
    assert 0 <= at[0] <= at[2]


@pytest.mark.parametrize("kind", EVERY, ids=str)
@pytest.mark.parametrize("v_threshold", [0.5, 1.0, 4.0])
def test_fires_strictly_above_and_learns_per_unit_of_membrane(kind, v_threshold):
    x = torch.tensor([-0.125, 0.0, 0.125], dtype=torch.float64)
    u = (v_threshold * (1 + x)).requires_grad_()
    spikes = kind.fire(u, v_threshold)
    assert spikes.tolist() == [0, 0, 1]
    (slope,) = torch.autograd.grad((spikes * torch.tensor([1.0, 2.0, 3.0])).sum(), u)
    want = kind.derivative(x) / v_threshold * torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(slope, want)


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_survives_being_written_down(kind):
    assert surrogate.from_config(kind.to_config()) == kind
    assert surrogate.from_parameters(kind.kind, *kind.parameters) == kind


class Softer(Triangle):
    """A subclass that adds nothing but may change anything."""


def test_kernels_know_the_built_in_classes_and_no_subclass_of_them():
    assert all(surrogate.is_built_in(kind) for kind in EVERY)
    assert not surrogate.is_built_in(Softer())
    assert not surrogate.is_built_in(Surrogate())


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("cls", "field"),
    [
        (Triangle, "height"),
        (Triangle, "width"),
        (Rectangle, "width"),
        (ATan, "alpha"),
        (FastSigmoid, "slope"),
    ],
)
def test_refuses_a_slope_that_passes_no_gradient(cls, field, value):
    with pytest.raises(ValueError, match=f"{cls.__name__} needs a positive `{field}`, got"):
        cls(**{field: value})


def test_names_the_surrogates_it_knows():
    with pytest.raises(ValueError, match="Unknown surrogate 'Step'. Known: Triangle, Rect"):
        surrogate.from_config({"name": "Step"})


@pytest.mark.parametrize(
    "use", [lambda s: s.constants, lambda s: s.derivative(torch.ones(1))]
)
def test_the_base_class_is_not_a_surrogate(use):
    with pytest.raises(TypeError, match="use a subclass"):
        use(Surrogate())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Triangle(height=1e-46),  # 0 in float32
        lambda: Rectangle(width=1e-39),  # infinite in float32
        lambda: Triangle(width=1e300),  # flat
        lambda: ATan(alpha=3e38),
        lambda: FastSigmoid(slope=1e39),
    ],
)
def test_refuses_a_slope_that_float32_cannot_hold(make):
    with pytest.raises(ValueError, match="beyond what float32 holds.*nearer to 1"):
        make()


@pytest.mark.parametrize("value", [True, "1", None, torch.tensor(1.0), [1.0]])
def test_refuses_what_is_no_number(as_user, value):
    with pytest.raises(TypeError, match="`alpha` must be a number, got"):
        ATan(alpha=value)


def test_numbers_of_numpy_are_numbers(as_user):
    assert ATan(alpha=np.float32(2)) == ATan(2.0)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [Triangle, "Triangle", None, torch.sigmoid])
def test_refuses_what_is_no_surrogate(value):
    with pytest.raises(TypeError, match="such as Triangle.., or an instance of a class"):
        surrogate.check_surrogate(value)


def test_the_step_is_differentiated_by_functions_of_functions():
    """vmap and grad of torch.func see the slope that backward sees."""
    u = torch.linspace(-1, 3, 9, dtype=torch.float64)
    slopes = torch.func.vmap(torch.func.grad(lambda u: ATan().fire(u, 2.0)))(u)
    torch.testing.assert_close(slopes, ATan().derivative(u / 2 - 1) / 2)
