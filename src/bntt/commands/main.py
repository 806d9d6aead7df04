"""The command line: parse, call, print. Slow imports wait inside the commands."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..machine import strict_json, terminal
from ..machine.files import writing
from ..machine.shortage import described, fitting, ran_out
from ..machine.terminal import one_line
from ..version import __version__
from .data import data as data_command
from .errors import is_bad_input
from .options import expanded

FEWER_STEPS = "Ask for fewer with --num-steps, or for smaller files"
FEWER_IMAGES = "Lower --batch-size or --num-steps"

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, also where a command ends by itself."""

UsageError: Any = typer.BadParameter.__mro__[1]  # newer typers bring a click of their own


class _Stopped(Exception):
    """A command was stopped and has said how it goes on."""


app = typer.Typer(
    help="Train low-latency deep spiking networks and look at what they do.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", parser=expanded, help="Folder that bntt train wrote."),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", parser=expanded, help="Run folder; else runs/RECIPE."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", parser=expanded, help="Where the image set lies; else the cache."
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Stop after so many time-steps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"bntt {__version__}")
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
    from ..config import load_recipe

    loaded = load_recipe(expanded(recipe), overrides or ())
    out = out or Path("runs", Path(recipe).stem)
    command = ["bntt", "train", recipe, "--out", str(out)]
    command += [word for override in overrides or () for word in ("--set", override)]
    command += ["--device", device] if device != "auto" else []
    where = ["--data", str(data)] if data else []
    again = [*command, *where, "--resume"]
    from ..machine.hardware import keep_freed_memory
    from ..machine.processes import shut_down_processes
    from ..training.train import train as run_recipe
    from .tables import print_training

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
            command=shlex.join(again if resume else [*command, *where]),
        )
    shut_down_processes()
    finished = done["status"] == "finished"
    if done.pop("main"):  # torchrun starts this several times
        if as_json:
            _print_json(**done)
        if not (as_json and finished):
            after = ["bntt", "evaluate", str(out), *where] if finished else again
            print_training(done, after)
    if not finished:
        raise _Stopped


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
        Path | None,
        typer.Option(metavar="FILE", parser=expanded, help="Draw it, as PNG or PDF."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the accuracy after every time-step on the whole test set."""
    from ..analysis.accuracy import evaluate_run
    from ..machine.hardware import keep_freed_memory
    from .tables import bars_of, drawn, print_evaluation

    keep_freed_memory()
    run = _folder_of(run)
    if figure is not None:
        from ..report import check_target

        check_target(figure)
    with fitting(FEWER_STEPS):
        result = evaluate_run(
            run,
            data=data,
            seeds=None if seeds is None else tuple(range(seeds)),
            num_steps=num_steps,
            device=device,
        )
    checkpoint = run / "best.safetensors"
    if as_json:
        _print_json(checkpoint=str(checkpoint), **result.to_dict())
    else:
        print_evaluation(result, checkpoint)
    for warning in result.warnings:
        terminal.note(f"Note: {warning}")
    if figure is not None:
        from ..report import accuracy_over_time

        curve = {run.name: (result.mean, result.spread or result.interval)}
        words = result.whole, bars_of(result)
        if not drawn(lambda path: accuracy_over_time(curve, path, *words), figure):
            raise typer.Exit(1)


@app.command(epilog="Example: bntt predict runs/digits seven.png --invert")
def predict(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            parser=expanded,
            help="PNG or JPEG; recordings for an event set.",
        ),
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
    from ..analysis.predict import Unread, predict_run
    from ..machine.hardware import keep_freed_memory
    from .tables import print_predictions

    keep_freed_memory()
    run = _folder_of(run)
    with fitting(FEWER_STEPS):
        found = predict_run(run, files, num_steps=num_steps, seed=seed, invert=invert)
    unread = [one for one in found if isinstance(one, Unread)]
    answered = [one for one in found if not isinstance(one, Unread)]
    if as_json:
        _print_json(
            checkpoint=str(run / "best.safetensors"),
            seed=seed,
            samples=[one.to_dict() for one in answered],
            errors=[one.to_dict() for one in unread],
        )
    else:
        print_predictions(answered)
    for one in unread:
        terminal.note(f"bntt: {one.error}")
    if unread:
        raise typer.Exit(2)


app.command("data", epilog="Example: bntt data cifar10 --from data")(data_command)


@app.command(epilog="Example: bntt recipes")
def recipes(as_json: Json = False) -> None:
    """List the recipes that ship with the package."""
    from ..config import RECIPES, recipe_names

    about = {}
    for name in recipe_names():
        lines = (RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        about[name] = lines[0].removeprefix("#").strip()
    if as_json:
        _print_json(**about)
        return
    for name, line in about.items():
        terminal.out(f"{name:{max(map(len, about))}}  {line}")


@app.command(epilog="Example: bntt benchmark speed --out speed.json")
def benchmark(
    what: Annotated[str, typer.Argument(help="speed, memory or scaling.")] = "speed",
    batch_size: Annotated[int, typer.Option(min=2, help="Images per pass.")] = 32,
    num_steps: Annotated[int, typer.Option(min=1, help="Time-steps.")] = 25,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 5,
    peer_python: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=expanded, help="SpikingJelly's Python."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=expanded, help="JSON file for all samples."),
    ] = None,
    allocator: Annotated[
        str, typer.Option(help="keep or system: who keeps freed memory.")
    ] = "keep",
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it runs.")] = False,
    as_json: Json = False,
) -> None:
    """Measure speed or memory beside peers.

    Let the machine have nothing else to do.
    """
    from .. import benchmark as bench

    with writing(out or Path(), "another file with --out"), fitting(FEWER_IMAGES):
        result = bench.run(
            what,
            batch_size=batch_size,
            num_steps=num_steps,
            repeats=repeats,
            peer_python=peer_python,
            out=out,
            allocator=allocator,
            quick=quick,
            console=terminal.Beside(),
        )
    if as_json:
        _print_json(**result)
    else:
        terminal.table(bench.table(result))
        if what == "speed":
            terminal.table(bench.profile_table(result))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 only on success, 2 for bad input.

    What is wrong with the input stands in one line on stderr; ``BNTT_TRACEBACK=1`` lets
    the exception through instead. Ctrl-C gives 130, an answer that nobody reads 1.
    """
    terminal.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    with _interruptible():
        try:
            code = _run(words)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except _Stopped:
            return INTERRUPTED if terminal.finish() else 1
        if code == INTERRUPTED:
            terminal.note("bntt: Interrupted.")
        return code if terminal.finish() else code or 1


def _run(words: list[str]) -> int:
    try:
        # a command returns nothing, an early exit its code
        return app(words or ["--help"], prog_name="bntt", standalone_mode=False) or 0
    except typer.Abort as error:  # what typer makes of Ctrl-C, and of EOFError
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__ from None
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        return 1
    except _Stopped:
        raise
    except terminal.Unheard as error:
        terminal.note(f"bntt: {error}")
        return 1
    except UsageError as error:
        message = _usage(error, words)
    except Exception as error:
        if ran_out(error):
            message = described(error)
        elif os.environ.get("BNTT_TRACEBACK") or not is_bad_input(error):
            raise
        else:
            message = one_line(error)
    terminal.note(f"bntt: {message}")
    return 2


def _usage(error: Any, words: Sequence[str]) -> str:
    """What is wrong with the words, and what was probably meant."""
    from .mistakes import meant_overrides

    where = error.ctx.command_path if error.ctx else "bntt"
    sentences = [error.format_message().rstrip(".")]
    if where == "bntt train":
        sentences += filter(None, [meant_overrides(words[1:])])
    return f"{'. '.join(sentences)}. See {where} --help"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let the first Ctrl-C end the command in good order, and a second one at once."""

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    told = threading.current_thread() is threading.main_thread()
    if not told or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _folder_of(run: Path) -> Path:
    """The run folder that is meant: also where one of its files is named."""
    from .mistakes import meant_run

    if run.is_file() and (run.parent / "recipe.toml").is_file():
        return run.parent
    hint = "" if run.is_dir() else meant_run(run)
    if hint:
        raise FileNotFoundError(f"There is no run folder {run}. {hint}")
    return run


def _print_json(**values: Any) -> None:
    terminal.out(strict_json.dumps(values))
