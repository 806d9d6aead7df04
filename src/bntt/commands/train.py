"""The command ``bntt train``: a recipe into a run folder."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..machine import terminal
from ..machine.not_written import writing
from ..machine.shortage import fitting
from .errors import Stopped
from .options import Data, Device, Json, Out, expanded, print_json


def train(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A name (see bntt recipes) or .toml file."),
    ],
    out: Out = None,
    data: Data = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key; may be repeated."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the interrupted run in that folder.")
    ] = False,
    device: Device = "auto",
    log_every: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Steps between log entries.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Replay steps as a CUDA graph.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network by a recipe into a run folder."""
    from ..config import load_recipe

    loaded = load_recipe(expanded(recipe), overrides or ())
    out = out or Path("runs", Path(recipe).stem)
    where = ["--data", str(data)] if data else []
    command = [*_words(recipe, out, overrides or (), device), *where]
    command += ["--replay"] * replay
    again = [*command, "--resume"]
    from ..machine.hardware import keep_freed_memory
    from ..machine.processes import shut_down_processes
    from ..training.train import train as run_recipe

    keep_freed_memory()
    remedy = "another folder with --out; --resume goes on where a run stopped"
    fewer = max(2, loaded.batch_size // 2)
    smaller = f"Lower batch_size, num_steps or image_size, as in --set batch_size={fewer}"
    with writing(out, remedy), fitting(smaller):
        done = run_recipe(
            loaded,
            out,
            data=data,
            resume=resume,
            device=device,
            log_every=log_every,
            replay=replay,
            command=shlex.join(again if resume else command),
        )
    shut_down_processes()
    finished = done["status"] == "finished"
    if done.pop("main"):  # torchrun starts this several times
        if as_json:
            print_json(**done)
        if not (as_json and finished):
            after = ["bntt", "evaluate", str(out), *where] if finished else again
            print_training(done, after)
    if not finished:
        raise Stopped


def _words(recipe: str, out: Path, overrides: Sequence[str], device: str) -> list[str]:
    """The command that began the run, but for its data, in full."""
    words = ["bntt", "train", recipe, "--out", str(out)]
    words += [word for override in overrides for word in ("--set", override)]
    return [*words, "--device", device] if device != "auto" else words


def print_training(done: dict[str, Any], next_command: list[str]) -> None:
    """Print how training ended, and the command that comes next.

    Args:
        done: What :func:`bntt.training.train.train` returned.
        next_command: Its words.
    """
    if done["status"] == "finished":
        accuracy = done["validation_accuracy"]
        found = "" if accuracy is None else f", validation accuracy {accuracy:.2%}"
        epochs = f"{done['epochs']} epoch{'s' * (done['epochs'] != 1)}"
        terminal.out(f"Trained {epochs} in {done['seconds']:.0f} s{found}.")
        terminal.out(f"Next: {shlex.join(next_command)}")
    else:
        terminal.note(f"Interrupted. To go on: {shlex.join(next_command)}")
