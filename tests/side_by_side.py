"""The package's network beside the per-step one: names, hooks and shares.

Networks are compared where it is fair to: in float64 as a whole, in float32 layer by layer,
each layer on the same input, because one sum that rounds across the threshold changes every
spike that hangs on it.
"""

import torch


def in_our_layout(theirs, num_steps):
    """Tensors named as by the per-step network, under our names, steps stacked."""
    ours = {}
    for name, value in theirs.items():
        kind, _, rest = name.partition(".")
        if kind.startswith("conv"):
            ours[f"convs.{int(kind[4:]) - 1}.weight"] = value
        elif kind in ("fc1", "fc2"):
            ours[f"{'hidden' if kind == 'fc1' else 'output'}.weight"] = value
        elif rest.startswith("0.") and not rest.endswith("num_batches_tracked"):
            depth = sum(other.startswith("conv") for other in theirs)
            layer = depth if kind == "bntt_fc" else int(kind[4:]) - 1
            part = rest[2:]
            steps = [theirs[f"{kind}.{t}.{part}"] for t in range(num_steps)]
            ours[f"layers.{layer}.norm.{part}"] = torch.stack(steps)
    return ours


def gradients(net):
    return {name: value.grad for name, value in net.named_parameters()}


def largest_difference(ours, theirs):
    """By name: the largest difference in units of the tensor's largest magnitude."""
    assert ours.keys() == theirs.keys()
    return {name: relative(ours[name], theirs[name]) for name in ours}


def relative(ours, theirs):
    assert ours.shape == theirs.shape
    scale = theirs.abs().max().item()
    assert scale > 0, "nothing to compare: all zero"
    return (ours - theirs).abs().max().item() / scale


def trace_of(reference, spikes):
    """Inputs and spikes `[T, N, ...]` of every layer of the per-step network."""
    trace = {}
    with torch.no_grad():
        reference(spikes, trace)
    return [
        tuple(torch.stack(steps) for steps in zip(*trace[layer], strict=True))
        for layer in sorted(trace)
    ]


def differing_spikes(net, spikes, trace, *, teacher):
    """Per layer, how many of `net`'s spikes differ from the trace.

    With `teacher`, every layer is fed the input that the trace's layer had, instead of what
    `net` itself made of the layer before.
    """
    counts, handles = [0] * len(trace), []
    for i, layer in enumerate(net.layers):
        weights = net.convs[i] if i < len(net.convs) else net.hidden
        if teacher:
            handles.append(weights.register_forward_pre_hook(fed(trace[i][0])))
        handles.append(layer.register_forward_hook(counted(counts, i, trace[i][1])))
    with torch.no_grad():
        net(spikes)
    for handle in handles:
        handle.remove()
    return counts


def fed(inputs):
    def hook(module, args):
        x = inputs.flatten(0, 1)
        assert x.shape == args[0].shape
        return (x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x,)

    return hook


def counted(counts, i, expected):
    def hook(module, args, spikes):
        assert spikes.shape == expected.shape
        counts[i] = int((spikes != expected).sum())

    return hook
