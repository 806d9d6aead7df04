"""A result as tables to read."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from .plan import NAMES


def table(result: dict[str, Any]) -> Table:
    """The table of a result of :func:`bntt.benchmark.run`."""
    return {"speed": _speed, "memory": _memory, "scaling": _scaling}[result["what"]](result)


def profile_table(result: dict[str, Any]) -> Table:
    """Where this package's time goes, in milliseconds per pass."""
    columns = {
        f"{name}, {precision}": parts
        for precision, by_pass in result["profile"].items()
        for name, parts in by_pass.items()
    }
    return _table(
        "Where the time goes, ms per pass",
        ["part", *columns],
        (
            [part, *(f"{1000 * parts[part]:.0f}" for parts in columns.values())]
            for part in next(iter(columns.values()))
        ),
    )


def _speed(result: dict[str, Any]) -> Table:
    lines = (
        [
            *(row["pass"], row["precision"], NAMES[row["contender"]], row["layout"]),
            f"{row['images_per_second']:.1f}",
            _percent(row["share_of_floor"]),
            *(_times(row[f"times_{peer}"]) for peer in ("loop", "spikingjelly")),
        ]
        for row in result["rows"]
    )
    head = ["pass", "precision", "contender", "layout", "images/s", "of the floor"]
    made = _table(_title(result), [*head, "times loop", "times SpikingJelly"], lines)
    made.caption = (
        f"The worst moment: other processes took {_percent(result['taken_by_others'])} of "
        f"the processors. Trust the numbers where that is near 0."
    )
    return made


def _memory(result: dict[str, Any]) -> Table:
    lines = (
        [
            *(NAMES[row["contender"]], row["precision"], row["layout"]),
            f"{row['bytes_per_neuron_and_step']:.2f}" if "error" not in row else "failed",
            f"{row['r2']:.4f}" if "error" not in row else "",
            ", ".join(f"{peak / 2**20:.0f}" for peak in row["peak_bytes"]),
        ]
        for row in result["rows"]
    )
    head = ["contender", "precision", "layout", "bytes per neuron and step", "R²"]
    return _table(_title(result), [*head, f"MiB at batch {result['batch_sizes']}"], lines)


def _scaling(result: dict[str, Any]) -> Table:
    lines = (
        [
            *(row["over"], ", ".join(map(str, row["values"]))),
            ", ".join(f"{s:.3f}" for s in row["seconds"]),
            f"{row['r2']:.5f}",
            f"{row['cost_per_unit_last_over_first']:.2f}",
        ]
        for row in result["rows"]
    )
    head = [
        "over",
        "values",
        "seconds per training step",
        "R²",
        "cost per unit, last/first",
    ]
    return _table(_title(result), head, lines)


def _title(result: dict[str, Any]) -> str:
    size, machine = result["setting"], result["machine"]
    name, side, T = (size[key] for key in ("arch", "image_size", "num_steps"))
    return (
        f"{name}, {side}x{side}, T={T}, batch {size['batch_size']}, "
        f"on {machine['model']}, {machine['cores']} cores"
    )


def _table(title: str, head: list[str], lines: Iterable[list[str]]) -> Table:
    made = Table(title=title)
    for name in head:
        made.add_column(name, overflow="fold")
    for line in lines:
        made.add_row(*line)
    return made


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
