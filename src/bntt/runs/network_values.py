"""What a recipe and a network call by one name, and whether they say the same of it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from ..config import Recipe
from ..networks.config import NetworkConfig
from ..networks.network import Network

OTHER_MEANING = {"image_size", "momentum"}
"""Names that both have for different things: a recipe's ``image_size`` may be 0 for the
set's own and its ``momentum`` is the optimiser's, where a network's is its norms'."""

SHARED = tuple(
    entry.name
    for entry in fields(NetworkConfig)
    if entry.name in Recipe.__dataclass_fields__ and entry.name not in OTHER_MEANING
)
"""Arguments of a network that a recipe sets by the same name."""


def network_values(recipe: Recipe) -> dict[str, Any]:
    """Those arguments of the recipe's network that the recipe names as the network does.

    A ``permutation`` counts only where pixels are permuted: elsewhere a network has 0.
    """
    values = {name: getattr(recipe, name) for name in SHARED}
    if recipe.encoder != "permuted":
        values["permutation"] = 0
    return values


def refuse_other_network(net: Network, recipe: Recipe, path: Path) -> None:
    """Refuse a checkpoint that another recipe made.

    Args:
        net: The network that was read.
        recipe: The recipe of the run.
        path: The file that the network was read from.

    Raises:
        ValueError: If they differ; it names the file and what differs.
    """
    config = net.config
    differing = ", ".join(
        f"{name} ({config[name]} in the file, {value} in the recipe)"
        for name, value in network_values(recipe).items()
        if config[name] != value
    )
    if differing:
        raise ValueError(
            f"{path} is not of the run whose recipe lies beside it: {differing}. Put the "
            f"run's own checkpoint back, or take the folder that this one came from."
        )
