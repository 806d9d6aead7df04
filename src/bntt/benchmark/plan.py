"""What is to be measured: the setting of one run, and the jobs that it is made of."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..networks.vgg import PLANS
from .contender.job import Job

CONTENDERS = ("bntt", "loop", "spikingjelly", "floor")
ONE_LAYOUT = {"bntt", "floor"}
MODULES = {"bntt": "ours"}
"""Where a contender's file has another name."""

NAMES = {
    "bntt": "bntt",
    "loop": "per-step eager loop",
    "spikingjelly": "SpikingJelly 2.0",
    "floor": "convolutions alone",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run of the benchmark, as it was asked for."""

    arch: str
    num_steps: int
    batch_size: int
    image_size: int
    repeats: int
    peer_python: Path | None
    quick: bool
    allocator: str

    def contenders(self) -> list[str]:
        """All whose environment was given."""
        return [c for c in CONTENDERS if c != "spikingjelly" or self.peer_python]

    def job(self, contender: str, **changes: Any) -> Job:
        """A job of this setting."""
        plan = PLANS[self.arch]
        job = Job(
            contender=MODULES.get(contender, contender),
            arch=self.arch,
            convs=plan["convs"],
            hidden=plan["hidden"],
            global_pool=plan["global_pool"],
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            image_size=self.image_size,
            seconds=0.0 if self.quick else 2.0,
            keep_freed_memory=self.allocator == "keep",
        )
        return replace(job, **changes)

    def variants(self, contender: str) -> list[dict[str, str]]:
        """Precisions and layouts in which a contender competes."""
        precisions = ["float32"] if self.quick else ["float32", "bfloat16"]
        layouts = ["channels_last"]
        if contender not in ONE_LAYOUT and not self.quick:
            layouts.append("contiguous")
        return [{"precision": p, "layout": x} for p in precisions for x in layouts]
