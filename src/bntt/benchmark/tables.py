"""A result as tables to read."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from ..machine.terminal import shown
from .plan import BASELINES, NAMES


def table(result: dict[str, Any]) -> Table:
    """The table of a result of :func:`bntt.benchmark.run`."""
    return {"speed": _speed, "memory": _memory, "scaling": _scaling}[result["what"]](result)


def profile_table(result: dict[str, Any]) -> Table:
    """Where this package's time goes, in milliseconds per pass."""
    columns = {
        f"{name},\n{precision}": parts
        for precision, by_pass in result["profile"].items()
        for name, parts in by_pass.items()
    }
    made = _table("Where the time goes, ms per pass", ["part"], list(columns))
    for part in next(iter(columns.values())):
        made.add_row(part, *(f"{1000 * parts[part]:.0f}" for parts in columns.values()))
    return made


def _speed(result: dict[str, Any]) -> Table:
    numbers = [
        "images/s",
        "share of\nconvolutions\nonly",
        "times\nloop",
        "times\nSpikingJelly",
    ]
    made = _table(_title(result), ["implementation", "layout"], numbers)
    for (kind, precision), rows in _grouped(result["rows"], "pass", "precision"):
        made.add_row(f"{kind}, {precision}")
        for row in rows:
            made.add_row(
                *(f"  {NAMES[row['implementation']]}", row["layout"]),
                f"{row['images_per_second']:.1f}",
                _percent(row["share_of_convolutions_only"]),
                *(_times(row[f"times_{baseline}"]) for baseline in BASELINES),
            )
    made.caption = (
        f"The worst moment: other processes took {_percent(result['taken_by_others'])} of "
        f"the processors. Trust the numbers where that is near 0."
    )
    return made


def _memory(result: dict[str, Any]) -> Table:
    batches = "\n".join(["MiB at batch", f"{result['batch_sizes']}"])
    numbers = ["bytes per\nneuron and\nstep", "R²", batches]
    made = _table(_title(result), ["implementation", "layout"], numbers)
    for (precision,), rows in _grouped(result["rows"], "precision"):
        made.add_row(precision)
        for row in rows:
            slope = row.get("bytes_per_neuron_and_step")
            made.add_row(
                *(f"  {NAMES[row['implementation']]}", row["layout"]),
                "failed" if "error" in row else f"{slope:.2f}",
                "" if "error" in row else f"{row['r2']:.4f}",
                ", ".join(f"{peak / 2**20:.0f}" for peak in row["peak_bytes"]),
            )
    return made


def _scaling(result: dict[str, Any]) -> Table:
    numbers = ["seconds per\ntraining step", "R²", "cost per unit,\nlast/first"]
    made = _table(_title(result), ["over", "values"], numbers)
    for row in result["rows"]:
        made.add_row(
            *(row["over"], ", ".join(map(str, row["values"]))),
            ", ".join(f"{s:.3f}" for s in row["seconds"]),
            f"{row['r2']:.5f}",
            f"{row['cost_per_unit_last_over_first']:.2f}",
        )
    return made


def _grouped(
    rows: Iterable[dict[str, Any]], *keys: str
) -> Iterable[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """Rows by what they have in common, in the order in which that first comes."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups.items()


def _title(result: dict[str, Any]) -> str:
    size, machine = result["setting"], result["machine"]
    name, side, T = (size[key] for key in ("arch", "image_size", "num_steps"))
    return (
        f"{name}, {side}x{side}, T={T}, batch {size['batch_size']}, "
        f"on {machine['model']}, {machine['cores']} cores"
    )


def _table(title: str, words: list[str], numbers: list[str]) -> Table:
    """An empty table; without lines, its rows fit into 80 columns."""
    # a machine's name may hold what is markup to rich
    made = Table(title=Text(shown(title)), box=None, pad_edge=False, padding=(0, 1, 0, 0))
    made.title_justify = made.caption_justify = "left"
    for name in words:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, overflow="fold", justify="right")
    return made


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
