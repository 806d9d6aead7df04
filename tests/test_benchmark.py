import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from bntt import VGG, benchmark
from bntt.benchmark import agreement, launch, memory, scaling, speed
from bntt.benchmark.implementations import (
    bntt,
    convolutions_only,
    loop,
    measure,
    profiling,
)
from bntt.benchmark.plan import Setting

BASELINE_PYTHON = os.environ.get("BNTT_BASELINE_PYTHON")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    # cases here are tiny: on a busy machine threads would wait for one another
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def a_setting(**changes):
    sizes: dict = {"num_steps": 3, "batch_size": 4, "image_size": 8, "repeats": 1}
    fields = {"arch": "vgg9", "baseline_python": None, "quick": True, "allocator": "keep"}
    return Setting(**(sizes | fields | changes))


def a_sample(implementation, precision="float32", layout="channels_last", **passes):
    timed = {"training": [], "inference": []} | passes
    return {
        "implementation": implementation,
        "precision": precision,
        "layout": layout,
        **timed,
    }


def in_a_baselines_place(code):
    """What `code` prints where only the implementations' folder is on the path."""
    env = os.environ | {"PYTHONPATH": str(launch.HERE)}
    return subprocess.check_output([sys.executable, "-P", "-c", code], env=env, text=True)


def text_of(table):
    with (console := Console(width=200)).capture() as shown:
        console.print(table)
    return shown.get()


@pytest.mark.slow
def test_speed_is_measured_beside_the_loop_and_the_convolutions(tmp_path):
    out = tmp_path / "new" / "speed.json"
    result = benchmark.run("speed", quick=True, out=out)
    assert json.loads(out.read_text()) == result
    assert {row["implementation"] for row in result["rows"]} == {
        "bntt",
        "loop",
        "convolutions_only",
    }
    for sample in result["samples"]:
        for row in result["rows"]:
            if row["implementation"] == sample["implementation"]:
                (seconds,) = sample[row["pass"]]
                fastest, slowest = 4 / min(seconds), 4 / max(seconds)
                assert slowest <= row["images_per_second"] <= fastest
    assert result["agreement"]["float64"]["loop"]["logits"] <= 1e-9
    assert "baseline_python" not in result["setting"]
    parts = result["profile"]["float32"]["training"]
    assert sum(parts.values()) == pytest.approx(2 * parts["total"])
    for part in ("convolution backward", "affine_lif", "moments_backward", "pooling"):
        assert parts[part] > 0, part
    assert "per-step eager loop" in text_of(benchmark.table(result))
    for made in (benchmark.table(result), benchmark.profile_table(result)):
        assert max(map(len, text_of(made).splitlines())) <= 80
    assert "affine_lif_backward" in text_of(benchmark.profile_table(result))


def test_the_loop_computes_what_the_network_computes():
    differences = agreement.check(a_setting())["float64"]["loop"]
    assert differences["spikes_that_differ"] == 0
    assert max(differences.values()) < 1e-9


def test_the_case_of_the_agreement_check_fires_at_every_layer():
    case = agreement.make_case(agreement.small(a_setting()))
    for inputs in case["inputs"]:
        assert 0.01 < (inputs != 0).double().mean() < 0.99


@pytest.mark.parametrize("broken", ["leak", "reset", "surrogate"])
def test_a_loop_that_disagrees_is_not_timed(monkeypatch, broken):
    def lif(self, x, v):
        u = (0.9 if broken == "leak" else 0.95) * v + x
        s = loop.Fire.apply(u - 1, 0.5 if broken == "surrogate" else 1.0)
        return s, (u if broken == "reset" else u - s.detach())

    monkeypatch.setattr(loop.Layers, "lif", lif)
    with pytest.raises(RuntimeError, match="disagree.*Nothing is timed"):
        agreement.check(a_setting())


def test_spikes_that_differ_are_counted():
    zeros = {k: torch.zeros(4) for k in ("logits", "inference")}
    own = zeros | {"grads": [torch.ones(2)], "stages": [torch.zeros(4), torch.zeros(8)]}
    other = own | {"stages": [torch.zeros(4), torch.eye(8)[0]]}
    assert agreement.compare(own, other)["spikes_that_differ"] == 1 / 8


@pytest.mark.skipif(BASELINE_PYTHON is None, reason="BNTT_BASELINE_PYTHON is not set")
def test_spikingjelly_computes_what_the_network_computes():
    result = agreement.check(a_setting(baseline_python=Path(str(BASELINE_PYTHON))))
    assert max(result["float64"]["spikingjelly"].values()) < 1e-9


