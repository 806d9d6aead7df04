"""What a user sees who gets an argument wrong: what was expected, what came, what to do."""

# pyright: reportArgumentType=false
import logging
import threading
from dataclasses import dataclass

import pytest
import torch

from bntt import LIF, Triangle, backend, backend_report, ops
from bntt.ops import affine_lif, backends, moments
from bntt.ops.surrogate import Surrogate

pytestmark = pytest.mark.usefixtures("as_user")


def arguments(T=3, M=4, C=2):
    return {"z": torch.zeros(T, M, C), "a": torch.ones(T, C), "b": torch.zeros(T, C)}


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leak": 1.25}, r"`leak` must lie in \[0, 1\], got 1.25.*converts to 1 - 1/tau"),
        ({"leak": -0.5}, r"`leak` must lie in \[0, 1\], got -0.5"),
        ({"leak": float("nan")}, r"`leak` must lie in \[0, 1\], got nan"),
        ({"v_threshold": 0.0}, "`v_threshold` must be positive, got 0.0"),
        ({"reset": "zero"}, "Unknown `reset` 'zero'. Known: soft, hard, none"),
        ({"a": torch.ones(1, 2)}, r"`a` must hold one number .* \(3, 2\), got \(1, 2\)"),
        ({"b": torch.ones(2)}, r"`b` must hold one number .* \(3, 2\), got \(2,\)"),
        ({"v0": torch.ones(2, 4)}, r"`v0` must have the shape .* \(4, 2\), got \(2, 4\)"),
        (arguments(T=0), r"at least one time-step.*\(0, 4, 2\)"),
    ],
)
def test_refuses_what_no_neuron_has(backend_name, change, message):
    with backend(backend_name), pytest.raises(ValueError, match=message):
        affine_lif(**{"leak": 0.9} | arguments() | change)


