"""How closely the package agrees with an independent per-step network, as numbers.

    python scripts/parity.py [--batch 8] [--out results/parity.json]

VGG9 on 32x32 images. In float32 at T=25: of every layer's spikes, how many differ when the
layer is fed what the per-step network's layer was fed, and how many when the whole network
runs on its own; as a yardstick for the latter, the per-step network beside itself with its
convolutions in another memory layout.

In float64 at T=5: the largest differences of logits, gradients and running statistics, each
in units of its tensor's largest magnitude.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from torch.nn import functional as F

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from per_step import made_up, ternary  # noqa: E402 - lives beside the tests
from side_by_side import (  # noqa: E402
    differing_spikes,
    gradients,
    in_our_layout,
    largest_difference,
    relative,
    trace_of,
)

from bntt.interchange import load_reference  # noqa: E402
from bntt.runs.provenance import circumstances  # noqa: E402

LEAK = 0.95


def networks(num_steps):
    """A per-step network and ours, made from its checkpoint."""
    theirs = made_up("vgg9", classes=10, num_steps=num_steps, image_size=32, leak=LEAK)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth.tar"
        torch.save({"state_dict": theirs.state_dict()}, path)
        return load_reference(path, leak=LEAK), theirs


def spikes_in_float32(num_steps, batch, mode):
    """Differing spikes per layer on the same input, and of whole networks."""
    ours, theirs = networks(num_steps)
    ours.train(mode == "training")
    theirs.train(mode == "training")
    spikes = ternary(num_steps, batch, 32, seed=7)
    trace = trace_of(theirs, spikes)
    sizes = [fired.numel() for _, fired in trace]
    alike = differing_spikes(ours, spikes, trace, teacher=True)
    alone = differing_spikes(ours, spikes, trace, teacher=False)
    layers = [
        {
            "layer": f"conv{i + 1}" if i < theirs.depth else "fc1",
            "neurons_times_steps": sizes[i],
            "spike_rate": round(fired.mean().item(), 4),
            "differing_on_the_same_input": alike[i],
            "share_on_the_same_input": alike[i] / sizes[i],
            "differing_in_the_whole_network": alone[i],
        }
        for i, (_, fired) in enumerate(trace)
    ]
    return {
        "share_on_the_same_input": sum(alike) / sum(sizes),
        "share_in_the_whole_network": sum(alone) / sum(sizes),
        "share_per_step_beside_itself_in_channels_last": beside_itself(
            theirs, spikes, trace
        ),
        "layers": layers,
    }


def beside_itself(theirs, spikes, trace):
    """Share of spikes that the per-step network fires otherwise in channels_last."""
    trace = [fired for _, fired in trace]
    again = trace_of(theirs.to(memory_format=torch.channels_last), spikes)
    differing = sum(
        int((ours != fired).sum()) for (_, ours), fired in zip(again, trace, strict=True)
    )
    return differing / sum(fired.numel() for fired in trace)


def differences_in_float64(num_steps, batch):
    """Largest relative differences in evaluation, training and what it leaves behind."""
    ours, theirs = (net.double() for net in networks(num_steps))
    spikes = ternary(num_steps, batch, 32, seed=7).double()
    with torch.no_grad():
        evaluation = relative(ours.eval()(spikes), theirs.eval()(spikes))
    logits = []
    for net in (ours.train(), theirs.train()):
        logits.append(net(spikes))
        F.cross_entropy(logits[-1], torch.arange(batch) % 10).backward()
    by_name = largest_difference(
        gradients(ours), in_our_layout(gradients(theirs), num_steps)
    )
    state = largest_difference(
        ours.state_dict(), in_our_layout(theirs.state_dict(), num_steps)
    )
    return {
        "evaluation_logits": evaluation,
        "training_logits": relative(logits[0].detach(), logits[1].detach()),
        "gradients": max(by_name.values()),
        "gradients_of_the_gains": max(v for k, v in by_name.items() if "norm" in k),
        "running_statistics": max(v for k, v in state.items() if "running" in k),
        "gradients_by_tensor": by_name,
    }


def main():
    """Measure, write the file, print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "parity.json")
    arguments = parser.parse_args()
    batch = arguments.batch
    result = {
        "what": "VGG9, 32x32, BNTT, beside an independent per-step implementation",
        "command": "python scripts/parity.py",
        **circumstances(),
        "settings": {"batch": batch, "leak": LEAK, "steps": {"float32": 25, "float64": 5}},
        "float32_training": spikes_in_float32(25, batch, "training"),
        "float32_evaluation": spikes_in_float32(25, batch, "evaluation"),
        "float64": differences_in_float64(5, batch),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(arguments.out.read_text())
    sys.exit(too_far_apart(result))


def too_far_apart(result):
    """What breaks the promises (1e-6 in float32, 1e-9 in float64), or None."""
    for run in (result["float32_training"], result["float32_evaluation"]):
        for layer in run["layers"]:
            # a spike that comes a step early or late counts twice
            allowed = max(2, 1e-6 * layer["neurons_times_steps"])
            if layer["differing_on_the_same_input"] > allowed:
                return f"{layer['layer']}: more than one spike in a million differs"
    figures = [value for value in result["float64"].values() if isinstance(value, float)]
    return None if max(figures) <= 1e-9 else "float64: a difference above 1e-9"


if __name__ == "__main__":
    main()