@pytest.mark.parametrize(("arch", "size"), [("vgg5", 8), ("vgg9", 16), ("vgg11", 16)])
def test_the_layers_counted_and_timed_alone_are_those_of_the_network(arch, size):
    setting = a_setting(arch=arch, image_size=size, num_steps=2, batch_size=2)
    job = setting.job("bntt")
    net: VGG = bntt.Network(job).net
    sizes, neurons = [], []
    for module in (*net.convs, net.hidden, net.output):
        module.register_forward_hook(
            lambda m, x, y: sizes.append((x[0].numel(), y.numel()))
        )
    for layer in net.layers:
        layer.register_forward_hook(lambda m, x, y: neurons.append(y[0, 0].numel()))
    net(job.images())
    runs = convolutions_only.Layers(setting.job("convolutions_only")).runs
    assert [(x.numel(), grad.numel()) for _, _, x, grad in runs] == sizes
    assert [w.shape for _, w, _, _ in runs] == [
        w.shape for w in bntt.Network(job).weights()
    ]
    assert job.neurons() == sum(neurons)


def test_warming_up_is_not_timed():
    waits = iter([0.2, 0.01, 0.01, 0.01, 0.01])
    samples, _ = measure.seconds(lambda: time.sleep(next(waits)), at_least=0.02)
    assert max(samples) < 0.1
    assert sum(samples) >= 0.02


def test_what_other_processes_take_is_noticed(monkeypatch):
    clock = iter([0.0, 0.05 * (os.cpu_count() or 1)])
    monkeypatch.setattr(measure, "busy_seconds", lambda: next(clock))
    _, others = measure.seconds(lambda: time.sleep(0.05), at_least=0)
    assert others == pytest.approx(1, abs=0.3)


def test_each_implementation_is_compared_with_the_best_of_each_baseline():
    samples = [
        a_sample("bntt", training=[[1.0], [3.0], [2.0, 2.0]]),
        a_sample("bntt", "bfloat16", training=[[1.0]]),
        a_sample("loop", training=[[8.0]]),
        a_sample("loop", layout="contiguous", training=[[6.0]]),
        a_sample("loop", "bfloat16", training=[[4.0]]),
        a_sample("convolutions_only", training=[[1.5]]),
        a_sample("convolutions_only", "bfloat16", training=[[0.25]]),
    ]
    rows = {
        (r["implementation"], r["precision"]): r for r in speed.rows(samples, batch_size=10)
    }
    assert len(rows) == 6
    assert rows["bntt", "float32"]["images_per_second"] == 5
    assert rows["bntt", "float32"]["share_of_convolutions_only"] == 0.75
    assert rows["bntt", "bfloat16"]["share_of_convolutions_only"] == 0.25
    assert rows["bntt", "float32"]["times_loop"] == 2
    assert rows["bntt", "bfloat16"]["times_loop"] == 4
    assert rows["bntt", "float32"]["times_spikingjelly"] is None
    assert rows["loop", "float32"]["layout"] == "contiguous"


def test_only_layouts_that_are_clearly_beaten_are_dropped():
    slow, fast = a_sample("loop", training=[[3.1]]), a_sample("loop", training=[[2.0]])
    near, new = a_sample("loop", training=[[2.9]]), a_sample("loop")
    samples = [slow, fast, near, new, a_sample("bntt", training=[[0.1]])]
    samples.append(a_sample("loop", "bfloat16", training=[[0.1]]))
    dropped = [speed.hopeless(sample, samples, "training") for sample in samples]
    assert dropped == [True] + 5 * [False]


def test_implementations_take_turns(monkeypatch):
    order = []

    def result(job, baseline_python):
        order.append(job.implementation)
        timed = {name: [1.0] for name in job.passes}
        others = dict.fromkeys(job.passes, 0.0)
        return {"seconds": timed, "taken_by_others": others, "threads": 2, "versions": {}}

    monkeypatch.setattr(speed, "run_job", result)
    samples, _ = speed._rounds(a_setting(repeats=2), say=lambda *_: None)
    assert order == ["bntt", "loop", "convolutions_only"] * 2
    assert all(sample["training"] == [[1.0], [1.0]] for sample in samples)


