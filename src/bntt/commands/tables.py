"""Tables, and lists of digests, as several commands print them."""

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from ..machine.terminal import out, shown, table

FEW = 20
"""Classes, or digests, that are all printed."""

DIGEST = 12
"""Characters of a SHA-256, or of a commit, that are printed."""


def print_digests(digests: Mapping[str, str]) -> None:
    """Print the beginning of each SHA-256 and the name of what it was taken of."""
    for name, sha256 in digests.items():
        out(f"{'SHA-256':10} {sha256[:DIGEST]}… {name}")


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> None:
    """Print a table without lines.

    Args:
        head: The columns' names.
        rows: As many cells each as there are columns.
        left: How many columns, from the first, hold words; the others hold numbers, which
            end at one place.
    """
    made = Table(box=None)
    for column, name in enumerate(head):
        justify = "left" if column < left else "right"
        made.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        # a class name may hold what is markup to rich
        made.add_row(*(Text(shown(cell)) for cell in row))
    table(made)
