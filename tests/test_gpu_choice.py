"""When Triton's kernels run, and what is said where they cannot."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
import subprocess
import sys

import pytest
import torch
from on_gpu import DEVICE

from bntt import LIF, backend, backend_report
from bntt.ops import affine_lif, backends, gpu, moments
from bntt.ops.gpu import operators

pytestmark = pytest.mark.usefixtures("as_user")
CUDA = torch.device("cuda", 0)


@pytest.fixture
def a_gpu(monkeypatch):
    """A machine with a GPU as far as the choice of a backend can tell."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    gpu._too_old.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA X1")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    yield monkeypatch
    gpu._too_old.cache_clear()


class Currents:
    """What the choice of a backend sees of a tensor."""

    def __init__(self, device, dtype=torch.float32):
        self.device, self.dtype = torch.device(device), dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpu_is_chosen_by_itself(a_gpu, dtype):
    assert backends.backend_name(Currents(CUDA, dtype)) == "gpu"
    with backend("gpu"):
        assert backends.backend_name(Currents(CUDA, dtype)) == "gpu"
    with backend("reference"):
        assert backends.backend_name(Currents(CUDA, dtype)) == "reference"
    assert backends.backend_name(Currents("cpu")) == "cpu"
    assert backends.backend_name(Currents("mps")) == "reference"


def test_float64_is_the_references(a_gpu):
    z = Currents(CUDA, torch.float64)
    assert backends.backend_name(z) == "reference"
    with (
        backend("gpu"),
        pytest.raises(RuntimeError, match=r"bfloat16 and float16, not.*64"),
    ):
        backends.backend_name(z)


def test_an_old_gpu_has_the_reference_and_is_told_why(a_gpu):
    a_gpu.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert backends.backend_name(Currents(CUDA)) == "reference"
    why = "NVIDIA X1 has compute capability 7.5, and Triton's kernels need 8.0"
    assert backend_report()["cuda"] == f"reference: {why}"
    with backend("gpu"), pytest.raises(RuntimeError, match=f'"gpu".*{why}.*"auto"'):
        backends.backend_name(Currents(CUDA))


def test_without_triton_there_is_the_reference(a_gpu):
    a_gpu.setitem(sys.modules, "triton", None)  # as Python has it for what is not there
    gpu.triton_fault.cache_clear()
    try:
        assert backends.backend_name(Currents(CUDA)) == "reference"
        assert "Triton cannot be imported" in backend_report()["cuda"]
        with backend("gpu"), pytest.raises(RuntimeError, match="pip install triton"):
            backends.backend_name(Currents(CUDA))
    finally:
        gpu.triton_fault.cache_clear()


def test_an_old_triton_is_told_apart(a_gpu):
    import triton

    a_gpu.setattr(triton, "__version__", "3.2.0")
    gpu.triton_fault.cache_clear()
    try:
        assert backend_report()["cuda"].startswith("reference: Triton 3.2.0 is too old")
    finally:
        gpu.triton_fault.cache_clear()


def test_amd_is_tried_and_called_untested(a_gpu):
    a_gpu.setattr(torch.version, "hip", "7.0")
    a_gpu.setattr(torch.cuda, "get_device_capability", lambda device: (0, 0))
    assert backends.backend_name(Currents(CUDA)) == "gpu"
    assert backend_report()["cuda"].endswith("on NVIDIA X1, untested on ROCm")


def test_the_report_says_what_runs(a_gpu):
    said = "gpu: Triton kernels for float32, bfloat16 and float16 on NVIDIA X1"
    assert backend_report()["cuda"] == said
    assert backend_report()["mps"].startswith("reference: ")
    with backend("reference"):
        assert backend_report()["cuda"] == "reference: asked for"
    a_gpu.setattr(torch.cuda, "is_available", lambda: False)
    assert backend_report()["cuda"] == "reference: torch finds no CUDA device"


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_another_device_is_refused(monkeypatch, device):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with backend("gpu"), pytest.raises(RuntimeError, match=f"CUDA devices.* on {device}"):
        backends.backend_name(Currents(device))


def test_the_interpreter_refuses_what_it_gets_wrong(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    z = torch.zeros(1, 2, 1, dtype=torch.bfloat16)
    with backend("gpu"), pytest.raises(RuntimeError, match="interpreter.*rounds bfloat16"):
        moments(z)


def test_backward_runs_where_forward_ran(monkeypatch):
    called = []
    for name in ("moments_backward", "affine_lif_backward"):
        real = getattr(operators, name)

        def spy(*args, name=name, real=real, **kwargs):
            called.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(operators, name, spy)
    z = torch.randn(2, 3, 4, device=DEVICE, requires_grad=True)
    with backend("gpu"):
        z2, mean, var = moments(z)
        spikes, _ = affine_lif(z2, mean, var, leak=0.9)
    with backend("reference"):
        spikes.sum().backward()
    assert called == ["affine_lif_backward", "moments_backward"]


def test_shapes_alone_go_through():
    z = torch.zeros(4, 5, 3, device="meta", requires_grad=True)
    with backend("gpu"):
        spikes, v = LIF(0.9)(z, return_state=True)
    (spikes.sum() + v.sum()).backward()
    assert z.grad.shape == z.shape


def test_triton_is_imported_only_when_it_is_needed():
    code = (
        "import sys, torch, bntt; bntt.LIF(0.9)(torch.ones(2, 3, 1)); "
        "bntt.backend_report(); sys.exit('triton' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
