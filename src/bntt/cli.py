"""The command line: parse, call, print. Slow imports wait inside the commands."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .data_command import data as data_command
from .errors import is_bad_input, one_line, writing

UsageError: Any = typer.BadParameter.__mro__[1]  # newer typers bring a click of their own

app = typer.Typer(
    help="Train low-latency deep spiking networks and look at what they do.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that bntt train wrote.")]
Out = Annotated[Path | None, typer.Option(help="Run folder; runs/RECIPE if omitted.")]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the image set lies; else the cache."),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Stop after so many time-steps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"bntt {sys.modules[__package__ or 'bntt'].__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Say which.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: bntt train digits --out runs/digits --set epochs=20")
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
    as_json: Json = False,
) -> None:
    """Train a network by a recipe into a run folder."""
    from .config import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    out = out or Path("runs", Path(recipe).stem)
    command = ["bntt", "train", recipe, "--out", str(out)]
    command += [word for override in overrides or () for word in ("--set", override)]
    command += ["--device", device] if device != "auto" else []
    where = ["--data", str(data)] if data else []
    again = [*command, *where, "--resume"]
    from .hardware import keep_freed_memory
    from .printing import print_training
    from .processes import leave
    from .train import train as run_recipe

    keep_freed_memory()
    with writing(out, "another folder with --out; --resume goes on where a run stopped"):
        done = run_recipe(
            loaded,
            out,
            data=data,
            resume=resume,
            device=device,
            log_every=log_every,
            command=shlex.join(again if resume else [*command, *where]),
        )
    leave()
    finished = done["status"] == "finished"
    if int(os.environ.get("RANK", "0")) == 0:  # torchrun starts this several times
        if as_json:
            _print_json(**done)
        if not (as_json and finished):
            after = ["bntt", "evaluate", str(out), *where] if finished else again
            print_training(done, after)
    if not finished:
        raise typer.Exit(130)


@app.command(epilog="Example: bntt evaluate runs/digits --seeds 5")
def evaluate(
    run: Run,
    data: Data = None,
    num_steps: Steps = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many encoder seeds; Poisson coding: 3.")
    ] = None,
    device: Device = "auto",
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the curve, as PNG or PDF.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the accuracy after every time-step on the whole test set."""
    from .evaluate import evaluate_run
    from .hardware import keep_freed_memory
    from .printing import print_evaluation

    keep_freed_memory()
    with writing(run, "a copy of the run elsewhere"):
        result = evaluate_run(
            run,
            data=data,
            seeds=None if seeds is None else tuple(range(seeds)),
            num_steps=num_steps,
            device=device,
        )
    checkpoint = run / "best.safetensors"
    if figure is not None:
        from .report import accuracy_over_time

        curve = {run.name: (result.mean, result.spread)}
        accuracy_over_time(curve, figure, f"{result.dataset}: all test images")
    if as_json:
        _print_json(checkpoint=str(checkpoint), **result.to_dict())
    else:
        print_evaluation(result, checkpoint)


@app.command(epilog="Example: bntt predict runs/digits seven.png --invert")
def predict(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="PNG or JPEG; recordings for an event set."),
    ],
    num_steps: Steps = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the encoder.")] = 0,
    invert: Annotated[
        bool, typer.Option("--invert", help="Exchange light and dark: ink on paper.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify pictures or recordings of your own after every time-step.

    Of a picture the square in the middle counts, scaled to what the network was trained on.
    Recordings of an event camera are cut into windows if the training recordings were.
    """
    from .hardware import keep_freed_memory
    from .predict import predict_run
    from .printing import print_predictions

    keep_freed_memory()
    found = predict_run(run, files, num_steps=num_steps, seed=seed, invert=invert)
    if as_json:
        samples = [prediction.to_dict() for prediction in found]
        _print_json(checkpoint=str(run / "best.safetensors"), seed=seed, samples=samples)
    else:
        print_predictions(found)


app.command("data", epilog="Example: bntt data cifar10 --from data")(data_command)


@app.command(epilog="Example: bntt recipes")
def recipes(as_json: Json = False) -> None:
    """List the recipes that ship with the package."""
    from .config import RECIPES, recipe_names

    about = {}
    for name in recipe_names():
        lines = (RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        about[name] = lines[0].removeprefix("#").strip()
    if as_json:
        _print_json(**about)
        return
    for name, line in about.items():
        print(f"{name:{max(map(len, about))}}  {line}")


@app.command(epilog="Example: bntt benchmark speed --out speed.json")
def benchmark(
    what: Annotated[str, typer.Argument(help="speed, memory or scaling.")] = "speed",
    batch_size: Annotated[int, typer.Option(min=2, help="Images per pass.")] = 32,
    num_steps: Annotated[int, typer.Option(min=1, help="Time-steps.")] = 25,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 5,
    peer_python: Annotated[Path | None, typer.Option(help="SpikingJelly's Python.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for all samples.")] = None,
    allocator: Annotated[
        str, typer.Option(help="keep or system: who keeps freed memory.")
    ] = "keep",
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it runs.")] = False,
    as_json: Json = False,
) -> None:
    """Measure speed or memory beside peers.

    Let the machine have nothing else to do.
    """
    from rich.console import Console

    from . import benchmark as bench

    with writing(out or Path(), "another file with --out"):
        result = bench.run(
            what,
            batch_size=batch_size,
            num_steps=num_steps,
            repeats=repeats,
            peer_python=peer_python,
            out=out,
            allocator=allocator,
            quick=quick,
            console=Console(stderr=True),
        )
    if as_json:
        _print_json(**result)
    else:
        Console().print(bench.table(result))
        if what == "speed":
            Console().print(bench.profile_table(result))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 only on success, 2 for bad input.

    What is wrong with the input stands in one line on stderr; ``BNTT_TRACEBACK=1`` lets
    the exception through instead.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        # a command returns nothing, an early exit its code
        code = app(list(arguments) or ["--help"], prog_name="bntt", standalone_mode=False)
        sys.stdout.flush()
        return code or 0
    except typer.Abort:
        return 130
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        where = error.ctx.command_path if error.ctx else "bntt"
        message = f"{error.format_message().rstrip('.')}. See {where} --help"
    except Exception as error:
        if os.environ.get("BNTT_TRACEBACK") or not is_bad_input(error):
            raise
        message = one_line(error)
    print(f"bntt: {message}", file=sys.stderr)
    return 2


def _print_json(**values: Any) -> None:
    print(json.dumps(values))
