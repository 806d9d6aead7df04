"""What is to be measured: the setting of one run, and the jobs that it is made of."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..networks.vgg import PLANS
from .implementations.job import Job

BASELINES = ("loop", "spikingjelly")
"""Other implementations of the same network."""

IMPLEMENTATIONS = ("bntt", *BASELINES, "convolutions_only")
"""All that can be timed. The last is a part of the network: the rest comes on top of it."""

ONE_LAYOUT = {"bntt", "convolutions_only"}
"""Those that are measured in channels_last memory only: this package knows no other."""

NAMES = {
    "bntt": "bntt",
    "loop": "per-step eager loop",
    "spikingjelly": "SpikingJelly 2.0",
    "convolutions_only": "convolutions only",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run of the benchmark, as it was asked for."""

    arch: str
    num_steps: int
    batch_size: int
    image_size: int
    repeats: int
    baseline_python: Path | None
    quick: bool
    allocator: str

    def implementations(self) -> list[str]:
        """The names of all that can be measured: SpikingJelly needs an environment."""
        return [x for x in IMPLEMENTATIONS if x != "spikingjelly" or self.baseline_python]

    def job(self, implementation: str, **changes: Any) -> Job:
        """A job of this setting; the changes are values of other fields of `Job`."""
        plan = PLANS[self.arch]
        job = Job(
            implementation=implementation,
            arch=self.arch,
            convs=plan.convs,
            hidden=plan.hidden,
            global_pool=plan.global_pool,
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            image_size=self.image_size,
            seconds=0.0 if self.quick else 2.0,
            keep_freed_memory=self.allocator == "keep",
        )
        return replace(job, **changes)

    def variants(self, implementation: str) -> list[dict[str, str]]:
        """Precisions and layouts in which an implementation is measured."""
        precisions = ["float32"] if self.quick else ["float32", "bfloat16"]
        layouts = ["channels_last"]
        if implementation not in ONE_LAYOUT and not self.quick:
            layouts.append("contiguous")
        return [{"precision": p, "layout": x} for p in precisions for x in layouts]
