"""Where the time of a pass goes."""

import time
from collections.abc import Callable

from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as profiler

from .measure import WARM_UP

ENCODER = "encoder"
WHERE = {
    ENCODER: ENCODER,
    "aten::convolution_backward": "convolution backward",
    "aten::convolution": "convolution forward",
    "aten::mm": "linear",
    "aten::linear": "linear",
    "bntt::moments": "moments",
    "bntt::affine_lif": "affine_lif",
    "bntt::affine_lif_backward": "affine_lif_backward",
    "bntt::moments_backward": "moments_backward",
    "aten::avg_pool2d": "pooling",
    "_AveragePool": "pooling",
    "_AveragePoolBackward": "pooling backward",
    "aten::avg_pool2d_backward": "pooling backward",
    "aten::copy_": "copies and casts",
    "aten::cat": "copies and casts",
}
"""The innermost of these that an operation runs in is what its time goes to."""


def profile(one_pass: Callable[[], None], network) -> dict[str, float]:
    """Seconds by part, of one warm pass; ``rest`` is what no part claims."""
    encoder = network.net.encoder

    def marked(*args):
        with record_function(ENCODER):
            return encoder(*args)

    network.net.encoder = marked
    for _ in range(WARM_UP):
        one_pass()
    with profiler(activities=[ProfilerActivity.CPU]) as recorded:
        start = time.perf_counter()
        one_pass()
        total = time.perf_counter() - start
    network.net.encoder = encoder
    parts = by_part(recorded.events())
    return parts | {"rest": total - sum(parts.values()), "total": total}


def by_part(events) -> dict[str, float]:
    """Seconds per part: each operation's own time goes to the part that it runs in."""
    parts = dict.fromkeys(WHERE.values(), 0.0)
    for event in events:
        if part := part_of(event):
            parts[part] += event.self_cpu_time_total / 1e6
    return parts


def part_of(event) -> str | None:
    """The part in which an operation runs: the encoder if that, else the innermost."""
    part = None
    while event is not None:
        found = WHERE.get(event.name)
        if found == ENCODER:
            return found
        part, event = part or found, event.cpu_parent
    return part
