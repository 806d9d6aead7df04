"""What every test gets: poisoned memory, a fixed seed, two threads, few examples."""

import os
import signal
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings

import bntt

settings.register_profile(
    "bntt",
    deadline=None,  # the first autograd call is slow
    max_examples=40,
    derandomize="CI" in os.environ,  # a red build is about the change, never about luck
)
settings.load_profile("bntt")

with torch.device("meta"):
    torch.empty(0)  # torch notes once which functions make tensors: the true ones

# what started the tests, as a shell in the background does, may have had these ignored,
# and the package leaves alone what is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

THREADS = min(2, os.cpu_count() or 1)


def pytest_report_header():
    return f"bntt from {Path(bntt.__file__).parent}"


@pytest.fixture(autouse=True)
def same_start_for_every_test():
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def poison(monkeypatch):
    """Make memory that nobody writes visible, by filling new tensors with NaN."""

    def poisoned(real):
        def empty(*args, **kwargs):
            out = real(*args, **kwargs)
            return out.fill_(float("nan")) if out.is_floating_point() else out

        return empty

    for name in ("empty", "empty_like"):
        monkeypatch.setattr(torch, name, poisoned(getattr(torch, name)))
    new_empty = poisoned(torch.Tensor.new_empty)
    monkeypatch.setattr(torch.Tensor, "new_empty", new_empty)


@pytest.fixture
def as_user():
    """Switch the suite's shape checks off, to see the library's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
