"""Measure on a GPU what is not measured yet, a step at a time, each under nine minutes.

    python scripts/gpu_measure.py --out results/gpu [--data DIR] [STEP]

Without a STEP the first that is not done is done, and a table of all of them is printed
last. Results are written as they come, so a step that was cut off goes on where it stopped;
all that this needs lies in the folder --out. ``--tiny`` runs everything on a CPU at sizes
that mean nothing, so that nothing trivial fails on the day.

In this order: the operators' tests on the GPU; compute-sanitizer on a small case; the
operators' speed; that of whole training steps beside the convolutions alone and other
implementations; a profile; then training, in slices: the paper's row, and after it fewer
time-steps, more seeds, the larger network and the other norms.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_speed as speed
import torch

from bntt import backend_report
from bntt.runs.provenance import circumstances

ROOT = Path(__file__).parents[1]
TESTS = ("choice", "ops", "numbers")
PRECISIONS = ("bfloat16", "float32")
IMPLEMENTATIONS = ("convolutions_only", "bntt", "loop", "spikingjelly")
RUNS = {  # name: recipe and what it changes; 5,000 images choose the weights to keep
    "cifar10-vgg9": ("cifar10-vgg9", {"validation": 5000}),
    "cifar10-vgg9-T4": ("cifar10-vgg9", {"validation": 5000, "num_steps": 4}),
    "cifar10-vgg9-T8": ("cifar10-vgg9", {"validation": 5000, "num_steps": 8}),
    "cifar10-vgg9-seed1": ("cifar10-vgg9", {"validation": 5000, "seed": 1}),
    "cifar10-vgg9-seed2": ("cifar10-vgg9", {"validation": 5000, "seed": 2}),
    "cifar100-vgg11": ("cifar100-vgg11", {"validation": 5000}),
    **{
        f"cifar10-vgg9-T4-{norm}": (
            "cifar10-vgg9",
            {"validation": 5000, "num_steps": 4, "norm": f'"{norm}"'},
        )
        for norm in ("shared", "none")
    },
}


@dataclass
class Day:
    """Where results go, what they are measured on, and how long a step may take."""

    out: Path
    data: Path | None
    minutes: float
    tiny: bool

    @property
    def device(self) -> str:
        """The GPU, but for a trial."""
        return "cpu" if self.tiny else "cuda"

    def file(self, step: str) -> Path:
        """Where the results of a step are."""
        return self.out / f"{step}.json"

    def known(self, step: str) -> dict[str, Any]:
        """What a step has found so far."""
        path = self.file(step)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def keep(self, step: str, found: dict[str, Any], done: bool) -> None:
        """Write what a step has found, with what it was measured on."""
        name = torch.cuda.get_device_name() if self.device == "cuda" else "CPU, a trial"
        found |= {"done": done, "device": name, "command": sys.argv[1:], **circumstances()}
        self.out.mkdir(parents=True, exist_ok=True)
        draft = self.file(step).with_suffix(".part")
        draft.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.file(step))

    def run(self, *command: str, log: str) -> int:
        """Run a command until the time is up, its words into a log; its exit status.

        It is asked to stop as by Ctrl-C, which lets training save what it has.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        with (self.out / log).open("a", encoding="utf-8") as file:
            child = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths},
                stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                return child.wait(60 * self.minutes)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGINT)
            try:
                return child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                return child.wait()


def tests(day: Day, step: str) -> None:
    """The operators' tests: correctness, gradients, two runs alike."""
    name = f"tests/test_gpu_{step.removeprefix('tests-')}.py"
    # each kernel is compiled once in all of these processes together
    workers = ["-n", str(max(1, (os.cpu_count() or 2) - 2))] if not day.tiny else []
    few = ["-k", "by_hand or hard_reset or is_chosen"] if day.tiny else []
    log = f"{step}.log"
    status = day.run(sys.executable, "-m", "pytest", "-q", name, *workers, *few, log=log)
    words = (day.out / log).read_text(encoding="utf-8").strip().splitlines()
    day.keep(step, {"status": status, "summary": words[-1] if words else ""}, status == 0)


def sanitizer(day: Day, step: str) -> None:
    """Every read and write of a small case, watched by compute-sanitizer."""
    tool = shutil.which("compute-sanitizer")
    case = [sys.executable, str(Path(__file__)), "--out", str(day.out), "--small-case"]
    case += ["--tiny"] * day.tiny
    if tool is None and not day.tiny:
        day.keep(step, {"skipped": "compute-sanitizer is not installed"}, True)
        return
    watched = [tool, "--error-exitcode", "9"] if tool else []
    status = day.run(*watched, *case, log=f"{step}.log")
    day.keep(step, {"status": status}, status == 0)


def small_case(day: Day) -> None:
    """Every operator once, on rows and channels that end inside of a tile."""
    speed.operators("auto", (9, 35, 33), "float32", day.device, 0.0)