@pytest.mark.parametrize("change", [{"leak": 2}, {"v_threshold": -1.0}, {"reset": None}])
def test_refuses_it_when_the_neuron_is_made(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        LIF(**{"leak": 0.9} | change)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_an_empty_batch_has_no_statistics(backend_name):
    with (
        backend(backend_name),
        pytest.raises(ValueError, match=r"\(2, 0, 3\).*call .eval\(\)"),
    ):
        moments(torch.zeros(2, 0, 3))


def test_names_the_backends_it_knows(monkeypatch):
    known = "Known: auto, reference, cpu, gpu"
    with pytest.raises(ValueError, match=f"Unknown backend 'mlx'. {known}"), backend("mlx"):
        pass
    monkeypatch.setenv("BNTT_BACKEND", "numba")
    with pytest.raises(ValueError, match=f"variable BNTT_BACKEND 'numba'. {known}"):
        moments(torch.zeros(1, 2, 1))


def test_the_compiled_kernels_refuse_other_types():
    z = torch.zeros(1, 2, 1, dtype=torch.float16)
    message = r"torch.float16 on cpu.*\"auto\""
    with backend("cpu"), pytest.raises(RuntimeError, match=message):
        moments(z)
    assert moments(z)[1].dtype == torch.float32  # left to choose, the reference takes it


def test_the_nearest_override_wins_and_ends(monkeypatch):
    z = torch.zeros(1, 2, 1)
    assert backends.backend_name(z) == "cpu"
    monkeypatch.setenv("BNTT_BACKEND", "reference")
    assert backends.backend_name(z) == backend_report()["override"] == "reference"
    with backend("cpu"):
        assert backends.backend_name(z) == backend_report()["override"] == "cpu"
    assert backends.backend_name(z) == "reference"
    with pytest.raises(ValueError, match="one number"), backend("cpu"):
        affine_lif(**arguments() | {"a": torch.ones(1, 1)}, leak=0.9)
    assert backends.backend_name(z) == "reference"  # an error ends it too


def test_the_report_says_what_runs_and_why():
    torch.set_num_threads(1)
    assert backend_report()["cpu"].startswith("cpu: compiled kernels")
    assert backend_report()["cpu"].endswith("1 threads")
    with backend("reference"):
        assert backend_report()["cpu"] == "reference: asked for"


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_the_backend_asked_for_is_the_one_that_runs(backend_name, monkeypatch):
    called = []
    for name in ("reference", "cpu"):
        module = getattr(backends, name)
        monkeypatch.setattr(
            module, "moments", lambda z, name=name, real=module.moments: (
                called.append(name), real(z))[1]
        )  # fmt: skip
    with backend(backend_name):
        moments(torch.zeros(1, 2, 1))
    assert called == [backend_name]


def test_auto_wins_over_the_environment(monkeypatch):
    z = torch.zeros(1, 2, 1)
    monkeypatch.setenv("BNTT_BACKEND", "reference")
    with backend("auto"):
        assert backends.backend_name(z) == "cpu"
        assert backend_report()["override"] == "auto"
    monkeypatch.setenv("BNTT_BACKEND", "")  # as good as none
    assert backends.backend_name(z) == "cpu"


def test_blocks_that_end_in_any_order_leave_nothing_behind():
    z = torch.zeros(1, 2, 1)
    first, second = backend("reference"), backend("cpu")
    first.__enter__()
    second.__enter__()
    assert backends.wanted() == "cpu"
    first.__exit__(None, None, None)
    assert backends.wanted() == "cpu"
    second.__exit__(None, None, None)
    assert backends.wanted() == "auto"

    def inside(name):
        with backend(name):
            yield backends.backend_name(z)
            yield backends.backend_name(z)

    one, two = inside("reference"), inside("cpu")
    assert [next(one), next(two)] == ["reference", "cpu"]
    one.close()
    assert next(two) == "cpu"
    two.close()
    assert backends.wanted() == "auto"


def test_a_block_is_of_its_thread_alone():
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with backend("reference"):
            inside.set()
            leave.wait(20)
            seen.append(backends.wanted())

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(20)
    assert backends.wanted() == "auto"
    with backend("cpu"):
        leave.set()
        thread.join()
        assert seen == ["reference"]
        assert backends.wanted() == "cpu"


@pytest.mark.parametrize(("forward", "later"), [("cpu", "reference"), ("reference", "cpu")])
def test_backward_runs_where_forward_ran(forward, later, monkeypatch):
    called = []

    def watch(name, function):
        module = getattr(backends, name)
        real = getattr(module, function)

        def spy(*args, **kwargs):
            called.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, function, spy)

    for name in ("reference", "cpu"):
        for function in ("moments_backward", "affine_lif_backward"):
            watch(name, function)
    z = torch.randn(2, 3, 4, requires_grad=True)
    with backend(forward):
        z2, mean, var = moments(z)
        spikes, _ = affine_lif(z2, mean, var, leak=0.9)
    with backend(later):
        spikes.sum().backward()
    # autograd differentiates the reference itself
    assert called == (["cpu", "cpu"] if forward == "cpu" else [])


@dataclass(frozen=True)
class Steep(Triangle):
    """A subclass that inherits the number of its parent, and not its formula."""

    def derivative(self, x):
        return torch.exp(-x.square())


@dataclass(frozen=True)
class Gaussian(Surrogate):
    """One that no kernel has heard of."""

    def derivative(self, x):
        return torch.exp(-x.square())


@pytest.mark.parametrize("kind", [Steep, Gaussian])
@pytest.mark.parametrize("backend_name", ["auto", "cpu", "reference"])
def test_a_surrogate_of_ones_own_is_heard_and_said_once(kind, backend_name, caplog):
    ops._say_slow.cache_clear()
    z = torch.rand(4, 3, 2, requires_grad=True)
    rest = torch.ones(4, 2), torch.zeros(4, 2)
    with caplog.at_level(logging.WARNING, "bntt"), backend(backend_name):
        for _ in range(2):
            spikes, _ = affine_lif(z, *rest, leak=0.0, surrogate=kind())
    spikes.sum().backward()
    torch.testing.assert_close(z.grad, torch.exp(-(z.detach() - 1).square()))
    # nothing is slower for it where the reference would have run anyhow
    assert len(caplog.messages) == (backend_name != "reference")
    assert all(kind.__name__ in message for message in caplog.messages)


def test_what_is_no_surrogate_is_refused():
    with pytest.raises(TypeError, match="`surrogate` must be one such as Triangle"):
        affine_lif(**arguments(), leak=0.9, surrogate="triangle")
