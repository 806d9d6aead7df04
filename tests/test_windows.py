"""BNTT with windows: time-steps in a row that share statistics and gain."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bntt import BNTT


def norm_of(window, T=6, C=3, **options):
    norm = BNTT(C, T, window=window, **options)
    norm.weight.data.uniform_(0.5, 2)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def test_a_window_is_normalised_as_one_batch():
    norm, x = norm_of(3), 2 * torch.randn(6, 5, 3, 4, 4) + 1
    y = norm(x)
    for window in range(2):
        part = slice(3 * window, 3 * window + 3)
        batch = x[part].transpose(0, 2).flatten(1)  # [C, elements]
        mean, var = batch.mean(1), batch.var(1, correction=0)
        a = norm.weight[window] / (var + 1e-4).sqrt()
        expected = (x[part] - mean[:, None, None]) * a[:, None, None]
        torch.testing.assert_close(y[part], expected, rtol=1e-5, atol=1e-5)


def test_running_statistics_have_a_row_per_window_and_its_whole_count():
    norm, x = norm_of(3, momentum=1.0), torch.randn(6, 5, 3)
    norm(x)
    batches = x.unflatten(0, (2, 3)).flatten(1, 2)
    assert norm.running_mean.shape == norm.weight.shape == (2, 3)
    torch.testing.assert_close(norm.running_mean, batches.mean(1))
    torch.testing.assert_close(norm.running_var, batches.var(1))  # unbiased, 15 elements


def test_a_window_of_one_is_the_norm_of_the_paper():
    plain, x = norm_of(1), torch.randn(6, 5, 3)
    torch.testing.assert_close(plain(x), BNTT(3, 6)(x) * plain.weight[:, None])


@given(st.integers(0, 5), st.integers(1, 6), st.sampled_from([1, 2, 3, 6]))
def test_any_part_of_a_sequence_is_evaluated_as_in_the_whole(start, steps, window):
    norm, x = norm_of(window).eval(), torch.randn(6, 2, 3)
    part = slice(start, min(start + steps, 6))
    torch.testing.assert_close(norm(x[part], start=start), norm(x)[part])


def test_training_in_parts_of_whole_windows_is_training_on_the_whole():
    whole, parts, x = norm_of(2), norm_of(2), torch.randn(6, 5, 3)
    parts.load_state_dict(whole.state_dict())
    y = torch.cat([parts(x[:2], start=0), parts(x[2:], start=2)])
    torch.testing.assert_close(y, whole(x))
    torch.testing.assert_close(parts.running_var, whole.running_var)


def test_training_on_half_a_window_is_refused():
    with pytest.raises(ValueError, match=r"window=3 trains on whole windows.*0 to 2"):
        norm_of(3)(torch.randn(2, 5, 3), start=0)


@pytest.mark.parametrize("window", [0, 4, 7])
def test_windows_must_fill_the_sequence(window):
    with pytest.raises(ValueError, match=f"divide num_steps.*window={window} for"):
        BNTT(3, 6, window=window)


def test_gradients_pass_through_windows():
    norm, x = norm_of(3).double(), torch.randn(6, 4, 3, dtype=torch.double)
    assert torch.autograd.gradcheck(norm, x.requires_grad_())