def operators(day: Day, step: str) -> None:
    """The operators of the kernels and of the reference, layer by layer."""
    found = day.known(step)
    rows = found.setdefault("rows", [])
    case = speed.job(day.tiny, 3 if day.tiny else 25, "float32")
    shapes = {
        (T, case.batch_size * layer.size**2, layer.outputs)
        for layer in case.convolutions()
        for T in ((3,) if day.tiny else (4, 25))
    }
    for shape in sorted(shapes):
        for precision in PRECISIONS:
            for name in ("auto", "reference"):
                wanted = [name, list(shape), precision]
                if wanted in [row["wanted"] for row in rows]:
                    continue
                seconds = 0.0 if day.tiny else 0.3
                row = speed.operators(name, shape, precision, day.device, seconds)
                rows.append({"wanted": wanted, **row})
                day.keep(step, found, False)
    day.keep(step, found, True)


def networks(day: Day, step: str) -> None:
    """Whole training steps, of the convolutions alone and of other implementations too."""
    found = day.known(step)
    rows = found.setdefault("rows", [])
    for num_steps in (3,) if day.tiny else (25, 4):
        for precision in PRECISIONS:
            for implementation in IMPLEMENTATIONS:
                for name in ("auto", "reference") if implementation == "bntt" else ("",):
                    wanted = [implementation, name, precision, num_steps]
                    if wanted in [row["wanted"] for row in rows]:
                        continue
                    case = speed.job(day.tiny, num_steps, precision)
                    rows.append({"wanted": wanted, **_network(day, wanted, case)})
                    day.keep(step, found, False)
    day.keep(step, found, True)


def _network(day: Day, wanted: list[Any], case: speed.Job) -> dict[str, Any]:
    """One row, or why there is none: out of memory, or not installed."""
    seconds = 0.0 if day.tiny else 3.0
    try:
        return speed.network(wanted[0], case, day.device, seconds, wanted[1] or "auto")
    except (ImportError, torch.OutOfMemoryError) as error:
        return {"error": str(error).splitlines()[0]}


def profiled(day: Day, step: str) -> None:
    """What one training step goes to."""
    case = speed.job(day.tiny, 3 if day.tiny else 25, "bfloat16")
    day.keep(step, {"table": speed.profile(case, day.device).splitlines()}, True)


def trained(day: Day, step: str) -> None:
    """A slice of a run, and at its end its accuracy, its exit by gains and its energy."""
    recipe, changes = RUNS[step.removeprefix("train-")]
    run = day.out / step
    if day.tiny:
        recipe, changes = "digits", {"epochs": 1, "batch_size": 512, "arch": '"vgg5"'}
    bntt = [sys.executable, "-m", "bntt"]
    where = ["--device", day.device] + (["--data", str(day.data)] if day.data else [])
    sets = [f"--set={key}={value}" for key, value in changes.items()]
    resume = ["--resume"] * (run / "run.json").exists()
    command = [*bntt, "train", recipe, "--out", str(run), *sets, *where, *resume]
    status = day.run(*command, log=f"{step}.log")
    record = run / "run.json"  # not there if the time was up before training began
    about = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    done = about.get("status") == "finished"
    for words in (["evaluate"], ["evaluate", "--exit=gamma"], ["energy"]) if done else ():
        command = [*bntt, words[0], str(run), *words[1:], *where]
        status = status or day.run(*command, log=f"{step}.log")
    steps = {k: about.get(k) for k in ("status", "step", "seconds", "validation_accuracy")}
    day.keep(step, {"run": steps, "exit": status}, done and status == 0)


STEPS: dict[str, Callable[[Day, str], None]] = {
    **{f"tests-{name}": tests for name in TESTS},
    "sanitizer": sanitizer,
    "operators": operators,
    "networks": networks,
    "profile": profiled,
    **{f"train-{name}": trained for name in RUNS},
}


def table(day: Day) -> None:
    """Every step and how far it is."""
    for step in STEPS:
        found = day.known(step)
        state = "done" if found.get("done") else "begun" if found else "-"
        about = found.get("summary") or found.get("skipped") or found.get("run") or ""
        rows = f"{len(found['rows'])} rows" if "rows" in found else ""
        print(f"{step:24} {state:6} {about or rows}")


def main() -> int:
    """Do the step that was named, or the first that is not done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", nargs="?", choices=STEPS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--minutes", type=float, default=8.5, help="longest step")
    parser.add_argument("--tiny", action="store_true", help="on a CPU, to see that it runs")
    parser.add_argument("--small-case", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    data = given.data.resolve() if given.data else None
    day = Day(given.out.resolve(), data, given.minutes, given.tiny)
    if not day.tiny and not torch.cuda.is_available():
        print(f"No GPU here: {backend_report()['cuda']}. To try the script, --tiny.")
        return 2
    if given.small_case:
        small_case(day)
        return 0
    left = [step for step in STEPS if not day.known(step).get("done")]
    step = given.step or (left[0] if left else None)
    if step:
        STEPS[step](day, step)
    table(day)
    return 0


if __name__ == "__main__":
    sys.exit(main())