def test_memory_is_the_slope_per_neuron_and_step(monkeypatch):
    setting = a_setting(batch_size=8)
    per_image = 12.5 * setting.job("bntt").neurons() * setting.num_steps

    def result(job, baseline_python):
        assert job.kind == "memory"
        assert not job.keep_freed_memory
        return {"peak_bytes": 5e8 + per_image * job.batch_size}

    monkeypatch.setattr(memory, "run_job", result)
    found = memory.run_memory(setting, print)
    assert found["batch_sizes"] == [2, 4, 6, 8]
    assert [row["implementation"] for row in found["rows"]] == ["bntt", "loop"]
    for row in found["rows"]:
        assert row["bytes_per_neuron_and_step"] == pytest.approx(12.5)
        assert row["bytes_before_any_image"] == pytest.approx(5e8)


def test_peak_memory_includes_what_is_freed_again():
    code = (
        "from implementations.measure import peak_bytes; before = peak_bytes();"
        "block = bytearray(b'1') * 2**28; del block; print(peak_bytes() - before)"
    )
    assert 0.9 < int(in_a_baselines_place(code)) / 2**28 < 1.1


def test_scaling_fits_a_line_over_steps_and_over_batch(monkeypatch):
    def result(job, baseline_python=None):
        cost = 0.5 + 0.1 * job.num_steps * job.batch_size
        return {"seconds": {"training": [cost, cost, 9 * cost]}}

    monkeypatch.setattr(scaling, "run_job", result)
    over_steps, over_batch = scaling.run_scaling(a_setting(quick=False), print)["rows"]
    assert over_steps["values"] == [10, 25, 50, 100]
    assert over_steps["seconds_per_unit"] == pytest.approx(0.8)
    assert over_steps["seconds_at_zero"] == pytest.approx(0.5)
    assert over_steps["r2"] == pytest.approx(1)
    assert over_steps["cost_per_unit_last_over_first"] == pytest.approx(0.805 / 0.85)
    assert over_batch["values"] == [8, 16, 32, 64]
    assert over_batch["seconds_per_unit"] == pytest.approx(1)
    assert memory.fit([0, 1, 2], [0, 3, 0])[2] == pytest.approx(0)


def event(name, own, parent=None):
    return SimpleNamespace(name=name, self_cpu_time_total=own * 1e6, cpu_parent=parent)


def test_time_goes_to_the_innermost_part_and_the_encoder_keeps_all_of_its_own():
    convolution = event("aten::convolution", 1)
    encoder = event("encoder", 2)
    events = [
        convolution,
        event("aten::mkldnn_convolution", 4, convolution),
        event("aten::copy_", 8, convolution),
        encoder,
        event("aten::copy_", 16, encoder),
        event("aten::relu", 32),
    ]
    parts = {part: s for part, s in profiling.by_part(events).items() if s}
    assert parts == {"convolution forward": 5, "copies and casts": 8, "encoder": 18}


def test_a_failing_process_says_why():
    job = a_setting().job("bntt", arch="vgg10")
    with pytest.raises(RuntimeError, match="(?s)bntt.*failed.*Unknown architecture"):
        launch.run_job(job)


def test_a_failing_baseline_leaves_the_others_standing(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    python.chmod(0o755)
    setting = a_setting(baseline_python=python)
    sample = a_sample("spikingjelly", taken_by_others=[])
    speed._measure(setting, sample, ("training",))
    assert "no such library" in sample["error"]
    rows = speed.rows(
        [sample, a_sample("convolutions_only", training=[[1.0]])], batch_size=4
    )
    assert [row["implementation"] for row in rows] == ["convolutions_only"]


def test_implementations_load_where_this_package_is_not():
    code = (
        "import sys, implementations.__main__, implementations.spikingjelly;"
        "import implementations.loop;"
        "print(*{'bntt', 'numba', 'jaxtyping', 'rich'} & set(sys.modules))"
    )
    assert not in_a_baselines_place(code).strip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": "sped"}, r"'sped'. Did you mean 'speed'\? Known: speed, memory, scaling"),
        ({"what": "speed", "allocator": "own"}, "Unknown `allocator`"),
        ({"what": "speed", "batch_size": 1}, "`batch_size` must be at least 2, got 1"),
        ({"what": "speed", "repeats": 0}, "`repeats` must be at least 1, got 0"),
        ({"what": "speed", "arch": "seq"}, "Unknown architecture 'seq'"),
        ({"what": "speed", "image_size": 30}, "multiple of 8, got 30"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(arguments, message):
    with pytest.raises(ValueError, match=message):
        benchmark.run(**arguments)


def test_a_baseline_python_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Python at"):
        benchmark.run("speed", baseline_python=tmp_path / "python")


def test_a_file_that_cannot_be_written_is_found_out_first(tmp_path):
    with pytest.raises(IsADirectoryError):
        benchmark.run("speed", quick=True, out=tmp_path)
