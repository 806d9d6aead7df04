"""What a user sees who gets an argument wrong: what was expected, what came, what to do."""

# pyright: reportArgumentType=false
import pytest
import torch

from bntt import LIF, backend, backend_report
from bntt.ops import affine_lif, moments, select

pytestmark = pytest.mark.usefixtures("as_user")


def arguments(T=3, M=4, C=2):
    return {"z": torch.zeros(T, M, C), "a": torch.ones(T, C), "b": torch.zeros(T, C)}


@pytest.mark.parametrize("provider", ["reference", "cpu"])
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
def test_refuses_what_no_neuron_has(provider, change, message):
    with backend(provider), pytest.raises(ValueError, match=message):
        affine_lif(**{"leak": 0.9} | arguments() | change)


@pytest.mark.parametrize("change", [{"leak": 2}, {"v_threshold": -1.0}, {"reset": None}])
def test_refuses_it_when_the_neuron_is_made(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        LIF(**{"leak": 0.9} | change)


@pytest.mark.parametrize("provider", ["reference", "cpu"])
def test_an_empty_batch_has_no_statistics(provider):
    with backend(provider), pytest.raises(ValueError, match=r"\(2, 0, 3\).*call .eval\(\)"):
        moments(torch.zeros(2, 0, 3))


def test_names_the_backends_it_knows(monkeypatch):
    known = "Known: auto, reference, cpu"
    with pytest.raises(ValueError, match=f"Unknown backend 'gpu'. {known}"), backend("gpu"):
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
    assert select.provider_name(z) == "cpu"
    monkeypatch.setenv("BNTT_BACKEND", "reference")
    assert select.provider_name(z) == backend_report()["override"] == "reference"
    with backend("cpu"):
        assert select.provider_name(z) == backend_report()["override"] == "cpu"
    assert select.provider_name(z) == "reference"
    with pytest.raises(ValueError, match="one number"), backend("cpu"):
        affine_lif(**arguments() | {"a": torch.ones(1, 1)}, leak=0.9)
    assert select.provider_name(z) == "reference"  # an error ends it too


def test_the_report_says_what_runs_and_why():
    torch.set_num_threads(1)
    assert backend_report()["cpu"].startswith("cpu: compiled kernels")
    assert backend_report()["cpu"].endswith("1 threads")
    with backend("reference"):
        assert backend_report()["cpu"] == "reference: asked for"


@pytest.mark.parametrize("provider", ["reference", "cpu"])
def test_the_backend_asked_for_is_the_one_that_runs(provider, monkeypatch):
    called = []
    for name in ("reference", "cpu"):
        module = getattr(select, name)
        monkeypatch.setattr(
            module, "moments", lambda z, name=name, real=module.moments: (
                called.append(name), real(z))[1]
        )  # fmt: skip
    with backend(provider):
        moments(torch.zeros(1, 2, 1))
    assert called == [provider]
