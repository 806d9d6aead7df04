"""What a run's folder says, and what is cheap to find out from its network."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.catalogue import CATALOGUE
from ..layers.norms import BNTT
from ..machine.terminal import one_line
from ..networks.network import Network
from ..report.raster import Raster
from ..report.run_facts import Gains, RunFacts
from ..runs.folder import RunFolder
from ..runs.opened import OpenedRun, open_run
from .early_exit.gains import THRESHOLD, exit_by_gains
from .raster import raster_of


def facts_of(
    run: str | Path, name: str | None = None, *, data: str | Path | None = None
) -> RunFacts:
    """Gather what a page can say of a finished run; nothing is written.

    Files that other commands leave in the folder are taken as they are:
    ``evaluation.json``, ``energy.json``, ``exit.json``.

    Args:
        run: The run folder. Without a checkpoint, what is read off the network is missing.
        name: What the run is called; its folder's name if omitted.
        data: Where its image set lies, to show the network one test image. If omitted,
            that is done only for sets that are at hand without a download.

    Raises:
        FileNotFoundError: If there is no run.
        ValueError: If it is not finished, or a file is not what it should be.
    """
    folder = RunFolder(run)
    recipe = folder.recipe()
    _refuse_unfinished(folder)
    opened = open_run(run, device="cpu") if folder.best.exists() else None
    evaluation = _read(folder, "evaluation.json", _is_evaluation)
    found: dict[str, Any] = {}
    notes = [] if evaluation else [f"It was not evaluated yet: bntt evaluate {run}"]
    if opened is None:
        notes.append("Its checkpoint is not there, so nothing is said of its gains.")
    else:
        found, more = _of_network(opened, data)
        notes += [*more, *opened.warnings()]
    return RunFacts(
        name=name or folder.path.resolve().name,
        recipe=asdict(recipe),
        info=_with_last_sitting(folder.info()),
        log=_log(folder.log_file),
        evaluation=evaluation,
        energies=_numbered(folder, "energy", _is_energy),
        exits=[_exit(values) for values in _numbered(folder, "exit", _is_exit)],
        notes=tuple([*notes, *(evaluation or {}).get("warnings", ())]),
        **found,
    )


def gains_of(net: Network, threshold: float = THRESHOLD) -> Gains:
    """The gains of all channels, and the exit that is read off them.

    Raises:
        ValueError: As :func:`bntt.analysis.early_exit.exit_by_gains`.
    """
    found = exit_by_gains(net, threshold)
    norms = {name: m for name, m in net.named_modules() if isinstance(m, BNTT)}
    return Gains(
        of_channels={
            # a norm of a layer of neurons is called as the layer
            name.removesuffix(".norm"): norm.weight.detach()
            .double()
            .repeat_interleave(norm.window, 0)
            .tolist()
            for name, norm in norms.items()
        },
        threshold=threshold,
        steps_kept=found.steps_kept,
    )


def _refuse_unfinished(folder: RunFolder) -> None:
    status = folder.status()
    if status not in ("finished", "unknown"):
        raise ValueError(
            f"{folder.path} is not finished (status {status!r}), so there is nothing final "
            f"to report. Go on with bntt train and --resume, or wait for its end."
        )


def _of_network(
    opened: OpenedRun, data: str | Path | None
) -> tuple[dict[str, Any], list[str]]:
    """Parameters, gains and raster of a network, and why some are missing."""
    net = opened.net
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in net.parameters())}
    notes = []
    if any(isinstance(module, BNTT) for module in net.modules()):
        found["gains"] = gains_of(net)
    else:
        notes.append("Its norm has no gains per time-step, so there is no exit by gains.")
    try:
        found["raster"] = _raster(opened, data)
    except (OSError, ValueError, ImportError) as error:
        notes.append(f"No image was shown to the network: {one_line(error)}")
    return found, notes


def _raster(opened: OpenedRun, data: str | Path | None) -> Raster | None:
    known = CATALOGUE.get(opened.recipe.dataset)
    if data is None and known is not None and known.downloads:
        raise FileNotFoundError(
            f"say where {opened.recipe.dataset} lies with --data, to see it work."
        )
    dataset, _ = opened.load_data(data)
    label = dataset.class_names[int(dataset.test_labels[0])]
    name = f"The first test image of {dataset.name}, of class {label}"
    return raster_of(
        opened.net, dataset.test_images[0], name=name, num_steps=opened.trained_steps
    )


def _read(
    folder: RunFolder, name: str, fits: Callable[[Any], bool]
) -> dict[str, Any] | None:
    """What a file of the folder holds; None if it is not there.

    Raises:
        ValueError: If it holds anything else than what its command writes.
    """
    path = folder.path / name
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON ({one_line(error)}): it was changed or cut. Remove it and "
            f"run its command again."
        ) from error
    if not fits(values):
        raise ValueError(
            f"{path} does not hold what bntt writes there: it was changed. Remove it and "
            f"run its command again."
        )
    return values


def _numbered(
    folder: RunFolder, name: str, fits: Callable[[Any], bool]
) -> list[dict[str, Any]]:
    """What a command found each time it was asked something else."""
    found, number = [], 1
    values = _read(folder, f"{name}.json", fits)
    while values is not None:
        found.append(values)
        number += 1
        values = _read(folder, f"{name}-{number}.json", fits)
    return found


def _exit(values: dict[str, Any]) -> dict[str, Any]:
    """An early exit in short, with what a figure needs beside."""
    more = {"counts": "exit_steps", "points": "curve", "held_out": "held_out"}
    return {**values["exit"], **{name: values.get(key) for name, key in more.items()}}


def _is_evaluation(values: Any) -> bool:
    if not _holds(values, mean=list, images=int, dataset=str) or not values["mean"]:
        return False
    mean, std, interval = (values.get(name) for name in ("mean", "std", "interval"))
    return (
        _shares(mean)
        and (std is None or (_shares(std) and len(std) == len(mean)))
        and (interval is None or len(interval) == len(mean))
        and all(_shares(ends) and len(ends) == 2 for ends in interval or ())
    )


def _is_energy(values: Any) -> bool:
    if not _holds(values, layers=list, total=dict, constants=dict, images=int):
        return False
    total, exit = values["total"], values.get("exit")
    lines = [*total.get("lines", [None]), *total.get("against", [])]
    return (
        _holds(total, joules=float)
        and _holds(values["constants"], name=str, source=str)
        and (exit is None or _holds(exit, rule=str))
        and all(_holds(line, joules=float) for line in lines)
        and all(_holds(layer, name=str, steps=list) for layer in values["layers"])
        and all(_holds(s, spikes=int) for layer in values["layers"] for s in layer["steps"])
    )


def _is_exit(values: Any) -> bool:
    if not _holds(values, exit=dict):
        return False
    points, counts = values.get("curve") or [], values.get("exit_steps") or []
    return (
        _holds(values["exit"], rule=str, accuracy=float, full_accuracy=float)
        and all(_holds(point, mean_steps=float, accuracy=float) for point in points)
        and all(type(count) is int for count in counts)
    )


def _holds(values: Any, **kinds: type) -> bool:
    """Whether it is an object with entries of these types."""
    return isinstance(values, dict) and all(
        isinstance(values.get(name), kind) for name, kind in kinds.items()
    )


def _shares(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and 0 <= value <= 1 for value in values
    )


def _log(path: Path) -> list[dict[str, Any]]:
    """The entries of the log; damaged lines are left out, as when a run goes on."""
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and type(entry.get("step")) is int:
            entries.append(entry)
    return entries


def _with_last_sitting(info: dict[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says, with what its last sitting says on top."""
    segments: Sequence[dict[str, Any]] = info.get("segments") or [{}]
    return {**info, **segments[-1]}
